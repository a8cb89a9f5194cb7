"""Pulumi's verbs through its own server, in process: floats, unknowns, old states, and nothing that hangs or is raw."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from pulumi.dynamic import Config, ConfigureRequest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, OFFER_E5, STATIC_TOKEN, SUBSCRIPTION_ID
from pc_provider.partner_center.transport import Transport
from pc_provider.provider import SubscriptionUpgradeProvider, _clean

from .partner_center.wire import Wire
from .servicing import UNKNOWN, Client, Servicer

WANTED = {
    "customerId": CUSTOMER_ID,
    "subscriptionId": SUBSCRIPTION_ID,
    "targetOfferId": OFFER_E3,
    "upgradeType": "upgrade_only",
}
IDENTITY = f"{CUSTOMER_ID}/{SUBSCRIPTION_ID}"


class Desk(NamedTuple):
    """A provider, and the emulator that it is configured for."""

    provider: Client
    emulator: Emulator
    transport: Transport

    def control(self, method: str, path: str, told: object = None) -> Any:
        content = None if told is None else json.dumps(told).encode()
        answer = self.transport.send(method, f"{self.emulator.url}/_emulator/{path}", content=content)
        assert answer.status < 300, answer.body
        return json.loads(answer.body)

    def sent(self) -> list[str]:
        """Every request to the API, as ``GET upgrades`` or ``POST upgrades 200``."""
        return [f"{line['method']} {line['path'].rsplit('/', 1)[-1]}" for line in self.control("GET", "journal")]


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def configured_process() -> Iterator[None]:
    """What the provider does to its own process, which here is this one, ends with the test."""
    limit = getattr(sys, "tracebacklimit", None)
    yield
    # Configured anew, it closes the connections it made.
    SubscriptionUpgradeProvider().configure(ConfigureRequest(Config({}, "project")))
    sys.tracebacklimit = limit  # type: ignore[assignment]
    if limit is None:
        del sys.tracebacklimit


@pytest.fixture
def client() -> Iterator[Client]:
    with Servicer() as servicer:
        client = Client(servicer.address)
        yield client
        client.close()


@pytest.fixture
def desk(shared: Emulator, client: Client) -> Iterator[Desk]:
    transport = Transport()
    desk = Desk(client, shared, transport)
    desk.control("POST", "reset")
    client.configure({"partnercenter:endpoint": shared.url, "partnercenter:accessToken": STATIC_TOKEN})
    yield desk
    transport.close()


def refused(method: Any, *arguments: Any) -> str:
    """What the user is shown of a method that fails: the message in one piece, without a traceback of ours."""
    with pytest.raises(grpc.RpcError) as caught:
        method(*arguments)
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.UNKNOWN
    details = str(error.details())
    assert "Traceback" not in details
    assert "File " not in details
    return details


# check


def test_check_gives_back_normalised_inputs(desk: Desk) -> None:
    checked = desk.provider.check({**WANTED, "customerId": f" {CUSTOMER_ID} ", "upgradeType": "", "partner": ""})
    assert checked == (WANTED, [])


def test_check_names_every_failure_at_once(desk: Desk) -> None:
    checked = desk.provider.check({"customerId": "x", "targetOfferId": 5, "quantity": 25, "upgradeType": 1})
    names = [name for name, _ in checked.failures]
    assert names == ["customerId", "subscriptionId", "targetOfferId", "upgradeType", "quantity"]


@pytest.mark.parametrize("name", [*WANTED, "partner"])
def test_check_passes_what_is_not_known_yet(desk: Desk, name: str) -> None:
    checked = desk.provider.check({**WANTED, name: UNKNOWN})
    assert checked.failures == []
    assert checked.inputs[name] == UNKNOWN


@pytest.mark.parametrize("partner", [5, True, ["a"], {"a": {"b": 1}}, "emea"])
def test_check_refuses_a_partner_that_is_not_configured(desk: Desk, partner: object) -> None:
    failures = desk.provider.check({**WANTED, "partner": partner}).failures
    assert len(failures) == 1
    assert "partner" in failures[0][1]


def test_check_and_diff_send_nothing_at_all(client: Client) -> None:
    with Wire(lambda connection: None) as wire:
        client.configure({"partnercenter:endpoint": wire.url, "partnercenter:accessToken": "t"})
        client.check(WANTED)
        assert client.diff(IDENTITY, {**WANTED, "targetSubscriptionId": "t"}, WANTED) is False
        time.sleep(0.05)
        assert wire.connections == 0


@pytest.mark.parametrize(
    "value", [1e300, -0.5, True, None, "\x00\u202e", "x" * 100_000, [[[]]], {"a": {"b": [None]}}, ""]
)
@pytest.mark.parametrize("name", [*WANTED, "partner", "other"])
def test_nothing_is_too_strange_for_check_and_diff(desk: Desk, name: str, value: object) -> None:
    strange = {**WANTED, name: value}
    desk.provider.check(strange, strange)
    if name in WANTED and value not in (None, ""):
        assert "already upgraded" in refused(desk.provider.diff, IDENTITY, WANTED, strange)
    else:
        desk.provider.diff(IDENTITY, strange, strange)


# diff


@pytest.mark.parametrize(
    ("olds", "news", "changes"),
    [
        ({}, {}, False),
        ({}, {"customerId": CUSTOMER_ID.upper(), "targetOfferId": OFFER_E3.lower()}, False),
        ({"quantity": 25.0, "targetStatus": "active"}, {}, False),
        ({"upgradeType": None, "partner": None}, {}, False),
        ({}, {"subscriptionId": UNKNOWN}, True),
        ({}, {"partner": "emea"}, True),
        ({"partner": "emea"}, {"partner": "apac"}, True),
        ({"partner": "emea"}, {}, True),
        ({}, {"partner": UNKNOWN}, True),
    ],
)
def test_diff_says_whether_the_record_changes(
    desk: Desk, olds: dict[str, Any], news: dict[str, Any], changes: bool
) -> None:
    assert desk.provider.diff(IDENTITY, {**WANTED, **olds}, {**WANTED, **news}) is changes


def test_diff_blocks_a_second_upgrade_with_one_clean_message(desk: Desk) -> None:
    olds = {**WANTED, "targetSubscriptionId": "t", "upgradedAt": "2026-11-23T20:00:00Z"}
    message = refused(desk.provider.diff, IDENTITY, olds, {**WANTED, "targetOfferId": OFFER_E5})
    assert f"was already upgraded to offer {OFFER_E3} by upgrade_only on 2026-11-23T20:00:00Z" in message
    assert "declare a new one whose subscription_id is t." in message
    assert desk.sent() == []


# create


def test_create_upgrades_with_one_look_and_one_post(desk: Desk) -> None:
    made = desk.provider.create(WANTED)
    assert made.id == IDENTITY
    assert made.outs.pop("targetSubscriptionId") not in (None, "", SUBSCRIPTION_ID)
    assert made.outs.pop("upgradedAt").endswith("Z")
    assert made.outs == {
        **WANTED,
        "sourceSubscriptionId": SUBSCRIPTION_ID,
        "quantity": 25,
        "licenseErrors": [],
        "adopted": False,
        "targetStatus": "active",
    }
    assert desk.sent() == ["GET upgrades", "POST upgrades"]


def test_create_again_adopts_and_sends_nothing(desk: Desk) -> None:
    made = desk.provider.create(WANTED)
    again = desk.provider.create(WANTED)
    assert again.outs["adopted"] is True
    assert again.outs["targetSubscriptionId"] == made.outs["targetSubscriptionId"]
    assert desk.sent().count("POST upgrades") == 1


def test_create_refuses_what_is_not_offered(desk: Desk) -> None:
    offer = "11111111-2222-4333-8444-555555555555"
    message = refused(desk.provider.create, {**WANTED, "targetOfferId": offer})
    assert offer in message
    assert message.count("What to do: ") == 1
    assert OFFER_E5.lower() in message.lower()
    assert "POST upgrades" not in desk.sent()


def test_create_warns_of_each_user_whose_licences_were_not_moved(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    user = {"userObjectId": "u", "name": "Ada", "email": "ada@contoso.example"}
    told = {"offerId": OFFER_E1, "quantity": 3, "emulator": {"licenseErrors": [user]}}
    added = desk.control("POST", "customers", {"subscriptions": [told]})
    wanted = {
        **WANTED,
        "customerId": added["id"],
        "subscriptionId": added["subscriptions"][0]["id"],
        "upgradeType": "upgrade_with_license_transfer",
    }
    made = desk.provider.create(wanted)
    assert [user["name"] for user in made.outs["licenseErrors"]] == ["Ada"]
    printed = capsys.readouterr().out
    assert "was upgraded, but a user's licences were not moved: Ada (ada@contoso.example)" in printed


# read


def test_read_shows_the_present_status_and_nothing_else_changes(desk: Desk) -> None:
    made = desk.provider.create(WANTED)
    assert desk.provider.read(IDENTITY, made.outs) == (IDENTITY, made.outs, {})
    target = made.outs["targetSubscriptionId"]
    desk.control("PATCH", f"customers/{CUSTOMER_ID}/subscriptions/{target}", {"status": "suspended", "quantity": 30})
    seen = desk.provider.read(IDENTITY, made.outs)
    assert seen.outs == {**made.outs, "targetStatus": "suspended", "quantity": 30}


def test_read_drops_a_record_on_a_definite_answer_only(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    stored = {**WANTED, "targetSubscriptionId": "11111111-2222-4333-8444-555555555555"}
    assert desk.provider.read(IDENTITY, stored) == ("", {}, {})
    assert "no longer exists; its record is dropped" in capsys.readouterr().out
    for fault in ({"status": 401}, {"status": 403}, {"status": 400}):
        desk.control("POST", "faults", {"kind": "status", **fault, "times": None})
        assert str(fault["status"]) in refused(desk.provider.read, IDENTITY, stored)
        desk.control("DELETE", "faults")


def test_read_of_an_identity_alone_finds_the_upgrade(desk: Desk) -> None:
    made = desk.provider.create(WANTED)
    found = desk.provider.read(IDENTITY, {})
    assert found.id == IDENTITY
    assert found.inputs == {**WANTED, "targetOfferId": found.outs["targetOfferId"]}
    assert found.outs["targetSubscriptionId"] == made.outs["targetSubscriptionId"]
    assert found.outs["targetOfferId"].upper() == OFFER_E3


def test_read_of_what_was_not_upgraded_is_refused(desk: Desk) -> None:
    assert "it was not upgraded; it is active" in refused(desk.provider.read, IDENTITY, {})


@pytest.mark.parametrize("identity", ["x", "x/", "/y", "a/b/c", "../..", "x" * 1000, "a/\u202e"])
def test_read_of_no_identity_is_refused(desk: Desk, identity: str) -> None:
    refused(desk.provider.read, identity, {})


# update and delete


@pytest.mark.parametrize(("news", "partner"), [({"partner": "emea"}, "emea"), ({}, None)])
def test_update_stores_another_partner_and_sends_nothing(desk: Desk, news: dict[str, Any], partner: str | None) -> None:
    olds = {**WANTED, "partner": "old", "targetSubscriptionId": "t", "quantity": 25.0, "adopted": True}
    kept = {name: value for name, value in olds.items() if name != "partner"}
    outs = desk.provider.update(IDENTITY, olds, {**WANTED, **news})
    assert outs == {**kept, **({"partner": partner} if partner else {})}
    assert desk.sent() == []


def test_update_blocks_a_second_upgrade_too(desk: Desk) -> None:
    message = refused(desk.provider.update, IDENTITY, WANTED, {**WANTED, "targetOfferId": OFFER_E5})
    assert "An upgrade is made once" in message


@pytest.mark.parametrize("props", [{}, {"targetSubscriptionId": "t-1"}])
def test_delete_sends_nothing_and_says_what_stays(
    desk: Desk, props: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    desk.provider.delete(IDENTITY, props)
    printed = capsys.readouterr().out
    assert f"the upgrade of subscription {SUBSCRIPTION_ID} of customer {CUSTOMER_ID} can't be undone" in printed
    assert f"{props.get('targetSubscriptionId', 'its target')} stays active and billed" in printed
    assert desk.sent() == []


# A configuration that can't be used


BAD = [
    ({"partnercenter:requestTimeout": "soon"}, "partnercenter:requestTimeout"),
    ({"partnercenter:endpoint": "http://partner.example"}, "partnercenter:endpoint"),
    ({"partnercenter:caBundle": "/no/such/file.pem"}, "partnercenter:caBundle"),
    ({"partnercenter:clientSecret": "canary-1", "partnercenter:cloud": "moon"}, "partnercenter:cloud"),
    ({"partnercenter:partners": "[1"}, "partnercenter:partners"),
    ({"partnercenter:clientSecret": "canary-1"}, "partnercenter:tenantId"),
]


@pytest.mark.parametrize(("config", "key"), BAD)
def test_a_bad_setting_is_told_by_check_and_stops_nothing_but_the_upgrade(
    client: Client, config: dict[str, str], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client.configure(config)
    [(name, reason)] = client.check(WANTED).failures
    assert name == ""
    assert key in reason
    assert "canary" not in reason
    assert key in refused(client.create, WANTED)
    assert key in refused(client.read, IDENTITY, {**WANTED, "targetSubscriptionId": "t"})
    assert client.diff(IDENTITY, WANTED, WANTED) is False
    assert client.update(IDENTITY, WANTED, WANTED) == WANTED
    client.delete(IDENTITY, WANTED)
    assert "stays active and billed" in capsys.readouterr().out


def test_all_bad_settings_come_in_one_message(client: Client) -> None:
    client.configure({"partnercenter:requestTimeout": "soon", "partnercenter:mediaType": "text/csv"})
    [(_, reason)] = client.check(WANTED).failures
    assert "partnercenter:requestTimeout" in reason
    assert "partnercenter:mediaType" in reason


def test_without_a_sign_in_only_the_upgrade_fails(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARM_TENANT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "ARM_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    client.configure({"partnercenter:endpoint": "https://partner.example"})
    assert client.check(WANTED).failures == []
    message = refused(client.create, WANTED)
    assert "nothing is configured to sign in with" in message
    assert "pc-provider doctor" in message


@pytest.mark.parametrize("value", ["\x00", "\ud7ff\uffff", "x" * 100_000, "{", "[" * 50_000, "-1", "nan", "1e999", "²"])
def test_no_setting_is_too_strange_for_configure(client: Client, value: str) -> None:
    from pc_provider.settings import KEYS

    for key in KEYS:
        client.configure({f"partnercenter:{key}": value})
        client.delete(IDENTITY, WANTED)
        Client.check(client, WANTED)


# What must not leave a method


class Leaving(SubscriptionUpgradeProvider):
    """Its methods end in every way that must not reach the engine."""

    @_clean
    def create(self, props: dict[str, Any]) -> Any:
        raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "GeneratorExit": GeneratorExit}.get(
            props["customerId"], ValueError
        )("told\x1b[2J\nthem")

    @_clean
    def read(self, id_: str, props: dict[str, Any]) -> Any:
        return 1 / 0


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "ValueError"])
def test_nothing_leaves_a_method_but_an_error_with_a_message(kind: str) -> None:
    with Servicer() as servicer:
        client = Client(servicer.address, Leaving())
        message = refused(client.create, {"customerId": kind})
        assert f"the provider met something it does not know: {kind}: told [2J them at test_provider.py:" in message
        assert "What to do: run `pulumi up` again" in message
        assert "ZeroDivisionError: division by zero" in refused(client.read, "x", {})
        client.close()


@pytest.mark.parametrize(
    "props", [{}, {"customerId": 5.0}, {**WANTED, "upgradeType": {}}, {**WANTED, "customerId": []}]
)
def test_a_create_with_unchecked_inputs_ends_in_an_error(desk: Desk, props: dict[str, Any]) -> None:
    refused(desk.provider.create, props)
    assert "POST upgrades" not in desk.sent()


def test_the_pickle_of_the_provider_in_a_stack_holds_nothing_of_its_configuration(desk: Desk) -> None:
    desk.provider.create(WANTED)
    assert vars(SubscriptionUpgradeProvider()) == {}


def test_one_process_serves_a_configuration_anew(desk: Desk, tmp_path: Path) -> None:
    """Another configuration replaces the clients that were made with the first."""
    desk.provider.create(WANTED)
    with Emulator(tmp_path / "other.db") as other, Servicer() as servicer:
        client = Client(servicer.address)
        client.configure({"partnercenter:endpoint": other.url})
        made = client.create(WANTED)
        client.close()
    assert made.outs["adopted"] is False
