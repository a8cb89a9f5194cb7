"""The other operations, the media types, the headers and the refusals of the emulated API."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, SUBSCRIPTION_ID
from pc_provider.partner_center import media
from tests.emulator.conftest import Client, read

UPGRADES = f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}/upgrades"
HELD = f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}"
NOBODY = "00000000-0000-4000-8000-000000000000"


def refusal(answer: httpx.Response) -> tuple[int, int]:
    """HTTP status and the service's code; the body must be a whole ServiceFault without a byte-order mark."""
    fault = json.loads(answer.content)
    assert set(fault) == {"code", "description", "data", "source"}
    assert fault["description"]
    return answer.status_code, fault["code"]


# Subscriptions


def test_subscriptions_come_in_pages(client: Client, e1: dict[str, Any]) -> None:
    customer, held = client.add(*[e1] * 5)
    address = f"/customers/{customer}/subscriptions?offset=0&size=2"
    seen = []
    while address:
        page = read(client.get(f"/v1{address}"))
        assert page["totalCount"] == 5
        seen += [entry["id"] for entry in page["items"]]
        address = page["links"].get("next", {}).get("uri")
    assert seen == held
    assert page["links"]["previous"]["uri"].endswith("offset=2&size=2")


@pytest.mark.parametrize(
    "query", ["size=0", "size=x", "offset=-1", "offset=%F0", "size=1e3", "offset=99999999999999999"]
)
def test_a_bad_page_is_refused(client: Client, query: str) -> None:
    assert refusal(client.get(f"/v1/customers/{CUSTOMER_ID}/subscriptions?{query}")) == (400, 800002)


def test_a_subscription_has_the_recorded_fields(client: Client) -> None:
    document = client.subscription()
    assert {
        "id", "offerId", "entitlementId", "offerName", "friendlyName", "quantity", "unitType", "hasPurchasableAddons",
        "creationDate", "effectiveStartDate", "commitmentEndDate", "status", "autoRenewEnabled", "isTrial",
        "billingType", "billingCycle", "actions", "attentionNeeded", "actionTaken", "contractType", "links", "orderId",
        "attributes",
    } == set(document)  # fmt: skip


def test_patch_changes_quantity_name_and_status(client: Client) -> None:
    before = client.subscription()
    changed = read(client.patch(HELD, json={"quantity": 7, "friendlyName": "Branch"}))
    assert (changed["quantity"], changed["friendlyName"]) == (7, "Branch")
    assert changed["attributes"]["etag"] != before["attributes"]["etag"]
    suspended = read(client.patch(HELD, json={**changed, "status": "Suspended"}))
    assert (suspended["status"], suspended["suspensionReasons"]) == ("suspended", ["CustomerCancellation"])
    active = read(client.patch(HELD, json={"status": 1}))
    assert active["status"] == "active"
    assert "suspensionReasons" not in active
    assert client.subscription() == active


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        ("active", {"status": "gone"}, (400, 900126)),
        ("active", {"status": "expired"}, (400, 800096)),
        ("active", {"quantity": 0}, (400, 2002)),
        ("active", {"quantity": "many"}, (400, 800002)),
        ("active", {"friendlyName": 5}, (400, 800002)),
        ("active", [], (400, 800002)),
        ("suspended", {"quantity": 2}, (400, 2001)),
        ("expired", {"quantity": 2}, (400, 800012)),
        ("expired", {"status": "active"}, (400, 800012)),
        ("deleted", {"friendlyName": "x"}, (400, 2011)),
    ],
)
def test_refused_changes(client: Client, e1: dict[str, Any], status: str, body: Any, refused: tuple[int, int]) -> None:
    customer, [held] = client.add({**e1, "status": status})
    assert refusal(client.patch(f"/v1/customers/{customer}/subscriptions/{held}", json=body)) == refused


def test_an_old_etag_is_refused(client: Client) -> None:
    old = client.subscription()["attributes"]["etag"]
    read(client.patch(HELD, json={"quantity": 4}, headers={"If-Match": old}))
    assert refusal(client.patch(HELD, json={"quantity": 5}, headers={"If-Match": old})) == (400, 2055)


def test_what_an_upgrade_suspended_has_no_way_back(client: Client) -> None:
    client.upgrade()
    assert refusal(client.patch(HELD, json={"status": "active"})) == (400, 800096)


# Customers, offers, orders


def test_customers(client: Client) -> None:
    everyone = read(client.get("/v1/customers"))
    assert everyone["totalCount"] == 3
    one = read(client.get(f"/v1/customers/{CUSTOMER_ID}"))
    assert one["companyProfile"]["companyName"] == "Contoso"
    assert one in everyone["items"]


