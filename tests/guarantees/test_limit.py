"""Many upgrades against a limit on the emulator, over real sockets and threads: how many answers of 429 they meet."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from pc_provider import upgrade
from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import STATIC_TOKEN
from pc_provider.partner_center.client import PartnerCenter
from pc_provider.partner_center.credentials import credential
from pc_provider.partner_center.pace import Pace
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings
from tests.guarantees.fleet import PartnerCenterControl

COUNT, REQUESTS, WINDOW = 80, 20, 2.0
CONNECTIONS = 32


@pytest.fixture
def control(tmp_path: Path) -> Iterator[PartnerCenterControl]:
    with Emulator(tmp_path / "state.db") as emulator:
        yield PartnerCenterControl(emulator.url)


def refusals(control: PartnerCenterControl, rate_limit: str = "", *, count: int = COUNT) -> list[float]:
    """Upgrades *count* subscriptions at once; when the answers of 429 came, in seconds after the first POST."""
    told = {"endpoint": control.url, "accessToken": STATIC_TOKEN, "rateLimit": rate_limit}
    settings = Settings.load(told.get, {})
    sources = control.fleet(count)
    with closing(Transport(max_connections=CONNECTIONS)) as transport:
        pace = Pace(rate_limit=settings.rate_limit)
        partner_center = PartnerCenter(settings.endpoint, transport, credential(settings, transport), pace=pace)

        def up(source: tuple[str, str, str]) -> upgrade.Upgraded:
            return upgrade.perform(partner_center, upgrade.WantedUpgrade(*source), timeout=60)

        with ThreadPoolExecutor(count) as pool:
            records = list(pool.map(up, sources))
    targets = control.targets()
    for source, record in zip(sources, records, strict=True):
        assert record.target_subscription_id.lower() == targets[source.subscription_id]
        assert not record.adopted
    posts = control.journal("POST")
    times = [datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp() for entry in posts]
    return [moment - times[0] for moment, entry in zip(times, posts, strict=True) if entry["status"] == 429]


def test_a_limit_that_is_met_is_learned(control: PartnerCenterControl) -> None:
    control.ask("POST", "limits", {"requests": REQUESTS, "seconds": WINDOW, "method": "POST"})
    met = refusals(control)
    in_the_first_window = [moment for moment in met if moment < WINDOW]
    assert len(in_the_first_window) <= CONNECTIONS
    assert len(met) - len(in_the_first_window) <= 2, met


def test_a_limit_that_is_told_is_never_met(control: PartnerCenterControl) -> None:
    control.ask("POST", "limits", {"requests": REQUESTS, "seconds": WINDOW, "method": "POST"})
    assert refusals(control, f"{REQUESTS}/{WINDOW:g}s") == []
