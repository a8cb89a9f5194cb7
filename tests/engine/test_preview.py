"""What preview shows on the real engine: every upgrade that can't be made, at once, with Partner Center's reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, OFFER_E5, SUBSCRIPTION_ID

from ..conftest import NewStack
from .harness import Run

FABRIKAM = "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04"
FABRIKAM_E1 = "1c2b75c1-74a5-472a-a729-7f8cefc477f9"
FABRIKAM_EXCHANGE = "cf72f14f-1f5a-4e2f-8f0e-2f3a5b1c7d90"
WINGTIP = "46a62ece-10ad-42e5-b3f1-b2ed53e6fc08"
WINGTIP_E3 = "b34024c7-9258-4841-bd0b-1e2a5d5c9d8d"

HEAD = "import pulumi\nfrom pc_provider import SubscriptionUpgrade\n"


def declared(name: str, customer: str, subscription: str, offer: str) -> str:
    """A line of a program."""
    inputs = f'customer_id="{customer}", subscription_id="{subscription}", target_offer_id="{offer}"'
    return f'SubscriptionUpgrade("{name}", {inputs})\n'


CONTOSO_LINE = declared("contoso", CUSTOMER_ID, SUBSCRIPTION_ID, OFFER_E3)
FABRIKAM_LINE = declared("fabrikam", FABRIKAM, FABRIKAM_E1, OFFER_E5)


class Service:
    """A Partner Center that outlives the engine's processes, and what it was asked."""

    def __init__(self, emulator: Emulator) -> None:
        self.config = {"partnercenter:endpoint": emulator.url, "partnercenter:accessToken": "emulator"}
        self._client = httpx.Client(base_url=f"{emulator.url}/_emulator", trust_env=False)
        self._seen = 0

    def change(self, method: str, path: str, told: object) -> Any:
        return self._client.request(method, path, json=told).raise_for_status().json()

    def asked(self) -> list[dict[str, Any]]:
        """The requests since this was last called."""
        found: list[dict[str, Any]] = self._client.get("journal", params={"after": self._seen}).json()
        self._seen = max([self._seen, *(entry["number"] for entry in found)])
        return found

    def methods(self) -> list[str]:
        return sorted(entry["method"] for entry in self.asked())

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Emulator(tmp_path / "service.db") as emulator:
        service = Service(emulator)
        yield service
        service.close()


def clean(run: Run) -> str:
    """What *run* printed, on one line, without anything that only a developer reads."""
    assert "Traceback" not in run.text, f"{run}"
    assert ".py" not in run.text.replace("__main__.py", ""), f"{run}"
    return " ".join(run.text.split())


def test_everything_that_can_not_be_upgraded_is_shown_in_one_preview(
    new_stack: NewStack, service: Service, sdk: str
) -> None:
    suspended = {"id": "99999999-0000-4000-8000-000000000001", "offerId": OFFER_E1, "status": "suspended"}
    customer = service.change("POST", "customers", {"subscriptions": [suspended]})["id"]
    program = (
        HEAD
        + "first = "
        + CONTOSO_LINE
        + f'SubscriptionUpgrade("chained", customer_id="{CUSTOMER_ID}", target_offer_id="{OFFER_E5}",'
        + " subscription_id=first.target_subscription_id)\n"
        + declared("no-path", FABRIKAM, FABRIKAM_EXCHANGE, OFFER_E3)
        + declared("downgrade", WINGTIP, WINGTIP_E3, OFFER_E1)
        + declared("suspended", customer, str(suspended["id"]), OFFER_E3)
        + declared("twin", CUSTOMER_ID, SUBSCRIPTION_ID.upper(), OFFER_E5)
    )
    stack = new_stack(program, config=service.config, sdk=sdk)
    run = stack.preview().failed()
    text = clean(run)
    for expected in (
        # Each with what was attempted, Partner Center's own words, and what to do.
        f"The upgrade of subscription {FABRIKAM_EXCHANGE} of customer {FABRIKAM}: upgrade_only to offer {OFFER_E3} is "
        "not offered.",
        "Partner Center offers no upgrade for it at all",
        f"The upgrade of subscription {WINGTIP_E3} of customer {WINGTIP}: upgrade_only to offer {OFFER_E1} is not",
        "(Office 365 Enterprise E5) by upgrade_only",
        "[subscription_status_not_active]",
        "What to do: Only an active subscription can be upgraded",
        "the resource contoso already upgrades this subscription, to another offer",
        # The one that can be.
        "will be upgraded to Office 365 Enterprise E3, 25 licenses. It can't be undone.",
        "Partner Center upgrades: 1 to upgrade, 0 already done, 4 not eligible, 1 unknown. Nothing was sent",
    ):
        assert expected in text, f"{expected}\n{run}"
    for name in ("no-path", "downgrade", "suspended", "twin"):
        assert re.search(rf"SubscriptionUpgrade\s+{name}\s.*\berror", run.text), f"{name}\n{run}"
    # One look-up where it is eligible, one more to tell why not; the twin and what is not known yet cost none.
    assert service.methods() == ["GET"] * 7

    run = stack.up().failed()
    assert "4 not eligible" in clean(run)
    assert set(service.methods()) == {"GET"}
    assert stack.resources() == []


