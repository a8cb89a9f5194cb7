"""
Every fault of the emulator, before and after the work, on every request of an upgrade, once, twice and for good.

Over real sockets, with the real client. The oracle is the emulator's journal.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pc_provider import upgrade
from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from pc_provider.partner_center.client import PartnerCenter
from pc_provider.partner_center.credentials import credential
from pc_provider.partner_center.errors import PartnerCenterError, SignInError
from pc_provider.partner_center.pace import Pace
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings
from tests.guarantees.fleet import PartnerCenterControl, Source

KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "reset"},
    {"kind": "truncate"},
    {"kind": "garbage"},
    {"kind": "delay", "seconds": 0.2},
    {"kind": "delay", "seconds": 1.0},
    *({"kind": "status", "status": status} for status in (302, 400, 401, 403, 404, 408, 409, 500, 502, 503, 504)),
    {"kind": "status", "status": 429, "retryAfter": 1},
    {"kind": "status", "status": 503, "retryAfter": 1},
)
WHEN = ("before", "after")
TIMES: tuple[int | None, ...] = (1, 2, None)
SECONDS = 6.0


class Where(NamedTuple):
    """Which request of an upgrade is struck."""

    name: str
    method: str
    path: str


GET_UPGRADES = Where("GET upgrades", "GET", "{subscription}/upgrades$")
GET_SOURCE = Where("GET subscription", "GET", "{subscription}$")
POST_UPGRADE = Where("POST upgrades", "POST", "{subscription}/upgrades$")
LIST = Where("GET subscriptions", "GET", "{customer}/subscriptions$")
# What is read only when something is in doubt is met because the answer of the POST is lost as well.
PLACES = (GET_UPGRADES, GET_SOURCE, POST_UPGRADE, LIST)


class Case(NamedTuple):
    """One row of the table."""

    where: Where
    kind: dict[str, Any]
    when: str
    times: int | None

    def __str__(self) -> str:
        what = " ".join(str(value) for value in self.kind.values())
        return f"{self.where.name}: {what} {self.when}, {self.times or 'for ever'}"

    def strike(self, control: PartnerCenterControl, source: Source) -> None:
        names = {"subscription": source.subscription_id, "customer": source.customer_id}
        struck = [{**self.kind, "when": self.when, "times": self.times, **_meant(self.where, names)}]
        if self.where in (GET_SOURCE, LIST):
            struck.append({"kind": "reset", "when": "after", "times": 1, **_meant(POST_UPGRADE, names)})
        control.ask("POST", "faults", struck)


def _meant(where: Where, names: dict[str, str]) -> dict[str, str]:
    return {"method": where.method, "path": where.path.format(**names)}


CASES = [Case(*row) for row in itertools.product(PLACES, KINDS, WHEN, TIMES)]


@pytest.fixture
def control(tmp_path: Path) -> Iterator[PartnerCenterControl]:
    with Emulator(tmp_path / "state.db") as emulator:
        yield PartnerCenterControl(emulator.url)


def settings(control: PartnerCenterControl, **more: str) -> Settings:
    told = {
        "endpoint": control.url,
        "tenantId": TENANT_ID,
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "requestTimeout": "0.6",
        **more,
    }
    return Settings.load(told.get, {})


def attempt(settings: Settings, source: Source, seconds: float) -> upgrade.Upgraded | PartnerCenterError:
    """One run of a process of its own: what it records, or the error it ends with."""
    with closing(Transport()) as transport:
        partner_center = PartnerCenter(
            settings.endpoint,
            transport,
            credential(settings, transport),
            request_timeout=settings.request_timeout,
            pace=Pace(rate_limit=settings.rate_limit),
        )
        try:
            return upgrade.perform(partner_center, upgrade.WantedUpgrade(*source), timeout=seconds)
        except PartnerCenterError as error:
            return error


def check_truth(
    result: upgrade.Upgraded | PartnerCenterError, source: Source, made: dict[str, str], sent: int, case: Case
) -> None:
    """What one run says is true of what was performed."""
    if isinstance(result, upgrade.Upgraded):
        assert result.target_subscription_id.lower() == made[source.subscription_id], case
        return
    text = str(result)
    assert str(result.attempted), (case, text)
    assert result.remedy or isinstance(result, upgrade.NotEligible), (case, text)
    if "Nothing was sent" in text or "No upgrade was sent" in text:
        assert not sent, (case, text)
    if source.subscription_id in made and case.kind.get("status") not in (401, 429):
        # A 401 or 429 after the work contradicts its meaning (refused before work); the next run finds the upgrade.
        assert isinstance(result, upgrade.OutcomeUndecided) or "could not be read" in text, (case, text)


@pytest.mark.parametrize("part", range(4))
def test_no_fault_upgrades_twice_or_is_recorded_wrongly(control: PartnerCenterControl, part: int) -> None:
    cases = CASES[part::4]
    sources = control.fleet(len(cases))
    for case, source in zip(cases, sources, strict=True):
        case.strike(control, source)
    short = settings(control)
    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(lambda source: attempt(short, source, SECONDS), sources))
    made = control.targets()
    sent: dict[str, int] = {source.subscription_id: 0 for source in sources}
    for entry in control.journal("POST"):
        sent[entry["path"].split("/")[5].lower()] += 1
    for case, source, result in zip(cases, sources, results, strict=True):
        check_truth(result, source, made, sent[source.subscription_id], case)
        if case.times == 1 and case.where is not LIST and case.kind.get("status") not in (302, 400, 401, 403, 404, 409):
            assert isinstance(result, upgrade.Upgraded), (case, str(result))
    control.ask("DELETE", "faults")
    calm = settings(control, requestTimeout="20")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda source: attempt(calm, source, 60), sources))
    made = control.targets()
    for case, source, result in zip(cases, sources, results, strict=True):
        assert isinstance(result, upgrade.Upgraded), (case, str(result))
        assert result.target_subscription_id.lower() == made[source.subscription_id], case
    ids = {entry["path"].split("/")[5].lower(): set[str]() for entry in control.journal("POST")}
    for entry in control.journal("POST"):
        ids[entry["path"].split("/")[5].lower()].add(entry["requestId"])
    assert all(len(used) == 1 for used in ids.values()), "an upgrade was sent with more than one request id"


TOKEN_PLACES = (
    Where("discovery", "GET", "/v2.0/.well-known/openid-configuration$"),
    Where("token", "POST", "/oauth2/v2.0/token$"),
)
TOKEN_CASES = [Case(*row) for row in itertools.product(TOKEN_PLACES, KINDS, WHEN, TIMES)]


def sign_in_struck(cases: list[Case]) -> None:
    """Runs *cases* one after the other against an emulator of their own."""
    with Emulator() as emulator:
        control = PartnerCenterControl(emulator.url)
        sources = control.fleet(len(cases))
        short, calm = settings(control), settings(control, requestTimeout="20")
        for case, source in zip(cases, sources, strict=True):
            fault = {**case.kind, "when": case.when, "times": case.times, **_meant(case.where, {})}
            control.ask("POST", "faults", fault)
            result = attempt(short, source, SECONDS)
            made = control.targets()
            if isinstance(result, upgrade.Upgraded):
                assert result.target_subscription_id.lower() == made[source.subscription_id], case
            else:
                assert isinstance(result, SignInError), (case, str(result))
                assert source.subscription_id not in made, case
                assert case.times is None or case.kind["kind"] not in ("reset", "delay"), (case, str(result))
            control.ask("DELETE", "faults")
            again = attempt(calm, source, 60)
            assert isinstance(again, upgrade.Upgraded), (case, str(again))
            assert again.target_subscription_id.lower() == control.targets()[source.subscription_id], case


def test_no_fault_of_the_sign_in_upgrades_anything() -> None:
    lanes = 12
    with ThreadPoolExecutor(lanes) as pool:
        for _ in pool.map(sign_in_struck, [TOKEN_CASES[lane::lanes] for lane in range(lanes)]):
            pass
