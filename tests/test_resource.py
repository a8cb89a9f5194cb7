"""The resource in a program, with Pulumi's own mocks in place of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, settings

from pc_provider import SubscriptionUpgrade

from .test_public_surface import PICKLE

CUSTOMER = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
SOURCE = "a356ac8c-e310-44f4-bf85-c7f29044af99"
TARGET = "7d8f1c9e-2b5a-4f60-9d3e-1a2b3c4d5e6f"
E3 = "796B6B5F-613C-4E24-A17C-EBA730D49C02"


class Engine(mocks.Mocks):
    """Upgrades whatever is registered, and keeps what it was told."""

    def __init__(self) -> None:
        self.registered: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.registered.append(args)
        made = {
            **args.inputs,
            "sourceSubscriptionId": args.inputs.get("subscriptionId", SOURCE),
            "targetSubscriptionId": TARGET,
            "quantity": 25.0,
            "licenseErrors": [{"userObjectId": "u", "name": "Ada"}],
            "adopted": False,
            "targetStatus": "active",
            "upgradedAt": "2026-11-23T20:00:00Z",
        }
        return args.resource_id or f"{CUSTOMER}/{SOURCE}", made

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        return {}


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    mocks.set_mocks(engine, preview=False)
    yield engine
    settings.reset_options()


def run(program: Callable[[], Any]) -> dict[str, Any]:
    """The values of the outputs that *program* gives."""
    seen: dict[str, Any] = {}

    @pulumi.runtime.test
    def declare() -> pulumi.Output[None]:
        return pulumi.Output.all(**program()).apply(seen.update)

    declare()
    return seen


def declared(**more: Any) -> SubscriptionUpgrade:
    return SubscriptionUpgrade("contoso", customer_id=CUSTOMER, subscription_id=SOURCE, target_offer_id=E3, **more)


def outputs_of(resource: SubscriptionUpgrade) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in SubscriptionUpgrade.__annotations__}


def test_a_program_sees_what_the_upgrade_gave(engine: Engine) -> None:
    assert run(lambda: outputs_of(declared())) == {
        "customer_id": CUSTOMER,
        "subscription_id": SOURCE,
        "target_offer_id": E3,
        "upgrade_type": "upgrade_only",
        "partner": None,
        "source_subscription_id": SOURCE,
        "target_subscription_id": TARGET,
        "quantity": 25,
        "license_errors": [{"user_object_id": "u", "name": "Ada"}],
        "adopted": False,
        "target_status": "active",
        "upgraded_at": "2026-11-23T20:00:00Z",
    }


def test_the_engine_is_told_the_type_the_inputs_and_the_provider_and_nothing_else(engine: Engine) -> None:
    run(lambda: {"id": declared(partner="emea", upgrade_type="upgrade_with_license_transfer").id})
    [told] = engine.registered
    assert told.typ == "pulumi-python:dynamic/partnercenter:SubscriptionUpgrade"
    assert told.name == "contoso"
    assert told.inputs == {
        "customerId": CUSTOMER,
        "subscriptionId": SOURCE,
        "targetOfferId": E3,
        "upgradeType": "upgrade_with_license_transfer",
        "partner": "emea",
        "__provider": PICKLE,
    }


def test_one_upgrade_feeds_the_next(engine: Engine) -> None:
    def program() -> dict[str, Any]:
        first = declared()
        second = SubscriptionUpgrade(
            "onwards", customer_id=CUSTOMER, subscription_id=first.target_subscription_id, target_offer_id=E3
        )
        return {"source": second.source_subscription_id}

    assert run(program) == {"source": TARGET}


def test_an_upgrade_made_elsewhere_is_read_by_its_identity(engine: Engine) -> None:
    seen = run(lambda: {"target": SubscriptionUpgrade.get("known", f"{CUSTOMER}/{SOURCE}").target_subscription_id})
    assert seen == {"target": TARGET}
    [told] = engine.registered
    assert told.resource_id == f"{CUSTOMER}/{SOURCE}"


def test_names_that_are_not_ours_stay_as_they_are(engine: Engine) -> None:
    def program() -> dict[str, Any]:
        resource = declared()
        assert resource.translate_input_property("other_name") == "other_name"
        assert resource.translate_input_property("target_offer_id") == "targetOfferId"
        assert resource.translate_output_property("__provider") == "__provider"
        assert resource.translate_output_property("targetOfferId") == "target_offer_id"
        return {"id": resource.id}

    run(program)
