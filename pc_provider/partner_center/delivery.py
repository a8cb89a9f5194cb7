"""
When to wait, and when to send again.

A *read* is repeated after anything that may pass: not sent, no usable answer, 5xx, 429. An *upgrade* (POST) is
repeated only when it certainly did no work: never sent, or refused with 429. (A 401 was refused before any work as
well: the client renews its token once and sends again.) Whatever else happens to a POST after its bytes left is raised;
``upgrade.py`` reads the source before it decides.

The wait before the nth repeat is ``min(30, 0.5 · 2ⁿ⁻¹)`` seconds, ±10 %. At most four attempts are made while nothing
is known but failure; a 429 does not count, because it comes with a time to wait for, shared through ``pace.py``.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from pc_provider.partner_center.errors import (
    DeadlineExceeded,
    Interrupted,
    NotSent,
    OutcomeUnknown,
    PartnerCenterError,
    ServerError,
    ServiceError,
    Throttled,
    UnexpectedAnswer,
)
from pc_provider.partner_center.pace import Pace

__all__ = ["Clock", "Delivery", "growing"]

ATTEMPTS = 4

Result = TypeVar("Result")


class Clock(Protocol):
    """Time, and a wait that the end of the engine cuts short."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    def wait(self, seconds: float) -> bool:
        """Waits; True when it was cut short because the process is to stop."""


class SystemClock:
    """The machine's clock; its waits end at once when *stopping* is set."""

    def __init__(self, stopping: threading.Event | None = None) -> None:
        self._stopping = stopping or threading.Event()

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        return self._stopping.wait(max(0.0, seconds))


def growing(repeat: int, *, first: float = 0.5, most: float = 30.0) -> float:
    """Seconds to wait before the *repeat*-th repeat (1, 2, …): ``min(most, first · 2ⁿ⁻¹)`` ±10 %."""
    # The spread only keeps many processes apart; nothing is guessed from it.
    return min(most, first * 2.0 ** min(repeat - 1, 30)) * random.uniform(0.9, 1.1)  # noqa: S311


class Delivery:
    """Repeats what is safe to repeat, at the pace that Partner Center allows."""

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock

    def read(self, attempt: Callable[[], Result], *, operation: str, customer: str, deadline: float) -> Result:
        """Makes a GET, and again after anything that may pass."""
        return self._repeat(
            attempt, (NotSent, OutcomeUnknown, ServerError, UnexpectedAnswer), operation, customer, deadline
        )

    def post(self, attempt: Callable[[], Result], *, operation: str, customer: str, deadline: float) -> Result:
        """Makes a POST, and again only where the last one certainly did no work."""
        return self._repeat(attempt, (NotSent,), operation, customer, deadline)

    def _repeat(
        self,
        attempt: Callable[[], Result],
        passing: tuple[type[PartnerCenterError], ...],
        operation: str,
        customer: str,
        deadline: float,
    ) -> Result:
        failures = 0
        while True:
            try:
                return self._once(attempt, operation, customer, deadline)
            except Throttled as error:
                last: PartnerCenterError = error
            except (Interrupted, DeadlineExceeded):
                raise
            except passing as error:
                last = error
                failures += 1
                if failures >= ATTEMPTS or (isinstance(error, UnexpectedAnswer) and 300 <= error.status < 400):
                    raise
                pause = growing(failures)
                if self._clock.now() + pause >= deadline or self._clock.wait(pause):
                    raise
            if self._clock.now() >= deadline:
                raise last

    def _once(self, attempt: Callable[[], Result], operation: str, customer: str, deadline: float) -> Result:
        turn = self._pace.enter(operation, customer, deadline=deadline)
        status: int | None = None
        seconds: float | None = None
        try:
            result = attempt()
            status = 200
        except ServiceError as error:
            status, seconds = error.status, error.retry_after
            raise
        finally:
            turn.answered(status, seconds)
        return result
