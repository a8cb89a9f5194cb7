"""A clock that moves only when somebody waits."""

from __future__ import annotations

import threading

from pc_provider.partner_center.pace import Pace


class HandClock:
    """Keeps every wait in *waits*; *stops_after* is the number of waits after which the process is to stop."""

    def __init__(self, *, stops_after: int | None = None) -> None:
        self.time = 1000.0
        self.waits: list[float] = []
        self._stops_after = stops_after

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> bool:
        self.time += seconds
        self.waits.append(seconds)
        return self._stops_after is not None and len(self.waits) >= self._stops_after

    def pace(self, *, stopping: threading.Event | None = None) -> Pace:
        """A pace that goes by this clock."""
        return Pace(stopping=stopping, now=self.now, wait=lambda event, seconds: self._pass(seconds))

    def _pass(self, seconds: float) -> None:
        self.time += seconds