def test_what_exists_costs_no_request_and_up_asks_again(new_stack: NewStack, service: Service) -> None:
    stack = new_stack(HEAD + CONTOSO_LINE, config=service.config)
    run = stack.up().succeeded()
    assert "1 to upgrade, 0 already done, 0 not eligible, 0 unknown" in clean(run)
    # Preview's look-up, then create's own before it sends.
    assert service.methods() == ["GET", "GET", "POST"]

    stack.write(HEAD + CONTOSO_LINE + FABRIKAM_LINE)
    run = stack.preview().succeeded()
    assert "1 to upgrade, 1 already done, 0 not eligible, 0 unknown" in clean(run)
    asked = service.asked()
    assert [(entry["method"], FABRIKAM_E1 in entry["path"]) for entry in asked] == [("GET", True)]

    stack.configure({"partnercenter:checkEligibility": "false"})
    run = stack.preview().succeeded()
    assert "Partner Center upgrades" not in run.text
    assert service.asked() == []

    # Checkpoints cost what they weigh: at most 3 kB for each resource in the backend's file.
    before = stack.state_file.stat().st_size
    stack.up("--skip-preview").succeeded()
    assert len(stack.resources()) == 2
    assert stack.state_file.stat().st_size - before <= 3000


def test_a_wave_goes_on_past_one_that_can_not_be_upgraded(new_stack: NewStack, service: Service, sdk: str) -> None:
    lines = [declared("no-path", FABRIKAM, FABRIKAM_EXCHANGE, OFFER_E3), CONTOSO_LINE, FABRIKAM_LINE]
    stack = new_stack(HEAD + "".join(lines), config=service.config, sdk=sdk)
    text = clean(stack.up("--skip-preview", "--continue-on-error", "--parallel", "1").failed())
    assert "Partner Center offers no upgrade for it at all" in text
    names = {resource["urn"].rpartition("::")[2] for resource in stack.resources()}
    assert names == {"contoso", "fabrikam"}


def test_one_that_was_upgraded_already_is_said_to_be_recorded(new_stack: NewStack, service: Service) -> None:
    stack = new_stack(HEAD + CONTOSO_LINE, config=service.config)
    path = f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}/upgrades"
    made = httpx.post(
        service.config["partnercenter:endpoint"] + path,
        json={"targetOffer": {"id": OFFER_E3}, "upgradeType": 1},
        headers={"Authorization": "Bearer emulator"},
        trust_env=False,
    )
    target = httpx.Response(200, content=made.content.removeprefix(b"\xef\xbb\xbf")).json()["targetSubscriptionId"]
    run = stack.preview().succeeded()
    assert f"was already upgraded: subscription {target} is on the offer" in clean(run)
    assert {entry["method"] for entry in service.asked()[1:]} == {"GET"}


def test_without_credentials_one_notice_and_no_failure(new_stack: NewStack, sdk: str) -> None:
    endpoint = "https://partnercenter.invalid"
    stack = new_stack(HEAD + CONTOSO_LINE + FABRIKAM_LINE, config={"partnercenter:endpoint": endpoint}, sdk=sdk)
    text = clean(stack.preview().succeeded())
    # The engine shows each message as it comes, and once more at the end.
    messages = text.partition("Diagnostics:")[2]
    assert messages.count("Eligibility was not checked: nothing is configured to sign in") == 1
    assert "0 to upgrade, 0 already done, 0 not eligible, 2 unknown" in text


def test_a_service_that_can_not_be_asked_fails_the_preview(new_stack: NewStack, service: Service) -> None:
    service.change("POST", "faults", [{"kind": "status", "status": 403, "times": None, "path": FABRIKAM_E1}])
    stack = new_stack(HEAD + CONTOSO_LINE + FABRIKAM_LINE, config=service.config)
    text = clean(stack.preview().failed())
    assert f"Reading the upgrades of subscription {FABRIKAM_E1}" in text
    assert "Partner Center answered 403" in text
    assert "For support: request id" in text
    assert "1 to upgrade, 0 already done, 0 not eligible, 1 unknown" in text


def test_all_are_asked_at_once(new_stack: NewStack, service: Service) -> None:
    count, seconds = 40, 0.5
    customers = [{"subscriptions": [{"offerId": OFFER_E1}]} for _ in range(count)]
    made = service.change("POST", "customers", customers)
    service.change("POST", "latency", {"seconds": seconds})
    program = HEAD + "".join(
        declared(f"upgrade-{number}", customer["id"], customer["subscriptions"][0]["id"], OFFER_E3)
        for number, customer in enumerate(made)
    )
    text = clean(new_stack(program, config=service.config).preview().succeeded())
    assert f"{count} to upgrade" in text
    moments = [datetime.fromisoformat(entry["time"].replace("Z", "+00:00")) for entry in service.asked()]
    assert len(moments) == count
    assert (max(moments) - min(moments)).total_seconds() < count * seconds / 4


def test_a_misspelt_setting_is_told_once(new_stack: NewStack) -> None:
    stack = new_stack(HEAD + CONTOSO_LINE + FABRIKAM_LINE)
    stack.configure({"partnercenter:checkEligibilty": "false", "partnercenter:region": "emea"})
    told = stack.preview().succeeded().stdout.partition("Diagnostics:")[2]
    assert told.count("partnercenter:checkEligibilty is not a setting") == 1
    assert "is partnercenter:checkEligibility meant?" in told
    assert "partnercenter:region" not in told
