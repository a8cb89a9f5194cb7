"""
The engine's floor: a dynamic resource that asks nobody.

It sleeps as long as one GET and one POST would take (BENCH_SLEEP, seconds), on widened threads, and stores as much as
an upgrade does. What the engine, the SDK and this machine need for N such resources is the least that N upgrades can
take.
"""

import os
import sys
import threading
import time
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
)

SLEEP = float(os.environ.get("BENCH_SLEEP", "0"))
OUTPUTS = (
    "source_subscription_id",
    "target_subscription_id",
    "quantity",
    "license_errors",
    "adopted",
    "target_status",
    "upgraded_at",
)
CAMEL_CASE = {
    "customer_id": "customerId",
    "subscription_id": "subscriptionId",
    "target_offer_id": "targetOfferId",
    "upgrade_type": "upgradeType",
    "source_subscription_id": "sourceSubscriptionId",
    "target_subscription_id": "targetSubscriptionId",
    "license_errors": "licenseErrors",
    "target_status": "targetStatus",
    "upgraded_at": "upgradedAt",
}
SNAKE_CASE = {camel: snake for snake, camel in CAMEL_CASE.items()}


def widen(threads: int) -> None:
    """As `pc_provider.engine.widen` does."""
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    while frame is not None:
        if frame.f_code.co_name == "main" and "server" in frame.f_locals:
            frame.f_locals["server"]._state.thread_pool._max_workers = threads
        frame = frame.f_back


class SleepingProvider(ResourceProvider):
    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        widen(1024)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=False)

    def create(self, props: dict[str, Any]) -> CreateResult:
        time.sleep(SLEEP)
        inputs = {name: value for name, value in props.items() if not name.startswith("__") and value is not None}
        return CreateResult(
            f"{props['customerId']}/{props['subscriptionId']}",
            {
                **inputs,
                "sourceSubscriptionId": props["subscriptionId"],
                "targetSubscriptionId": "7" + props["subscriptionId"][1:],
                "quantity": 25,
                "licenseErrors": [],
                "adopted": False,
                # As much longer as the measured provider's module names, which the SDK writes into each record.
                "targetStatus": "active".ljust(144),
                "upgradedAt": "2026-01-01T00:00:00Z",
            },
        )


class Sleeping(Resource, module="partnercenter", name="SubscriptionUpgrade"):
    customer_id: pulumi.Output[str]
    subscription_id: pulumi.Output[str]
    target_offer_id: pulumi.Output[str]
    upgrade_type: pulumi.Output[str]
    source_subscription_id: pulumi.Output[str]
    target_subscription_id: pulumi.Output[str]
    quantity: pulumi.Output[int]
    license_errors: pulumi.Output[list[Any]]
    adopted: pulumi.Output[bool]
    target_status: pulumi.Output[str]
    upgraded_at: pulumi.Output[str]

    def __init__(self, name: str, **inputs: Any) -> None:
        outputs = dict.fromkeys(OUTPUTS)
        super().__init__(SleepingProvider(), name, {**outputs, **inputs, "upgrade_type": "upgrade_only"})

    def translate_input_property(self, prop: str) -> str:
        return CAMEL_CASE.get(prop, prop)

    def translate_output_property(self, prop: str) -> str:
        return SNAKE_CASE.get(prop, prop)
