"""The main job on the real engine: one upgrade is previewed, made, remembered, refused a second time, and forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import (
    CLIENT_SECRET,
    CUSTOMER_ID,
    OFFER_E1,
    OFFER_E3,
    OFFER_E5,
    STATIC_TOKEN,
    SUBSCRIPTION_ID,
)

from ..conftest import NewStack
from ..test_public_surface import PICKLE
from .harness import ROOT, Run, Stack

NOWHERE = "11111111-2222-4333-8444-555555555555"


def program(offer: str = OFFER_E3, subscription: str = SUBSCRIPTION_ID, **more: str) -> str:
    """One upgrade, with its ids as outputs."""
    inputs = {"customer_id": CUSTOMER_ID, "subscription_id": subscription, "target_offer_id": offer, **more}
    arguments = ", ".join(f"{name}={value!r}" for name, value in inputs.items())
    return (
        "import pulumi\nfrom pc_provider import SubscriptionUpgrade\n"
        f'upgrade = SubscriptionUpgrade("contoso", {arguments})\n'
        'pulumi.export("source", upgrade.source_subscription_id)\n'
        'pulumi.export("target", upgrade.target_subscription_id)\n'
    )


CHAIN = (
    program()
    + f'further = SubscriptionUpgrade("further", customer_id={CUSTOMER_ID!r}, target_offer_id={OFFER_E5!r},'
    + " subscription_id=upgrade.target_subscription_id)\n"
    + 'pulumi.export("last", further.target_subscription_id)\n'
)


class Service:
    """A Partner Center that outlives the engine's processes, and what it was asked."""

    def __init__(self, emulator: Emulator) -> None:
        self.url = emulator.url
        self.config = {"partnercenter:endpoint": emulator.url}
        self._client = httpx.Client(base_url=emulator.url, trust_env=False)
        self._seen = 0

    def close(self) -> None:
        self._client.close()

    def change(self, method: str, path: str, told: object) -> None:
        headers = {"Authorization": f"Bearer {STATIC_TOKEN}"}
        self._client.request(method, path, json=told, headers=headers).raise_for_status()

    def asked(self) -> list[dict[str, Any]]:
        """The requests to the API since this was last called."""
        found: list[dict[str, Any]] = self._client.get("/_emulator/journal", params={"after": self._seen}).json()
        self._seen = max([self._seen, *(entry["number"] for entry in found)])
        return found

    def methods(self) -> list[str]:
        return [entry["method"] for entry in self.asked()]

    def sign_ins(self) -> int:
        return len(self._client.get("/_emulator/sign-ins").json())

    def subscription(self, identity: str) -> dict[str, Any]:
        customers = self._client.get("/_emulator/state").json()["customers"]
        [found] = [held for customer in customers for held in customer["subscriptions"] if held["id"] == identity]
        return dict(found)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Emulator(tmp_path / "service.db") as emulator:
        service = Service(emulator)
        yield service
        service.close()


def clean(run: Run) -> str:
    """What *run* printed, in one line, without anything that only a developer reads."""
    assert "Traceback" not in run.text, f"{run}"
    assert ".py" not in run.text, f"{run}"
    return " ".join(run.text.split())


def test_the_story(new_stack: NewStack, service: Service, sdk: str) -> None:
    stack = new_stack(program(), config=service.config, sdk=sdk)

    assert "Partner Center upgrades: 1 to upgrade" in clean(stack.preview().succeeded())
    assert "POST" not in service.methods()

    stack.up().succeeded()
    outputs = stack.outputs()
    assert outputs["source"] == SUBSCRIPTION_ID
    target = service.subscription(outputs["target"])
    assert (target["offerId"].upper(), target["quantity"], target["status"]) == (OFFER_E3, 25, "active")
    source = service.subscription(SUBSCRIPTION_ID)
    assert (source["status"], source["suspensionReasons"]) == ("suspended", ["Transition"])
    asked = service.asked()
    assert sum(entry["accepted"] for entry in asked) == 1
    # The preview asks once; the upgrade is one look and one POST, under one token.
    assert [entry["method"] for entry in asked] == ["GET", "GET", "POST"]
    signed_in = service.sign_ins()

    assert "2 unchanged" in clean(stack.up().succeeded())
    assert service.methods() == []
    assert service.sign_ins() == signed_in

    stack.write(program(OFFER_E5))
    for run in (stack.preview(), stack.up()):
        message = clean(run.failed())
        assert (
            f"Subscription {SUBSCRIPTION_ID} of customer {CUSTOMER_ID} was already upgraded to offer {OFFER_E3} by "
            "upgrade_only on 20"
        ) in message
        assert (
            f"and is now subscription {outputs['target']}. The program now asks for target_offer_id {OFFER_E5}"
            in message
        )
        assert f"declare a new one whose subscription_id is {outputs['target']}." in message
    assert service.methods() == []

    destroyed = clean(stack.destroy().succeeded())
    assert f"the upgrade of subscription {SUBSCRIPTION_ID} of customer {CUSTOMER_ID} can't be undone" in destroyed
    assert f"Subscription {outputs['target']} stays active and billed" in destroyed
    assert stack.resources() == []
    assert service.methods() == []
    assert service.subscription(outputs["target"])["status"] == "active"


