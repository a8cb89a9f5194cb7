"""The real engine: what the stack has, when it meets what others did, an older state, or a failing service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pc_provider.emulator import Emulator
from tests.conftest import NewStack
from tests.guarantees.fleet import PartnerCenterControl, declare, is_complete, recorded, settings

pytestmark = pytest.mark.engine


@pytest.fixture
def control(tmp_path: Path) -> Iterator[PartnerCenterControl]:
    with Emulator(tmp_path / "partner-center.db") as emulator:
        yield PartnerCenterControl(emulator.url)


def test_two_stacks_that_race_for_the_same_subscriptions(new_stack: NewStack, control: PartnerCenterControl) -> None:
    sources = control.fleet(10)
    stacks = [new_stack("", config=settings(control.url)) for _ in range(2)]
    control.ask("POST", "latency", {"seconds": 0.3, "jitter": 0.2})
    for stack in stacks:
        declare(stack, sources)
    processes = [stack.start("up", "--yes", "--skip-preview", "--stack", stack.name) for stack in stacks]
    for process in processes:
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text
    assert all(is_complete(stack, control, sources) for stack in stacks)
    made = control.upgrades()
    assert len(made) == len(sources)
    adopted = [record["adopted"] for stack in stacks for record in recorded(stack).values()]
    assert adopted.count(True) == adopted.count(False) == len(sources)


def test_replaced_and_restored_resources_adopt_what_was_made(
    new_stack: NewStack, control: PartnerCenterControl
) -> None:
    sources = control.fleet(3)
    stack = new_stack("", config=settings(control.url))
    declare(stack, [])
    stack.up("--skip-preview").succeeded()
    before = stack.state_file.read_bytes()
    declare(stack, sources)
    stack.up("--skip-preview").succeeded()
    first = {source: record["targetSubscriptionId"] for source, record in recorded(stack).items()}
    urns = [resource["urn"] for resource in stack.resources()]

    stack.up("--skip-preview", *(f"--replace={urn}" for urn in urns)).succeeded()
    replaced = recorded(stack)
    assert {source: record["targetSubscriptionId"] for source, record in replaced.items()} == first
    assert all(record["adopted"] for record in replaced.values())

    stack.state_file.write_bytes(before)
    assert stack.resources() == []
    stack.up().succeeded()
    assert {source: record["targetSubscriptionId"] for source, record in recorded(stack).items()} == first
    assert len(control.journal("POST")) == len(sources)


def test_a_refresh_that_fails_keeps_the_records(new_stack: NewStack, control: PartnerCenterControl) -> None:
    faults = [
        {"kind": "status", "status": 401},
        {"kind": "status", "status": 404},
        {"kind": "status", "status": 503},
        {"kind": "reset"},
    ]
    sources = control.fleet(len(faults))
    stack = new_stack("", config=settings(control.url))
    declare(stack, sources)
    stack.up("--skip-preview").succeeded()
    before = recorded(stack)
    for source, fault in zip(sources, faults, strict=True):
        control.ask("POST", "faults", {**fault, "path": source.customer_id, "times": None})
    run = stack.refresh().failed()
    assert "Traceback" not in run.text
    assert recorded(stack) == before
    control.calm()
    stack.refresh().succeeded()
    assert recorded(stack) == before
    stack.destroy().succeeded()
    assert len(control.journal("POST")) == len(sources)
