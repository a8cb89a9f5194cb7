"""Upgrades have the effects that were recorded on the real service, and are refused for its reasons."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, OFFER_E5, SUBSCRIPTION_ID
from tests.emulator.conftest import Client, codes, read


def version(document: dict[str, Any]) -> int:
    number: int = json.loads(base64.b64decode(document["attributes"]["etag"]))["version"]
    return number


def test_each_target_offer_is_offered_once_for_each_upgrade_type(client: Client) -> None:
    answer = client.upgrades()
    assert answer["totalCount"] == 4
    assert [(item["targetOffer"]["id"].upper(), item["upgradeType"]) for item in answer["items"]] == [
        (OFFER_E3, 1),
        (OFFER_E3, 2),
        (OFFER_E5, 1),
        (OFFER_E5, 2),
    ]
    assert all(item["isEligible"] and item["quantity"] == 25 and not item["upgradeErrors"] for item in answer["items"])
    assert answer["attributes"] == {"objectType": "Collection"}


def test_the_effects_of_an_upgrade(client: Client) -> None:
    before = client.subscription()
    item = client.upgrades()["items"][0]
    result = read(client.post(f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}/upgrades", json=item))
    assert result["sourceSubscriptionId"] == SUBSCRIPTION_ID
    assert result["upgradeType"] == 1
    assert result["upgradeErrors"] == result["licenseErrors"] == []

    after, target = client.subscription(), client.subscription(result["targetSubscriptionId"])
    assert {name for name in after if after[name] != before.get(name)} == {"status", "suspensionReasons", "attributes"}
    assert (after["status"], after["suspensionReasons"]) == ("suspended", ["Transition"])
    assert version(after) == version(before) + 1
    assert target["id"] != before["id"]
    assert target["orderId"] != before["orderId"]
    assert (target["status"], target["offerId"], target["quantity"]) == ("active", OFFER_E3, 25)
    assert target["friendlyName"] == ""
    assert "suspensionReasons" not in target

    order = read(client.get(f"/v1/customers/{CUSTOMER_ID}/orders/{target['orderId']}"))
    assert order["lineItems"][0]["subscriptionId"] == target["id"]
    assert client.get("/_emulator/upgrades").json()[0]["targetSubscriptionId"] == target["id"]


def test_after_an_upgrade_the_source_offers_the_same_but_not_eligible(client: Client) -> None:
    result = client.upgrade()
    items = client.upgrades()["items"]
    assert len(items) == 4
    assert {(item["isEligible"], *codes(item["upgradeErrors"])) for item in items} == {(False, 2)}
    again = client.upgrade(offer=OFFER_E5)
    assert codes(again["upgradeErrors"]) == [2]
    assert "targetSubscriptionId" not in again
    assert client.upgrade(result["targetSubscriptionId"], offer=OFFER_E5)["upgradeErrors"] == []


def test_an_offer_without_paths_has_an_empty_collection(client: Client) -> None:
    customer, [subscription] = client.add({"offerId": OFFER_E5})
    assert client.upgrades(subscription, customer) == {
        "totalCount": 0,
        "items": [],
        "attributes": {"objectType": "Collection"},
    }
    assert codes(client.upgrade(subscription, customer)["upgradeErrors"]) == [7]


def test_a_target_that_is_not_offered_is_not_found(client: Client) -> None:
    assert codes(client.upgrade(offer=OFFER_E1)["upgradeErrors"]) == [8]


@pytest.mark.parametrize(
    ("subscription", "customer", "code"),
    [
        ({"emulator": {"upgradeErrors": [0]}}, {}, 0),
        ({}, {"emulator": {"delegatedAdminPrivileges": False}}, 1),
        ({"status": "suspended"}, {}, 2),
        ({"status": "pending"}, {}, 2),
        ({"emulator": {"upgradeErrors": ["ConcurrencyConflicts"]}}, {}, 4),
        ({"emulator": {"provisioned": False}}, {}, 9),
        ({"billingCycle": "triennial"}, {}, 10),
        ({"emulator": {"upgradeErrors": ["insufficient_granular_admin_permissions"]}}, {}, 11),
    ],
)
def test_errors_by_state(
    client: Client, e1: dict[str, Any], subscription: dict[str, Any], customer: dict[str, Any], code: int
) -> None:
    identity, [held] = client.add({**e1, **subscription}, **customer)
    assert codes(client.upgrades(held, identity)["items"][0]["upgradeErrors"]) == [code]
    refused = client.upgrade(held, identity)
    assert codes(refused["upgradeErrors"]) == [code]
    assert refused["upgradeErrors"][0]["description"]
    assert "targetSubscriptionId" not in refused
    assert not any(line["accepted"] for line in client.journal())


def test_an_offer_the_customer_has_bought_already_conflicts(client: Client, e1: dict[str, Any]) -> None:
    customer, [held, _] = client.add(e1, {"offerId": OFFER_E3})
    assert codes(client.upgrade(held, customer)["upgradeErrors"]) == [3]
    assert client.upgrade(held, customer, OFFER_E5)["upgradeErrors"] == []


def test_offers_can_be_told_to_conflict(client: Client, e1: dict[str, Any]) -> None:
    bought = "195416C1-3447-423A-B37B-EE59A99A19C4"
    customer, [held, _] = client.add(e1, {"offerId": bought}, emulator={"conflictingOffers": {OFFER_E3: [bought]}})
    assert codes(client.upgrade(held, customer)["upgradeErrors"]) == [3]


def test_a_customer_can_move_one_subscription_to_an_offer(client: Client, e1: dict[str, Any]) -> None:
    customer, [first, second] = client.add(e1, e1)
    assert client.upgrade(first, customer)["upgradeErrors"] == []
    assert codes(client.upgrade(second, customer)["upgradeErrors"]) == [3]
    assert client.upgrade(second, customer, OFFER_E5)["upgradeErrors"] == []


def test_add_ons_block_while_they_are_active(client: Client, e1: dict[str, Any]) -> None:
    customer, [held] = client.add(e1)
    _, [add_on] = client.add(
        {"offerId": "C94271D8-B431-4A25-A3C5-A57737A1C909", "parentSubscriptionId": held}, id=customer
    )
    assert codes(client.upgrade(held, customer)["upgradeErrors"]) == [6]
    client.patch(f"/v1/customers/{customer}/subscriptions/{add_on}", json={"status": "suspended"})
    assert client.upgrade(held, customer)["upgradeErrors"] == []


def test_a_license_transfer_needs_the_role_directory_writer(client: Client, e1: dict[str, Any]) -> None:
    customer, [held] = client.add(e1, emulator={"roles": ["directory_reader"]})
    assert [codes(item["upgradeErrors"]) for item in client.upgrades(held, customer)["items"][:2]] == [[], [11]]
    assert codes(client.upgrade(held, customer, upgrade_type=2)["upgradeErrors"]) == [11]
    assert client.upgrade(held, customer)["upgradeErrors"] == []


def test_users_whose_licences_stay_behind(client: Client, e1: dict[str, Any]) -> None:
    user = {"userObjectId": "5b1f9f0e-0000-4000-8000-000000000001", "name": "Ada", "email": "ada@contoso.com"}
    customer, [held] = client.add({**e1, "emulator": {"licenseErrors": [user]}})
    result = client.upgrade(held, customer, upgrade_type="upgrade_with_license_transfer")
    assert result["upgradeErrors"] == []
    assert result["targetSubscriptionId"]
    [failed] = result["licenseErrors"]
    assert {name: failed[name] for name in user} == user
    assert failed["errors"][0]["code"] == 60000


def test_an_upgrade_only_moves_no_licences(client: Client, e1: dict[str, Any]) -> None:
    customer, [held] = client.add({**e1, "emulator": {"licenseErrors": [{"email": "ada@contoso.com"}]}})
    assert client.upgrade(held, customer)["licenseErrors"] == []


@pytest.mark.parametrize("told", [1, 1.0, "1", "upgrade_only", "UpgradeOnly", "upgradeOnly"])
def test_upgrade_types_are_read_in_every_form(client: Client, told: object) -> None:
    assert client.upgrade(upgrade_type=told)["upgradeErrors"] == []


def test_pascal_case_bodies_and_ids_in_any_case(client: Client) -> None:
    body = {"TargetOffer": {"Id": OFFER_E3.lower(), "Name": "E3"}, "UpgradeType": 1, "Quantity": 25}
    address = f"/V1/Customers/{CUSTOMER_ID.upper()}/Subscriptions/{SUBSCRIPTION_ID.upper()}/Upgrades"
    result = read(client.post(address, json=body))
    assert result["sourceSubscriptionId"] == SUBSCRIPTION_ID


def test_a_repeated_request_id_is_nothing_special(client: Client) -> None:
    headers = {"ms-requestid": "e2a0a1a6-8cd2-4a1c-8b57-0b3c6b9b8a11"}
    assert client.upgrade(headers=headers)["upgradeErrors"] == []
    assert codes(client.upgrade(headers=headers)["upgradeErrors"]) == [2]


def test_one_of_many_at_once_wins(client: Client, emulator: Emulator, state: Any) -> None:
    client.control("latency", {"seconds": 0.05, "jitter": 0.05})
    results: list[Any] = []

    def one() -> None:
        with Client(emulator) as own:
            results.append(own.upgrade())

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [result for result in results if "targetSubscriptionId" in result]
    lost = {code for result in results for code in codes(result["upgradeErrors"])}
    assert len(won) == 1
    assert lost <= {2, 4}
    assert sum(line["accepted"] for line in client.journal()) == 1


def test_new_subscriptions_may_be_listed_late(client: Client) -> None:
    client.control("listing", {"seconds": 600})
    target = client.upgrade()["targetSubscriptionId"]
    listed = read(client.get(f"/v1/customers/{CUSTOMER_ID}/subscriptions"))
    assert [entry["id"] for entry in listed["items"]] == [SUBSCRIPTION_ID]
    assert client.subscription(target)["status"] == "active"