def test_offers(client: Client) -> None:
    listed = read(client.get("/v1/offers?country=US"))["items"]
    one = read(client.get(f"/v1/offers/{OFFER_E1.lower()}?country=us"))
    assert one in listed
    assert read(client.get(f"/v1/offers/{OFFER_E1}?country=de"))["country"] == "DE"
    assert one["upgradeTargetOffers"] == [OFFER_E3, "A044B16A-1861-4308-8086-A3A3B506FAC2"]
    assert {"rank", "prerequisiteOffers", "partnerQualifications", "isAddOn", "locale", "country"} <= set(one)
    assert {item["targetOffer"]["id"] for item in client.upgrades()["items"]} == {
        OFFER_E3.lower(),
        "a044b16a-1861-4308-8086-a3a3b506fac2",
    }


def test_orders(client: Client) -> None:
    bought = client.subscription()["orderId"]
    target = client.subscription(client.upgrade()["targetSubscriptionId"])
    listed = read(client.get(f"/v1/customers/{CUSTOMER_ID}/orders"))
    assert [order["id"] for order in listed["items"]] == [bought, target["orderId"]]
    assert [order["lineItems"][0]["offerId"] for order in listed["items"]] == [OFFER_E1, OFFER_E3]


# Refusals


@pytest.mark.parametrize(
    ("method", "path", "refused"),
    [
        ("GET", f"/v1/customers/{NOBODY}/subscriptions", (403, 20002)),
        ("GET", "/v1/customers/contoso/subscriptions", (400, 900118)),
        ("GET", f"/v1/customers/{CUSTOMER_ID}/subscriptions/{NOBODY}", (404, 20003)),
        ("GET", f"/v1/customers/{CUSTOMER_ID}/subscriptions/{NOBODY}/upgrades", (404, 20003)),
        ("GET", f"/v1/customers/{CUSTOMER_ID}/subscriptions/x/upgrades", (400, 800002)),
        ("GET", f"/v1/customers/{CUSTOMER_ID}/orders/{NOBODY}", (404, 20000)),
        ("GET", f"/v1/offers/{NOBODY}?country=US", (404, 1000)),
        ("GET", "/v1/offers/x?country=US", (400, 800004)),
        ("GET", "/v1/offers/CFQ7TTC0LF8S:0002:CFQ7TTC0KX9G?country=US", (400, 2100)),
        ("GET", f"/v1/offers/{OFFER_E1}", (400, 800002)),
        ("GET", "/v1/offers?country=USA", (400, 800002)),
        ("GET", "/v1/", (404, 1000)),
        ("GET", "/v1/invoices", (404, 1000)),
        ("GET", "/v2/customers", (404, 1000)),
        ("GET", "/v1/customers//subscriptions", (404, 1000)),
        ("DELETE", UPGRADES, (405, 800002)),
        ("PUT", HELD, (405, 800002)),
    ],
)
def test_refused_paths(client: Client, method: str, path: str, refused: tuple[int, int]) -> None:
    assert refusal(client.request(method, path)) == refused


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({}, (400, 800002)),
        ({"targetOffer": {}}, (400, 800002)),
        ({"targetOffer": "E3", "upgradeType": 1}, (400, 800002)),
        ({"targetOffer": {"id": OFFER_E3}}, (400, 800002)),
        ({"targetOffer": {"id": OFFER_E3}, "upgradeType": 0}, (400, 800002)),
        ({"targetOffer": {"id": OFFER_E3}, "upgradeType": 3}, (400, 900126)),
        ({"targetOffer": {"id": OFFER_E3}, "upgradeType": "sideways"}, (400, 900126)),
        ({"targetOffer": {"id": OFFER_E3}, "upgradeType": [1]}, (400, 900126)),
        ({"targetOffer": {"id": OFFER_E3}, "upgradeType": 1, "quantity": -1}, (400, 2002)),
        ({"targetOffer": {"id": OFFER_E3}, "upgradeType": 1, "quantity": {}}, (400, 800002)),
        ("upgrade", (400, 800002)),
    ],
)
def test_refused_upgrades(client: Client, body: Any, refused: tuple[int, int]) -> None:
    assert refusal(client.post(UPGRADES, json=body)) == refused
    assert client.subscription()["status"] == "active"


@pytest.mark.parametrize(
    ("content", "content_type", "refused"),
    [
        (b"", "application/json", (400, 800002)),
        (b"{", "application/json", (400, 800002)),
        (b"[" * 100_000, "application/json", (400, 800002)),
        (b"\xff\xfe\x00", "application/json", (400, 800002)),
        (b'{"targetOffer": {"id": "\\ud800"}, "upgradeType": 1}', "application/json", (400, 800002)),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><Upgrade>&a;</Upgrade>", "application/xml", (400, 800002)),
        (b"{}", "text/plain", (415, 800002)),
        (b"{}", "", (415, 800002)),
    ],
)
def test_unreadable_bodies(client: Client, content: bytes, content_type: str, refused: tuple[int, int]) -> None:
    assert refusal(client.post(UPGRADES, content=content, headers={"Content-Type": content_type})) == refused


