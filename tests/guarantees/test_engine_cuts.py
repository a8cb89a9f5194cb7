"""The real engine, cut short at random moments: 20 upgrades are performed once each and recorded with their targets."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pc_provider.emulator import Emulator
from tests.conftest import NewStack
from tests.guarantees.cuts import UP, VICTIMS, cut_run, provider_processes, wait_until_gone, way_back
from tests.guarantees.fleet import PartnerCenterControl, declare, is_complete, recorded, settings

pytestmark = pytest.mark.engine

SKIP_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[PartnerCenterControl]:
    with Emulator(tmp_path / "partner-center.db") as emulator:
        yield PartnerCenterControl(emulator.url)


@pytest.mark.parametrize("victim", [*VICTIMS, "engine", "both"])
def test_a_killed_run_converges(tmp_path: Path, victim: str, request: pytest.FixtureRequest) -> None:
    cut_run(tmp_path, victim, random.Random(request.node.name))


def test_a_killed_run_whose_answers_were_lost_converges(tmp_path: Path) -> None:
    assert cut_run(tmp_path, "engine", random.Random(1), lose_answers=True).adopted > 0


def test_a_killed_run_without_checkpoints_converges(tmp_path: Path) -> None:
    cut = cut_run(tmp_path, "both", random.Random(2), environ=SKIP_CHECKPOINTS)
    assert cut.recorded == 0
    assert cut.adopted >= cut.performed


def test_a_provider_without_its_engine_finishes_what_it_sent_and_leaves(
    new_stack: NewStack, control: PartnerCenterControl
) -> None:
    stack = new_stack("", config=settings(control.url))
    sources = control.fleet(12)
    declare(stack, sources)
    control.ask("POST", "latency", {"seconds": 1.5})
    process = stack.start(*UP, "--stack", stack.name)
    while not [entry for entry in control.journal("GET") if entry["status"] == 200]:
        time.sleep(0.05)
    time.sleep(0.7)  # The first four are in flight.
    assert not control.upgrades()
    assert provider_processes(stack)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert wait_until_gone(stack) < 15
    made = control.upgrades()
    assert 1 <= len(made) <= 4
    assert len(control.journal("POST")) == len(made), "something was sent and not finished"
    control.calm()
    stack.cancel().succeeded()
    stack.up("--skip-preview").succeeded()
    assert is_complete(stack, control, sources)


def test_a_checkpoint_that_was_cut_has_a_way_back(new_stack: NewStack, control: PartnerCenterControl) -> None:
    stack = new_stack("", config=settings(control.url))
    sources = control.fleet(6)
    declare(stack, sources)
    stack.up("--skip-preview").succeeded()
    whole = stack.state_file.read_bytes()
    stack.state_file.write_bytes(whole[: len(whole) // 2])
    assert "failed to load checkpoint" in stack.up("--skip-preview").failed().text
    way_back(stack)
    stack.up("--skip-preview").succeeded()
    assert is_complete(stack, control, sources)
    assert len(control.upgrades()) == len(sources)


def test_one_interrupt_finishes_what_was_sent_and_sends_no_more(
    new_stack: NewStack, control: PartnerCenterControl, sdk: str
) -> None:
    stack = new_stack("", config=settings(control.url), sdk=sdk)
    sources = control.fleet(20)
    declare(stack, sources)
    control.ask("POST", "latency", {"seconds": 0.4})
    control.ask("POST", "limits", {"requests": 8, "seconds": 120, "method": "POST"})
    process = stack.start("up", "--yes", "--skip-preview", "--parallel", "16", "--stack", stack.name)
    while len(control.upgrades()) < 5:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    text, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 30, text
    assert "it was not sent, because the run is being stopped" in text
    assert "Traceback" not in text
    made, records = control.targets(), recorded(stack)
    assert set(records) == set(made), text
    assert 5 <= len(made) <= 8
    wait_until_gone(stack)
    sent = len(control.journal("POST"))
    control.calm()
    assert len(control.journal("POST")) == sent
    stack.up("--skip-preview").succeeded()
    assert is_complete(stack, control, sources)
