"""What is sent again after which failure, how often, and after how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from pc_provider.partner_center import errors
from pc_provider.partner_center.delivery import Delivery, SystemClock, growing

from .clock import HandClock


def service(kind: type[errors.ServiceError], status: int, retry_after: float | None = None) -> errors.ServiceError:
    return kind("told", status=status, retry_after=retry_after)


NOT_SENT = errors.NotSent("told")
UNKNOWN = errors.OutcomeUnknown("told")
SERVER = service(errors.ServerError, 500)
UNREADABLE = service(errors.UnexpectedAnswer, 200)
REDIRECT = service(errors.UnexpectedAnswer, 302)
DEFINITE = [
    service(errors.BadRequest, 400),
    service(errors.Unauthorized, 401),
    service(errors.Forbidden, 403),
    service(errors.NotFound, 404),
    service(errors.Conflict, 409),
    errors.SignInError("told"),
    errors.InvalidInput("field", "told"),
    errors.Interrupted("told"),
    errors.DeadlineExceeded("told"),
]


class Told:
    """Raises each error in turn, then succeeds."""

    def __init__(self, failures: Sequence[errors.PartnerCenterError]) -> None:
        self._failures = list(failures)
        self.attempts = 0

    def __call__(self) -> str:
        self.attempts += 1
        if self._failures:
            raise self._failures.pop(0)
        return "done"


def deliver(method: str, told: Told, clock: HandClock, seconds: float = 600) -> str:
    make: Callable[..., str] = getattr(Delivery(clock.pace(), clock), method)
    return make(told, operation="x", customer="c", deadline=clock.now() + seconds)


@pytest.mark.parametrize("failure", [NOT_SENT, UNKNOWN, SERVER, UNREADABLE], ids=lambda error: type(error).__name__)
def test_a_read_is_repeated_after_what_may_pass(failure: errors.PartnerCenterError) -> None:
    told, clock = Told([failure] * 3), HandClock()
    assert deliver("read", told, clock) == "done"
    assert told.attempts == 4
    assert len(clock.waits) == 3
    assert all(0.9 * due <= wait <= 1.1 * due for wait, due in zip(clock.waits, (0.5, 1, 2), strict=True))


@pytest.mark.parametrize("method", ["read", "post"])
def test_no_more_than_four_attempts_are_made(method: str) -> None:
    told = Told([NOT_SENT] * 5)
    with pytest.raises(errors.NotSent):
        deliver(method, told, HandClock())
    assert told.attempts == 4


def test_an_upgrade_that_was_never_sent_is_sent_again() -> None:
    told = Told([NOT_SENT] * 3)
    assert deliver("post", told, HandClock()) == "done"
    assert told.attempts == 4


@pytest.mark.parametrize(
    "failure",
    [UNKNOWN, SERVER, UNREADABLE, REDIRECT, service(errors.ServerError, 503, 1.0), *DEFINITE],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'status', '')}",
)
def test_an_upgrade_is_never_sent_again_after_anything_else(failure: errors.PartnerCenterError) -> None:
    told, clock = Told([failure]), HandClock()
    with pytest.raises(type(failure)):
        deliver("post", told, clock)
    assert (told.attempts, clock.waits) == (1, [])


@pytest.mark.parametrize("failure", [REDIRECT, *DEFINITE], ids=lambda error: type(error).__name__)
def test_a_read_is_not_repeated_after_a_definite_answer(failure: errors.PartnerCenterError) -> None:
    told = Told([failure])
    with pytest.raises(type(failure)):
        deliver("read", told, HandClock())
    assert told.attempts == 1


@pytest.mark.parametrize("method", ["read", "post"])
def test_a_429_is_waited_for_as_long_as_it_says_and_does_not_count(method: str) -> None:
    told, clock = Told([service(errors.Throttled, 429, 7.0) for _ in range(9)]), HandClock()
    started = clock.now()
    assert deliver(method, told, clock) == "done"
    assert told.attempts == 10
    assert 63 <= clock.now() - started < 9 * 7 * 1.2


def test_a_429_that_holds_beyond_the_time_allowed_is_not_waited_for() -> None:
    told, clock = Told([service(errors.Throttled, 429, 60.0)]), HandClock()
    with pytest.raises((errors.Throttled, errors.DeadlineExceeded)):
        deliver("post", told, clock, seconds=30)
    assert told.attempts == 1


@pytest.mark.parametrize("method", ["read", "post"])
def test_nothing_is_repeated_beyond_the_time_allowed(method: str) -> None:
    told, clock = Told([NOT_SENT] * 3), HandClock()
    with pytest.raises(errors.NotSent):
        deliver(method, told, clock, seconds=1.0)
    assert told.attempts == 2
    assert clock.now() <= 1001


def test_nothing_is_repeated_when_the_process_is_to_stop() -> None:
    told, clock = Told([NOT_SENT] * 3), HandClock(stops_after=2)
    with pytest.raises(errors.NotSent):
        deliver("post", told, clock)
    assert told.attempts == 2


def test_nothing_is_sent_when_the_process_is_to_stop() -> None:
    told, clock, stopping = Told([]), HandClock(), threading.Event()
    stopping.set()
    with pytest.raises(errors.Interrupted, match="it was not sent"):
        Delivery(clock.pace(stopping=stopping), clock).post(told, operation="x", customer="c", deadline=2000)
    assert told.attempts == 0


@pytest.mark.parametrize(("repeat", "seconds"), [(1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (100, 30), (10**9, 30)])
def test_waits_grow_by_the_formula(repeat: int, seconds: float) -> None:
    assert all(0.9 * seconds <= growing(repeat) <= 1.1 * seconds for _ in range(50))


def test_the_machines_clock_stops_waiting_when_told() -> None:
    stopping = threading.Event()
    clock = SystemClock(stopping)
    started = clock.now()
    assert clock.wait(0.05) is False
    assert clock.wait(-1) is False
    assert clock.now() - started >= 0.05
    timer = threading.Timer(0.05, stopping.set)
    timer.start()
    before = time.monotonic()
    assert clock.wait(30) is True
    assert time.monotonic() - before < 5
    timer.join()
