"""An emulator for the tests of this folder: one server a session, back to its first state before each test."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, STATIC_TOKEN, SUBSCRIPTION_ID


class Client(httpx.Client):
    """httpx with the paths of Partner Center, and bodies read as any client of the service would."""

    def __init__(self, emulator: Emulator, token: str | None = STATIC_TOKEN) -> None:
        verify: Any = ssl.create_default_context(cafile=emulator.ca_bundle) if emulator.ca_bundle else False
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(base_url=emulator.url, headers=headers, verify=verify, trust_env=False, timeout=30)

    def upgrades(self, subscription: str = SUBSCRIPTION_ID, customer: str = CUSTOMER_ID, **options: Any) -> Any:
        return read(self.get(f"/v1/customers/{customer}/subscriptions/{subscription}/upgrades", **options))

    def upgrade(
        self,
        subscription: str = SUBSCRIPTION_ID,
        customer: str = CUSTOMER_ID,
        offer: str = OFFER_E3,
        upgrade_type: object = 1,
        **options: Any,
    ) -> Any:
        body = {"targetOffer": {"id": offer}, "upgradeType": upgrade_type}
        return read(self.post(f"/v1/customers/{customer}/subscriptions/{subscription}/upgrades", json=body, **options))

    def subscription(self, subscription: str = SUBSCRIPTION_ID, customer: str = CUSTOMER_ID) -> Any:
        return read(self.get(f"/v1/customers/{customer}/subscriptions/{subscription}"))

    def add(self, *subscriptions: dict[str, Any], **customer: Any) -> tuple[str, list[str]]:
        """A new customer: its id, and the ids of its subscriptions."""
        answer = self.post("/_emulator/customers", json={**customer, "subscriptions": list(subscriptions)})
        assert answer.status_code == 201, answer.text
        tree = answer.json()
        return tree["id"], [entry["id"] for entry in tree["subscriptions"]]

    def control(self, name: str, told: Any) -> Any:
        answer = self.post(f"/_emulator/{name}", json=told)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def journal(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = self.get("/_emulator/journal").json()
        return lines


def read(answer: httpx.Response) -> Any:
    """The body of a success; a failed request fails the test."""
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content.decode("utf-8-sig"))


def codes(errors: list[dict[str, Any]]) -> list[int]:
    return [error["code"] for error in errors]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator") / "state.db") as emulator:
        yield emulator


@pytest.fixture
def emulator(shared: Emulator) -> Emulator:
    httpx.post(f"{shared.url}/_emulator/reset", trust_env=False)
    return shared


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator) as client:
        yield client


@pytest.fixture
def e1() -> dict[str, Any]:
    """A subscription on E1, as the control path takes it."""
    return {"offerId": OFFER_E1, "quantity": 3}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"
