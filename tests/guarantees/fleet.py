"""Subscriptions to upgrade at an emulator on a socket, a program that upgrades them, and what came of it."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.request import ProxyHandler, Request, build_opener

from pc_provider.emulator.registration import OFFER_E1, OFFER_E3, STATIC_TOKEN
from tests.engine.harness import Stack

PROGRAM = """
    import json
    from pathlib import Path

    from pc_provider import SubscriptionUpgrade

    for declared in json.loads(Path("fleet.json").read_text()):
        SubscriptionUpgrade(**declared)
"""

_open = build_opener(ProxyHandler({})).open


class Source(NamedTuple):
    """A subscription to upgrade."""

    customer_id: str
    subscription_id: str
    target_offer_id: str = OFFER_E3


class PartnerCenterControl:
    """The control paths of an emulator at *url*."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, told: object = None) -> Any:
        """One request to a control path; *told* is sent as JSON."""
        body = None if told is None else json.dumps(told).encode()
        with _open(Request(f"{self.url}/_emulator/{path}", data=body, method=method), timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def fleet(self, count: int, *, in_one_customer: bool = False) -> list[Source]:
        """
        *count* new active subscriptions on E1, each of a customer of its own.

        *in_one_customer* gives them to one customer, with different quantities.
        """
        shared = str(uuid.uuid4())
        sources = [Source(shared if in_one_customer else str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(count)]
        self.ask(
            "POST",
            "customers",
            [
                {
                    "id": source.customer_id,
                    "subscriptions": [
                        {"id": source.subscription_id, "offerId": OFFER_E1, "quantity": number + 1, "status": "active"}
                    ],
                }
                for number, source in enumerate(sources)
            ],
        )
        return sources

    def upgrades(self) -> list[dict[str, Any]]:
        """The upgrades that were performed."""
        made: list[dict[str, Any]] = self.ask("GET", "upgrades")
        return made

    def targets(self) -> dict[str, str]:
        """The target of each upgraded source. No source may have been upgraded twice."""
        made = self.upgrades()
        counts = Counter(upgrade["sourceSubscriptionId"] for upgrade in made)
        assert not [source for source, count in counts.items() if count > 1], made
        return {upgrade["sourceSubscriptionId"]: upgrade["targetSubscriptionId"] for upgrade in made}

    def journal(self, method: str = "") -> list[dict[str, Any]]:
        """The requests to the API, those of one method where it is given."""
        entries: list[dict[str, Any]] = self.ask("GET", "journal")
        return [entry for entry in entries if method in ("", entry["method"])]

    def calm(self) -> None:
        """No faults, limits or latency from now on."""
        for kind in ("faults", "limits", "latency"):
            self.ask("DELETE", kind)
        self.ask("POST", "listing", {"seconds": 0})


def settings(url: str, **more: str) -> dict[str, str]:
    """The configuration of a stack that works against the emulator at *url*."""
    return {
        "partnercenter:endpoint": url,
        "partnercenter:accessToken": STATIC_TOKEN,
        **{f"partnercenter:{key}": value for key, value in more.items()},
    }


def declare(stack: Stack, sources: list[Source], *, prefix: str = "upgrade") -> None:
    """Makes the stack's program one that upgrades *sources*."""
    declared = [{"resource_name": f"{prefix}-{number}", **source._asdict()} for number, source in enumerate(sources)]
    stack.write(PROGRAM)
    (stack.program_folder / "fleet.json").write_text(json.dumps(declared))


def recorded(stack: Stack) -> dict[str, Mapping[str, Any]]:
    """The outputs that the stack has of each source. No source may be there twice."""
    resources = stack.resources()
    outputs = {resource["outputs"]["sourceSubscriptionId"].lower(): resource["outputs"] for resource in resources}
    assert len(outputs) == len(resources), resources
    return outputs


def is_complete(stack: Stack, control: PartnerCenterControl, sources: list[Source]) -> bool:
    """
    Whether the stack has every source with its target.

    What it has must be true, and no source may have been upgraded twice, whether it is complete or not.
    """
    targets = control.targets()
    outputs = recorded(stack)
    for source, record in outputs.items():
        assert record["targetSubscriptionId"].lower() == targets[source], (record, targets)
    return {source.subscription_id for source in sources} <= set(outputs)