def test_chained_upgrades_a_refresh_and_a_change_from_outside(new_stack: NewStack, service: Service) -> None:
    stack = new_stack(CHAIN, config=service.config)
    clean(stack.preview().succeeded())
    assert "POST" not in service.methods()
    stack.up().succeeded()
    outputs = stack.outputs()
    assert service.subscription(outputs["last"])["offerId"].upper() == OFFER_E5
    assert service.subscription(outputs["target"])["status"] == "suspended"
    assert [entry["method"] for entry in service.asked() if entry["accepted"]] == ["POST", "POST"]

    first, second = stack.resources()
    assert first["outputs"]["targetSubscriptionId"] == second["outputs"]["sourceSubscriptionId"] == outputs["target"]

    # The first one's target was suspended by the second upgrade: that is what a refresh finds.
    clean(stack.refresh().succeeded())
    assert [made["outputs"]["targetStatus"] for made in stack.resources()] == ["suspended", "active"]
    before = stack.resources()
    assert "3 unchanged" in clean(stack.refresh().succeeded())
    assert stack.resources() == before

    path = f"/_emulator/customers/{CUSTOMER_ID}/subscriptions/{outputs['last']}"
    service.change("PATCH", path, {"status": "suspended"})
    told = clean(stack.refresh().succeeded())
    assert f"{outputs['last']} of customer {CUSTOMER_ID}" in told
    assert "is not as it was stored: target_status is suspended (was active)." in told
    assert [made["outputs"]["targetStatus"] for made in stack.resources()] == ["suspended", "suspended"]
    assert {made["id"] for made in stack.resources()} == {made["id"] for made in before}
    service.asked()
    assert "3 unchanged" in clean(stack.up().succeeded())
    assert service.methods() == []


def test_an_upgrade_made_elsewhere_is_read_into_another_stack(new_stack: NewStack, service: Service) -> None:
    made = new_stack(program(), config=service.config)
    made.up().succeeded()
    service.asked()
    reading = (
        "import pulumi\nfrom pc_provider import SubscriptionUpgrade\n"
        f'known = SubscriptionUpgrade.get("known", "{CUSTOMER_ID}/{SUBSCRIPTION_ID}")\n'
        'pulumi.export("target", known.target_subscription_id)\n'
        'pulumi.export("adopted", known.adopted)\n'
    )
    other = new_stack(reading, config=service.config)
    clean(other.up().succeeded())
    assert other.outputs() == {"target": made.outputs()["target"], "adopted": True}
    assert set(service.methods()) == {"GET"}


def test_another_partner_name_is_stored_and_sends_nothing(new_stack: NewStack, service: Service) -> None:
    partners = json.dumps({name: {"accessToken": STATIC_TOKEN} for name in ("emea", "apac")})
    stack = new_stack(program(partner="emea"), config=service.config, secrets={"partnercenter:partners": partners})
    stack.up().succeeded()
    service.asked()
    stack.write(program(partner="apac"))
    assert "1 updated" in clean(stack.up().succeeded())
    [resource] = stack.resources()
    assert (resource["inputs"]["partner"], resource["outputs"]["partner"]) == ("apac", "apac")
    assert "2 unchanged" in clean(stack.up().succeeded())
    stack.write(program(partner="mars"))
    assert "'mars' is not configured; known: apac, emea" in clean(stack.preview().failed())
    assert service.methods() == []


