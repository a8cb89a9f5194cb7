"""
The promise, for as long as one likes: random histories over the rules, and cut runs of the real engine.

    make soak                       until ^C
    .venv/bin/python -m tests.soak --minutes 30
    .venv/bin/python -m tests.soak --cuts 25

Prints what was done; ends with exit code 1 and the story of the first failure. ``--seed`` repeats a run's choices.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.guarantees import machine
from tests.guarantees.cuts import VICTIMS, cut_run

HISTORIES = 500
SKIP_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
WAYS: tuple[tuple[str, dict[str, bool], dict[str, str]], ...] = (
    ("killed", {}, {}),
    ("killed, answers lost", {"lose_answers": True}, {}),
    ("killed, no checkpoints", {}, SKIP_CHECKPOINTS),
)


def histories(dice: random.Random, counts: Counter[str]) -> None:
    """Some hundred histories of the state machine."""
    machine.COUNTS.clear()
    # A class of its own: Hypothesis keeps the seed on what it runs.
    history = seed(dice.randrange(2**32))(type("Upgrades", (machine.Upgrades,), {}))
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        history,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    counts.update({f"histories: {name}": count for name, count in machine.COUNTS.items()})


def cut(dice: random.Random, counts: Counter[str]) -> None:
    """One run of 20 upgrades on the real engine, cut at a random moment."""
    way, how, environ = WAYS[counts["cuts: runs"] % len(WAYS)]
    victim = VICTIMS[counts["cuts: runs"] // len(WAYS) % len(VICTIMS)]
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        done = cut_run(Path(folder), victim, dice, environ=environ, lose_answers=how.get("lose_answers", False))
    counts.update(
        {
            "cuts: runs": 1,
            f"cuts: {way}": 1,
            f"cuts: victim {victim}": 1,
            "cuts: upgrades performed when cut": done.performed,
            "cuts: of them recorded": done.recorded,
            "cuts: adopted afterwards": done.adopted,
            "cuts: checkpoints put back": done.restored,
            "cuts: further runs": done.runs,
        }
    )


def main() -> int:
    """Soaks until the time or the number of cuts is reached, or ^C."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak the promise.")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="how long (default: until ^C)")
    parser.add_argument("--cuts", type=int, default=0, help="only cut runs of the engine, so many")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="repeats a run's choices")
    told = parser.parse_args()
    print(f"seed {told.seed}", flush=True)
    dice = random.Random(told.seed)
    counts: Counter[str] = Counter()
    parts: list[Callable[[random.Random, Counter[str]], None]] = [cut] if told.cuts else [histories, cut]
    end = time.monotonic() + told.minutes * 60
    code = 0
    try:
        while time.monotonic() < end and not (told.cuts and counts["cuts: runs"] >= told.cuts):
            for part in parts:
                part(dice, counts)
            print(", ".join(f"{name} {counts[name]}" for name in ("histories: runs", "cuts: runs")), flush=True)
    except KeyboardInterrupt:
        pass
    except BaseException:
        traceback.print_exc()
        code = 1
    for name, count in sorted(counts.items()):
        print(f"{count:10,}  {name}")
    return code


if __name__ == "__main__":
    sys.exit(main())
