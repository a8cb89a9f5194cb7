"""Two thousand histories of two stacks, three subscriptions and everything that may go wrong between them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.guarantees.machine import Upgrades


def test_at_most_once_and_the_truth_whatever_happens() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Upgrades,
        settings=settings(
            max_examples=2000,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