def test_what_the_state_holds_of_an_upgrade(new_stack: NewStack, service: Service) -> None:
    stack = new_stack(program(), config=service.config)
    printed = stack.up().succeeded().text
    [resource] = stack.resources()
    assert resource["type"] == "pulumi-python:dynamic/partnercenter:SubscriptionUpgrade"
    assert resource["id"] == f"{CUSTOMER_ID}/{SUBSCRIPTION_ID}"
    assert resource["inputs"].pop("__provider") == resource["outputs"].pop("__provider") == PICKLE
    inputs = {
        "customerId": CUSTOMER_ID,
        "subscriptionId": SUBSCRIPTION_ID,
        "targetOfferId": OFFER_E3,
        "upgradeType": "upgrade_only",
    }
    assert resource["inputs"] == inputs
    outputs = resource["outputs"]
    assert outputs.pop("upgradedAt").endswith("Z")
    assert outputs == {
        **inputs,
        "sourceSubscriptionId": SUBSCRIPTION_ID,
        "targetSubscriptionId": stack.outputs()["target"],
        "quantity": 25,
        "licenseErrors": [],
        "adopted": False,
        "targetStatus": "active",
    }
    state = json.loads(stack.state_file.read_text())["checkpoint"]["latest"]["resources"]
    [stored] = [entry for entry in state if entry.get("id") == resource["id"]]
    assert len(json.dumps(stored, separators=(",", ":"))) <= 3000
    for text in (printed, stack.state_file.read_text()):
        assert CLIENT_SECRET not in text
        assert "eyJ" not in text
        assert "Bearer" not in text


def test_failures_of_an_upgrade_are_one_clean_message(new_stack: NewStack, service: Service, sdk: str) -> None:
    stack = new_stack(program(subscription=NOWHERE), config=service.config, sdk=sdk)
    for message in (clean(stack.preview().failed()), clean(stack.up("--skip-preview").failed())):
        assert f"Reading the upgrades of subscription {NOWHERE} of customer {CUSTOMER_ID}: " in message
        assert "Partner Center answered 404, code 20003: " in message
        assert "What to do: Check subscription_id; it must be a subscription of this customer" in message
        assert "For support: request id " in message

    stack.write(program(OFFER_E1, upgrade_type="upgrade_with_license_transfer"))
    message = clean(stack.up("--skip-preview").failed())
    assert "What to do: " in message
    stack.write(program("CFQ7TTC0LF8S:0002:CFQ7TTC0KX9G", subscription="abc", upgrade_type="sideways"))
    message = clean(stack.preview().failed())
    for expected in (
        "subscription_id must be a GUID",
        "target_offer_id is a new-commerce id",
        "upgrade_type must be one of upgrade_only, upgrade_with_license_transfer",
    ):
        assert expected in message
    assert stack.resources() == []
    assert "POST" not in service.methods()


def test_a_bad_configuration_is_one_message_that_names_the_key(new_stack: NewStack, sdk: str) -> None:
    def told(stack: Stack, key: str, reason: str) -> None:
        run = stack.preview().failed()
        message = clean(run)
        assert "The configuration can't be used: " in message
        assert reason in message, f"{run}"
        assert key in message
        assert "1 errored" in message, f"{run}"
        assert "canary" not in message

    stack = new_stack(program(), config={"partnercenter:endpoint": "http://partner.example"}, sdk=sdk)
    told(stack, "partnercenter:endpoint", "is plain http to partner.example")
    stack.configure(
        {"partnercenter:endpoint": "https://partner.example", "partnercenter:clientId": NOWHERE},
        secrets={"partnercenter:clientSecret": "canary-7a1"},
    )
    told(stack, "partnercenter:tenantId", "partnercenter:tenantId")
    stack.configure({"partnercenter:tenantId": NOWHERE, "partnercenter:caBundle": "/no/such/file.pem"})
    told(stack, "partnercenter:caBundle", "names /no/such/file.pem, which is not a file that can be read")


def test_the_quickstart_names_what_this_story_upgrades() -> None:
    text = (ROOT / "examples" / "quickstart" / "__main__.py").read_text()
    assert CUSTOMER_ID in text
    assert SUBSCRIPTION_ID in text
    assert OFFER_E3 in text
