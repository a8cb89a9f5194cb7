"""The client on real sockets: what it sends, what it makes of what comes, and what an answer cannot make it do."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pc_provider.partner_center import errors
from pc_provider.partner_center.client import OfferedUpgrade, PartnerCenter
from pc_provider.partner_center.models import SubscriptionStatus, Upgrade
from pc_provider.partner_center.transport import Transport

from .clock import HandClock
from .wire import Connection, Received, Wire, answer, head, serving

CUSTOMER = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
SOURCE = "a356ac8c-e310-44f4-bf85-c7f29044af99"
ITEM = {
    "targetOffer": {
        "id": "796B6B5F-613C-4E24-A17C-EBA730D49C02",
        "rank": 61,
        "prerequisiteOffers": [],
        "new": {"a": None},
    },
    "UpgradeType": 1,
    "isEligible": True,
    "quantity": 25,
    "upgradeErrors": [],
    "madeUpTomorrow": [1, {"b": 2.5}],
}
RESULT = {"sourceSubscriptionId": SOURCE, "targetSubscriptionId": "t", "upgradeType": 1, "upgradeErrors": []}


class Tokens:
    """Gives a token, and another one for each that was refused."""

    def __init__(self) -> None:
        self.given = 1
        self._lock = threading.Lock()

    def token(self, *, rejected: str | None = None) -> str:
        with self._lock:
            if rejected == f"token-{self.given}":
                self.given += 1
            return f"token-{self.given}"


class OneToken:
    def token(self, *, rejected: str | None = None) -> str:
        return "token"


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


@pytest.fixture
def center(transport: Transport) -> Callable[..., PartnerCenter]:
    """Makes clients whose waits take no time."""

    def make(url: str, credential: Any = None, **more: Any) -> PartnerCenter:
        clock = HandClock()
        return PartnerCenter(url, transport, credential or Tokens(), clock=clock, pace=clock.pace(), **more)

    return make


Make = Callable[..., PartnerCenter]


def as_json(tree: object, status: int = 200, **headers: str) -> bytes:
    return answer(status, b"\xef\xbb\xbf" + json.dumps(tree).encode(), **headers)


def page(items: list[Any], **more: Any) -> dict[str, Any]:
    return {"totalCount": len(items), "items": items, **more}


OFFERED = OfferedUpgrade(Upgrade(), ITEM)


def upgrade(center: PartnerCenter, request_id: str = "the-id") -> Any:
    return center.upgrade(CUSTOMER, SOURCE, OFFERED, request_id=request_id)


# What is sent


def test_the_offered_item_is_sent_back_as_it_came(center: Make) -> None:
    def reply(request: Received) -> bytes:
        return as_json(page([ITEM]) if request.method == "GET" else RESULT, Date="Mon, 23 Nov 2026 20:00:00 GMT")

    with serving(reply) as (wire, received):
        partner_center = center(wire.url)
        [offered] = partner_center.upgrades(CUSTOMER, SOURCE)
        result, date = partner_center.upgrade(CUSTOMER, SOURCE, offered, request_id="i")
    assert json.loads(received[1].body) == ITEM
    assert (result.target_subscription_id, date) == ("t", "Mon, 23 Nov 2026 20:00:00 GMT")


def test_the_headers_of_one_user_action_belong_together(center: Make) -> None:
    with serving(lambda request: as_json(page([]) if request.method == "GET" else RESULT)) as (wire, received):
        partner_center = center(wire.url + "/")
        call = partner_center.call(60)
        partner_center.upgrades(CUSTOMER, SOURCE, call)
        partner_center.upgrade(CUSTOMER, SOURCE, OFFERED, request_id="the-id", call=call)
        partner_center.subscription(CUSTOMER, SOURCE)
    look, post, other = received
    assert look.target == post.target == f"/v1/customers/{CUSTOMER}/subscriptions/{SOURCE}/upgrades"
    assert {request.headers["ms-correlationid"] for request in (look, post)} == {call.correlation_id}
    assert other.headers["ms-correlationid"] != call.correlation_id
    assert post.headers["ms-requestid"] == "the-id"
    assert str(uuid.UUID(look.headers["ms-requestid"])) == look.headers["ms-requestid"]
    for request in received:
        assert request.headers["authorization"] == "Bearer token-1"
        assert re.fullmatch(r"[A-Za-z0-9+/]{22}\.0", request.headers["ms-cv"])
        assert request.headers["ms-contract-version"] == "v1"
        assert request.headers["x-locale"] == "en-US"
    assert len({request.headers["ms-cv"] for request in received}) == 3


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("%2e%2e", "%252e%252e"),
        ("ä b", "%C3%A4%20b"),
        ("a\\b", "a%5Cb"),
        ("a@b:c", "a%40b%3Ac"),
    ],
)
def test_ids_are_quoted_into_paths(center: Make, value: str, path: str) -> None:
    with serving(as_json({"id": "s"})) as (wire, received):
        center(wire.url).subscription(value, value)
    assert received[0].target == f"/v1/customers/{path}/subscriptions/{path}"


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "a\r\nX: y", "\x00", "\u202e", "\ud800", "x" * 129])
def test_what_is_no_id_is_not_sent(center: Make, value: str) -> None:
    with serving(as_json({})) as (wire, received):
        partner_center = center(wire.url)
        for field, ask in (
            ("customer_id", lambda: partner_center.subscription(value, SOURCE)),
            ("subscription_id", lambda: partner_center.subscription(CUSTOMER, value)),
            ("customer_id", lambda: partner_center.subscriptions(value)),
            ("customer_id", lambda: partner_center.customer(value)),
            ("subscription_id", lambda: partner_center.upgrades(CUSTOMER, value)),
        ):
            with pytest.raises(errors.InvalidInput) as caught:
                ask()
            assert caught.value.field == field
    assert received == []


# Tokens


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_401_is_renewed_once_and_sent_again_with_the_same_ids(center: Make, method: str) -> None:
    def reply(request: Received) -> bytes:
        if request.headers["authorization"] == "Bearer token-1":
            return as_json({"code": 900420, "description": "expired"}, 401)
        return as_json(page([]) if method == "GET" else RESULT)

    with serving(reply) as (wire, received):
        if method == "GET":
            center(wire.url).upgrades(CUSTOMER, SOURCE)
        else:
            upgrade(center(wire.url))
    first, second = received
    assert (first.headers["ms-requestid"], first.body) == (second.headers["ms-requestid"], second.body)


@pytest.mark.parametrize(("credential", "requests"), [(Tokens, 2), (OneToken, 1)])
def test_a_401_that_stays_is_reported(center: Make, credential: type, requests: int) -> None:
    with (
        serving(as_json({"code": 900421, "description": "MFA"}, 401)) as (wire, received),
        pytest.raises(errors.Unauthorized, match="900421") as caught,
    ):
        upgrade(center(wire.url, credential()))
    assert len(received) == requests
    assert "token-" not in str(caught.value) + repr(vars(caught.value))


def test_a_refused_renewal_is_the_error(center: Make) -> None:
    class Refused:
        def token(self, *, rejected: str | None = None) -> str:
            if rejected:
                raise errors.SignInError("AADSTS700082: expired", codes=[700082])
            return "token"

    with serving(as_json({}, 401)) as (wire, _), pytest.raises(errors.SignInError, match="AADSTS700082"):
        upgrade(center(wire.url, Refused()))


# Successes that are none


UNUSABLE = {
    "empty": answer(200),
    "no content": head(204),
    "HTML": answer(200, b"<html><title>Sign in</title></html>", "text/html"),
    "HTML that calls itself JSON": answer(200, b"<html></html>"),
    "cut off": answer(200, b'{"totalCount": 1, "ite'),
    "another type": answer(200, b"{}", "image/png"),
    "a list": answer(200, b"[]"),
    "a text": answer(200, b'"done"'),
    "null": answer(200, b"null"),
    "other shapes": as_json({"items": 5, "targetSubscriptionId": {"a": 1}}),
    "bad bytes": answer(200, b'{"items": "\xff\xfe"}'),
    "compressed": answer(200, b"\x1f\x8b\x08\x00", content_encoding="gzip"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_answer_to_a_read_is_asked_again_and_then_an_error(center: Make, name: str) -> None:
    with (
        serving(UNUSABLE[name]) as (wire, received),
        pytest.raises(errors.UnexpectedAnswer, match="can't be read") as caught,
    ):
        center(wire.url).upgrades(CUSTOMER, SOURCE)
    assert len(received) == 4
    assert str(caught.value).startswith(f"Reading the upgrades of subscription {SOURCE} of customer {CUSTOMER}: ")
    assert "request id" in str(caught.value)


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_answer_to_an_upgrade_is_not_known(center: Make, name: str) -> None:
    with serving(UNUSABLE[name]) as (wire, received), pytest.raises(errors.OutcomeUnknown) as caught:
        upgrade(center(wire.url))
    assert len(received) == 1
    assert caught.value.request_id == "the-id"


@pytest.mark.parametrize("item", [5, "x", [1], {"quantity": "many"}, {"suspensionReasons": [{"a": 1}]}])
def test_an_unreadable_item_of_a_list_is_an_error_of_the_tree(center: Make, item: object) -> None:
    with serving(as_json(page([item]))) as (wire, _), pytest.raises(errors.UnexpectedAnswer, match="can't be read"):
        center(wire.url).subscriptions(CUSTOMER)


def test_a_read_that_is_lost_is_made_again(center: Make) -> None:
    lost = [True] * 3

    def talk(connection: Connection) -> None:
        while connection.request():
            if lost:
                lost.pop()
                return
            connection.send(as_json({"id": SOURCE, "status": "Suspended", "suspensionReasons": ["Transition"]}))

    with Wire(talk) as wire:
        found = center(wire.url).subscription(CUSTOMER, SOURCE)
    assert found.status == SubscriptionStatus.SUSPENDED


def test_an_upgrade_that_is_lost_is_not_sent_again_and_names_its_ids(center: Make) -> None:
    asked = []

    def talk(connection: Connection) -> None:
        asked.append(connection.request())

    with Wire(talk) as wire, pytest.raises(errors.OutcomeUnknown) as caught:
        upgrade(center(wire.url))
    assert len(asked) == 1
    assert f"The upgrade of subscription {SOURCE} of customer {CUSTOMER}: the connection to" in str(caught.value)
    assert "For support: request id the-id, correlation id " in str(caught.value)


def test_each_request_has_the_time_that_is_left(center: Make, transport: Transport) -> None:
    def talk(connection: Connection) -> None:
        connection.request()
        connection.request()

    with Wire(talk) as wire:
        partner_center = PartnerCenter(wire.url, transport, OneToken(), request_timeout=30)
        started = time.monotonic()
        with pytest.raises(errors.OutcomeUnknown):
            partner_center.upgrade(CUSTOMER, SOURCE, OFFERED, request_id="i", call=partner_center.call(1.2))
        assert time.monotonic() - started < 2
        with pytest.raises(errors.DeadlineExceeded, match="it was not sent"):
            partner_center.upgrade(CUSTOMER, SOURCE, OFFERED, request_id="i", call=partner_center.call(0.1))
        assert wire.connections == 1


# Errors


def test_an_error_shows_the_ids_that_were_echoed(center: Make) -> None:
    def reply(request: Received) -> bytes:
        headers = {"MS_RequestId": "echoed", "MS_CorrelationId": "too", "MS_CV": "v", "MS_ServerId": "s"}
        return as_json({"code": 20002, "description": "no relation"}, 403, **headers)

    with serving(reply) as (wire, _), pytest.raises(errors.Forbidden) as caught:
        center(wire.url).customer(CUSTOMER)
    assert str(caught.value) == (
        f"Reading customer {CUSTOMER}: Partner Center answered 403, code 20002: no relation\n"
        "What to do: Check customer_id; this partner tenant needs a reseller relationship with that customer.\n"
        "For support: request id echoed, correlation id too, MS-CV v, MS-ServerId s"
    )


# Pages


def subscriptions(*names: str) -> list[dict[str, str]]:
    return [{"id": name} for name in names]


def next_page(uri: Any) -> dict[str, Any]:
    return {"links": {"next": {"uri": uri, "method": "GET", "headers": []}}}


@pytest.mark.parametrize(
    "uri",
    [
        f"/customers/{CUSTOMER}/subscriptions?offset=2&size=2",
        f"customers/{CUSTOMER}/subscriptions?offset=2&size=2",
        f"/v1/customers/{CUSTOMER}/subscriptions?offset=2&size=2",
        f"BASE/v1/customers/{CUSTOMER}/subscriptions?offset=2&size=2",
    ],
)
def test_all_pages_of_a_list_are_read(center: Make, uri: str) -> None:
    def reply(request: Received) -> bytes:
        if "offset" in request.target:
            return as_json(page(subscriptions("c")))
        return as_json(page(subscriptions("a", "b"), **next_page(uri.replace("BASE", wire.url))))

    with serving(reply) as (wire, received):
        found = center(wire.url).subscriptions(CUSTOMER)
    assert [subscription.id for subscription in found] == ["a", "b", "c"]
    assert received[1].target == f"/v1/customers/{CUSTOMER}/subscriptions?offset=2&size=2"


@pytest.mark.parametrize(
    "uri",
    [
        "ELSEWHERE/v1/customers",
        "HTTPS://evil.example/v1/customers",
        "BASE@evil.example/v1/customers",
        "BASE.evil.example/v1/customers",
        "BASE/v1/../../_emulator/reset",
        "BASE/v1/%2e%2e/x",
        "BASE/other",
        "file:///etc/passwd",
        "http://[",
    ],
)
def test_a_next_page_elsewhere_is_refused(center: Make, uri: str) -> None:
    with serving(as_json(page([]))) as (elsewhere, stolen):

        def reply(request: Received) -> bytes:
            told = uri.replace("BASE", wire.url).replace("ELSEWHERE", elsewhere.url)
            return as_json(page(subscriptions("a"), **next_page(told)))

        with serving(reply) as (wire, received), pytest.raises(errors.UnexpectedAnswer, match="next page"):
            center(wire.url).subscriptions(CUSTOMER)
    assert (len(received), stolen) == (1, [])


@pytest.mark.parametrize("uri", ["//evil.example/v1/customers", "/\\evil.example", "a b\x00\n", "\u202e", "://"])
def test_a_strange_next_page_stays_on_the_host(center: Make, uri: str) -> None:
    def reply(request: Received) -> bytes:
        if request.target.endswith("/subscriptions"):
            return as_json(page(subscriptions("a"), **next_page(uri)))
        return as_json({"code": 0}, 404)

    with serving(reply) as (wire, _), pytest.raises(errors.PartnerCenterError):
        center(wire.url).subscriptions(CUSTOMER)


def test_pages_without_end_end_in_an_error(center: Make) -> None:
    def same(request: Received) -> bytes:
        return as_json(page(subscriptions("a"), **next_page(f"/customers/{CUSTOMER}/subscriptions")))

    with serving(same) as (wire, received), pytest.raises(errors.UnexpectedAnswer, match="read before"):
        center(wire.url).subscriptions(CUSTOMER)
    assert len(received) == 1


def test_a_next_page_without_an_address_is_the_end(center: Make) -> None:
    with serving(as_json(page(subscriptions("a"), **next_page(None)))) as (wire, _):
        assert len(center(wire.url).subscriptions(CUSTOMER)) == 1


# Redirects


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_error_and_no_token_goes_along(center: Make, status: int) -> None:
    with (
        serving(as_json(page([]))) as (elsewhere, stolen),
        serving(answer(status, location=f"{elsewhere.url}/v1/customers")) as (wire, received),
    ):
        with pytest.raises(errors.UnexpectedAnswer, match="redirect"):
            center(wire.url).upgrades(CUSTOMER, SOURCE)
        with pytest.raises(errors.UnexpectedAnswer, match="redirect"):
            upgrade(center(wire.url))
    assert (len(received), stolen) == (2, [])


def test_the_end_of_the_engine_sends_nothing_more(transport: Transport) -> None:
    stopping = threading.Event()
    with serving(as_json(page([]))) as (wire, received):
        partner_center = PartnerCenter(wire.url, transport, OneToken(), stopping=stopping)
        partner_center.upgrades(CUSTOMER, SOURCE)
        stopping.set()
        with pytest.raises(errors.Interrupted, match="it was not sent"):
            upgrade(partner_center)
    assert len(received) == 1