def test_a_body_without_end_is_refused(client: Client) -> None:
    answer = client.post(UPGRADES, content=b" " * (5 * 1024 * 1024), headers={"Content-Type": "application/json"})
    assert refusal(answer) == (413, 800002)


@pytest.mark.parametrize(
    ("special", "method", "refused"),
    [
        ({"relationship": False}, "GET", (403, 20002)),
        ({"roles": []}, "GET", (403, 900308)),
        ({"agreementSigned": False}, "POST", (403, 900124)),
    ],
)
def test_customers_one_may_not_manage(
    client: Client, e1: dict[str, Any], special: dict[str, Any], method: str, refused: tuple[int, int]
) -> None:
    customer, [held] = client.add(e1, emulator=special)
    body = {"targetOffer": {"id": OFFER_E3}, "upgradeType": 1}
    assert (
        refusal(client.request(method, f"/v1/customers/{customer}/subscriptions/{held}/upgrades", json=body)) == refused
    )


# The wire


def test_ids_are_echoed_and_made_up_where_missing(client: Client) -> None:
    sent = {"MS-RequestId": "abc", "ms-correlationid": "def", "MS-CV": "vector.1"}
    for answer in (client.get(UPGRADES, headers=sent), client.get("/v1/nothing", headers=sent)):
        assert (answer.headers["MS-RequestId"], answer.headers["MS-CorrelationId"]) == ("abc", "def")
        assert answer.headers["MS-CV"] == "vector.1"
    answer = client.get(UPGRADES)
    assert answer.headers["MS-RequestId"] != client.get(UPGRADES).headers["MS-RequestId"]
    assert answer.headers["MS-ServerId"]
    assert parsedate_to_datetime(answer.headers["Date"])
    assert [line["requestId"] for line in client.journal()][:2] == ["abc", "abc"]


def test_successes_begin_with_a_byte_order_mark_and_errors_do_not(client: Client) -> None:
    good, bad = client.get(UPGRADES), client.get("/v1/nothing")
    assert good.content.startswith(b"\xef\xbb\xbf{")
    assert good.headers["Content-Length"] == str(len(good.content))
    assert bad.content.startswith(b"{")
    client.control("wire", {"bom": False})
    assert client.get(UPGRADES).content.startswith(b"{")


@pytest.mark.parametrize("media_type", media.REQUEST_TYPES)
def test_every_request_media_type(client: Client, media_type: str) -> None:
    item = client.upgrades()["items"][0]
    answer = client.post(
        UPGRADES, content=media.encode(item, media_type, "Upgrade"), headers={"Content-Type": media_type}
    )
    assert read(answer)["upgradeErrors"] == []


@pytest.mark.parametrize("media_type", media.RESPONSE_TYPES)
def test_every_response_media_type(client: Client, media_type: str) -> None:
    expected = client.upgrades()
    for path, status in ((UPGRADES, 200), ("/v1/nothing", 404)):
        answer = client.get(path, headers={"Accept": f"text/html, {media_type};q=0.9, application/json;q=0.1"})
        assert answer.status_code == status
        assert answer.headers["Content-Type"].startswith(media_type)
        tree = media.decode(answer.content, answer.headers["Content-Type"])
        assert tree == expected if status == 200 else tree["code"] == 1000


@pytest.mark.parametrize("accept", ["", "*/*", "application/*", "text/html", "application/json;q=x", ";;,,"])
def test_json_is_what_comes_otherwise(client: Client, accept: str) -> None:
    assert client.get(UPGRADES, headers={"Accept": accept}).headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("told", "upgrade_type", "code"),
    [
        ({"enums": "snake_case"}, "upgrade_only", "subscription_status_not_active"),
        ({"enums": "PascalCase"}, "UpgradeOnly", "SubscriptionStatusNotActive"),
    ],
)
def test_enumerations_as_words(client: Client, told: dict[str, Any], upgrade_type: str, code: str) -> None:
    client.control("wire", told)
    assert client.upgrade()["upgradeType"] == upgrade_type
    assert client.upgrade()["upgradeErrors"][0]["code"] == code


def test_keys_in_pascal_case_and_bodies_in_utf_16(client: Client) -> None:
    client.control("wire", {"keys": "PascalCase", "encoding": "utf-16"})
    answer = client.get(HELD)
    assert answer.content.startswith(b"\xff\xfe")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.content.decode("utf-16"))["Attributes"]["ObjectType"] == "Subscription"


def test_head_and_options_are_not_served(client: Client) -> None:
    assert client.head(UPGRADES).status_code == 405
    assert client.options(UPGRADES).headers["Allow"] == "GET, POST"
