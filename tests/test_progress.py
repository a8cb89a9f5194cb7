"""A long run says how far it is; a short one says nothing; nothing outlives the work."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from pc_provider.partner_center.errors import Interrupted
from pc_provider.partner_center.pace import Pace, RateLimit
from pc_provider.progress import Progress

EVERY = 0.05


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def speaker_runs() -> bool:
    return any(thread.name == "progress" for thread in threading.enumerate())


def test_a_line_counts_what_is_done_failed_in_flight_and_waiting() -> None:
    said: list[str] = []
    progress = Progress(lambda: [(2, 107.2), (1, 103.1), (0, None)], say=said.append, now=lambda: 100.0, every=EVERY)
    with progress.upgrade():
        pass
    with pytest.raises(ValueError, match="no"), progress.upgrade():
        raise ValueError("no")
    with progress.upgrade(), progress.upgrade(), progress.upgrade(), progress.upgrade(), progress.upgrade():
        line = progress.line()
    assert line.startswith(
        "Partner Center upgrades: 1 done, 1 failed, 2 in flight, 3 waiting for Partner Center's limit for another 4 s "
        "(until "
    )
    assert progress.line() == ""
    assert said == []


def test_without_a_limit_nothing_is_said_of_one() -> None:
    progress = Progress(lambda: [(0, None)], every=EVERY)
    with progress.upgrade():
        assert progress.line() == "Partner Center upgrades: 0 done, 1 in flight"


def test_a_limit_whose_end_is_not_known_has_no_time() -> None:
    progress = Progress(lambda: [(1, None)], every=EVERY)
    with progress.upgrade():
        assert progress.line() == "Partner Center upgrades: 0 done, 0 in flight, 1 waiting for Partner Center's limit"


def test_it_speaks_while_upgrades_are_under_way_and_ends_after_them() -> None:
    said: list[str] = []
    progress = Progress(lambda: [], say=said.append, every=EVERY)
    with progress.upgrade():
        assert eventually(lambda: len(said) >= 2)
    assert eventually(lambda: not speaker_runs())
    count = len(said)
    with progress.upgrade():
        assert eventually(lambda: len(said) > count), "a later wave is told of as well"
    assert said[-1] == "Partner Center upgrades: 1 done, 1 in flight"
    assert eventually(lambda: not speaker_runs())


def test_a_short_run_says_nothing_and_ends_at_once() -> None:
    code = "from pc_provider.progress import Progress\nwith Progress(lambda: []).upgrade():\n    print('made')\n"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("made\n", "")
    assert time.monotonic() - started < 9, "the speaking thread kept the process alive"


def test_it_says_until_when_the_real_pace_waits() -> None:
    said: list[str] = []
    stopping = threading.Event()
    pace = Pace(rate_limit=RateLimit(1, 30.0), stopping=stopping)
    progress = Progress(lambda: [pace.waiting()], say=said.append, every=EVERY)

    def upgrade() -> None:
        with contextlib.suppress(Interrupted), progress.upgrade():
            pace.enter("POST upgrades", "a", deadline=time.monotonic() + 60).answered(200)
            stopping.wait(10)

    threads = [threading.Thread(target=upgrade, name=f"upgrade-{number}") for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert eventually(lambda: any("waiting" in line for line in said))
        told = next(line for line in said if "waiting" in line)
        assert "1 in flight, 1 waiting for Partner Center's limit for another " in told
    finally:
        stopping.set()
        for thread in threads:
            thread.join(10)
