"""
A line now and then during a long run: how many upgrades are done, on their way, or waiting for Partner Center's limit.

The engine shows a resource only when it starts and ends, so a run that waits for a limit would look stuck.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from pc_provider import engine

__all__ = ["Progress"]

EVERY = 10.0

# How many threads wait for a limit, and when the next may send (on `now`'s clock), for one partner: `Pace.waiting`.
Waiting = tuple[int, "float | None"]


class Progress:
    """
    Counts the upgrades of one process and says how far they are, about once in *every* seconds while any is under way.

    *waiting* tells who waits for a limit. Runs shorter than *every* say nothing. The thread that speaks starts with
    the first upgrade, ends when there was nothing to do for that long, and never keeps the process alive.
    """

    def __init__(
        self,
        waiting: Callable[[], Iterable[Waiting]],
        *,
        say: Callable[[str], None] = engine.say,
        now: Callable[[], float] = time.monotonic,
        every: float = EVERY,
    ) -> None:
        self._waiting = waiting
        self._say = say
        self._now = now
        self._every = every
        self._lock = threading.Lock()
        self._speaker: threading.Thread | None = None
        self._under_way = self._done = self._failed = 0

    @contextlib.contextmanager
    def upgrade(self) -> Iterator[None]:
        """Marks one upgrade as under way, then as done, or as failed when it raises."""
        with self._lock:
            self._under_way += 1
            if self._speaker is None:
                self._speaker = threading.Thread(target=self._speak, name="progress", daemon=True)
                self._speaker.start()
        failed = True
        try:
            yield
            failed = False
        finally:
            with self._lock:
                self._under_way -= 1
                self._failed += failed
                self._done += not failed

    def line(self) -> str:
        """How far it is now; "" when nothing is under way."""
        waits = list(self._waiting())
        with self._lock:
            under_way, done, failed = self._under_way, self._done, self._failed
        if not under_way:
            return ""
        # An upgrade that is told to go on while this is read is counted once, as one that waits.
        waiting = min(under_way, sum(count for count, _ in waits))
        parts = [f"{done} done", *([f"{failed} failed"] if failed else []), f"{under_way - waiting} in flight"]
        if waiting:
            parts.append(f"{waiting} waiting for Partner Center's limit{self._until(waits)}")
        return f"Partner Center upgrades: {', '.join(parts)}"

    def _until(self, waits: Iterable[Waiting]) -> str:
        due = min((moment for count, moment in waits if count and moment is not None), default=None)
        left = 0 if due is None else math.ceil(due - self._now())
        if left <= 0:
            return ""
        at = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
        return f" for another {left} s (until {at})"

    def _speak(self) -> None:
        while True:
            time.sleep(self._every)
            text = self.line()
            if text:
                self._say(text)
                continue
            with self._lock:
                if not self._under_way:
                    self._speaker = None
                    return
