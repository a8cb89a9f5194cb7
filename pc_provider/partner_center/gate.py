"""
One limit of N requests in W seconds that the service does not tell: met once, learned, and then kept.

- Sliding log by answer time: one more may be sent while in flight + accepted answers of the last W seconds < N. As the
  service counts a request before its answer arrives, no W seconds there ever hold more than N, however it counts.
- 429 closes the gate for Retry-After seconds, or min(60, 2^(k-1)) at the k-th closing in a row that names none.
- W lies between (sent - first answer) + Retry-After - 1 and (now - first sent) + Retry-After, where "first" begins the
  window and Retry-After is rounded up. A usual span (1, 2, 3, 5, 10 s ... 1 h) in there is preferred to a whole number.
  N is the number of answers accepted in that window, counted when the gate reopens.
- After a closing one request goes first alone, and again when the learned window has rolled over for the first time.
- More than N is tried after 3 full windows, then after 9, 27 ... each time that N proves right: 1 extra request, then
  2, 4 ... at most max(2, N / 8) at a time, until one is refused. At once, and then after 3, where N may be what another
  process has left: the window's beginning was not seen, N has fallen, is below 5, or is no round number.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["ROUNDING", "Gate", "RateLimit", "Turn"]

USUAL_SPANS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 3600)
ROUND = ("1", "2", "3", "5", "6", "12", "15", "25")  # how round numbers begin, before their zeros
ROUNDING = 1.0  # Retry-After is in whole seconds, so up to this much later than the end of the window
PROBE_PATIENCE = 5.0  # an answer to the request sent alone that takes longer no longer holds up the others


class RateLimit(NamedTuple):
    """At most *requests* in any *seconds*."""

    requests: int
    seconds: float


class Turn:
    """Leave to send one request, until its answer is reported."""

    def __init__(self, customer: str, report: Callable[[Turn, int | None, float | None], None] | None = None) -> None:
        self.customer = customer
        self.sent = math.inf  # when leave was given
        self.shut_until = -math.inf  # sent although the partner's gate was shut until then, to learn whose the limit is
        self.woken = threading.Event()
        self._report = report

    def answered(self, status: int | None, retry_after: float | None = None) -> None:
        """
        Tell what became of the request, exactly once: the HTTP status and Retry-After in seconds, if any.

        None says that no answer came; such a request counts as one that the limit let through.
        """
        report, self._report = self._report, None
        if report is not None:
            report(self, status, retry_after)


def usual_span(low: float, high: float = math.inf) -> float | None:
    """The shortest usual span between *low* and *high* seconds."""
    return next((float(span) for span in USUAL_SPANS if low <= span <= high), None)


class Gate:
    """One limit, learned or told. A plain state machine: times are passed in, in seconds of any steady clock."""

    def __init__(self, told: RateLimit | None = None) -> None:
        self.limit = told.requests if told else None
        self.span = told.seconds if told else 0.0
        self.closed_at = self.closed_until = -math.inf
        self.in_flight = 0
        self.answers: deque[float] = deque()  # when accepted answers arrived
        self.slowest = 0.0  # the longest time to an accepted answer
        self.first_sent = self.first_answer = math.inf  # the window's first request and first accepted answer
        self.last_sent = -math.inf
        self.window_known = False  # the window began with a request of ours sent alone, so all of it was seen
        self.closings = 0  # in a row, with nothing accepted between
        self.proofs = 2  # requests sent alone that were accepted since the last closing; two are asked for
        self.probe: Turn | None = None
        self.count_from: float | None = None  # set between a closing and its reopening: where the window began
        self.at_most = math.inf  # what may be counted then
        self.guessed = False
        self.proved_limit: int | None = None  # the limit as last learned, without extras
        self.patience = math.inf  # full windows to pass before more is tried
        self.full_windows = 0
        self.full_at = -math.inf
        self.step = 1
        self.extras = 0  # to be sent beyond the proved limit
        self.trying: set[Turn] = set()  # those sent and not yet answered

    def opens(self, now: float) -> float:
        """When one more may be sent: now or earlier is "at once", infinity "after another answer". Ask only to send."""
        if now < self.closed_until:
            return self.closed_until
        if self.count_from is not None:
            self._learn_limit(self.count_from)
        if self._alone(now) and self.probe is not None:
            return self.probe.sent + PROBE_PATIENCE
        opens = self._room(now)
        if now < opens < math.inf and self._may_try_more(now):
            opens = now
        return opens

    def send(self, turn: Turn, now: float) -> None:
        if now >= self.closed_until and self._alone(now):
            self.probe = turn
        if self.extras:
            self.extras -= 1
            self.trying.add(turn)
        self.first_sent = min(self.first_sent, now)
        self.last_sent = now
        self.in_flight += 1

    def accept(self, turn: Turn, now: float) -> None:
        if turn is self.probe:
            if self.proofs == 0:
                self.first_sent, self.first_answer, self.window_known = turn.sent, now, True
            self.proofs += 1
        self.drop(turn)
        self.first_answer = min(self.first_answer, now)
        self.answers.append(now)
        while self.answers[0] < now - max(self.span, USUAL_SPANS[-1]):
            self.answers.popleft()
        self.slowest = max(self.slowest, now - turn.sent)
        if turn.sent > self.closed_at:
            self.closings = 0

    def close(self, turn: Turn, now: float, seconds: float) -> None:
        """Send nothing for so many seconds; nothing is learned from it."""
        self.drop(turn)
        self.closed_until = max(self.closed_until, now + seconds)
        self.proofs = 0

    def refuse(self, turn: Turn, now: float, retry_after: float | None) -> None:
        """A 429. Retry-After of 0 seconds says no more than none."""
        if turn.sent <= self.closed_at:  # sent before the closing that others of its time caused
            self.at_most -= 1
            self.close(turn, now, retry_after or 0.0)
            return
        self.closings += 1
        elapsed = max(0.0, turn.sent - self.first_answer)
        rolled_over = self.limit is not None and self.closings == 1 and elapsed > self.span
        if turn is self.probe and retry_after is not None and retry_after <= ROUNDING:
            rolled_over = False  # but for the rounding, it would have been
        kept, self.span = self.span, self._learned_span(elapsed, now, retry_after or None, rolled_over)
        # What was refused was among those that the log let through, unless it was sent in doubt whether it counts.
        within = self.limit is not None and self.span == kept and turn.shut_until == -math.inf
        self.at_most = self.limit - 1 if self.limit is not None and within else math.inf
        wait = retry_after or min(60.0, 2.0 ** (self.closings - 1))
        if self.first_answer < now and not rolled_over and (elapsed <= self.span or self.closings > 1):
            self.count_from = self.first_answer
        else:
            self.count_from = turn.sent + wait - ROUNDING - self.span
        unseen = not self.window_known and (self.span not in USUAL_SPANS or now - self.first_sent > wait)
        self.guessed = retry_after is not None and (unseen or rolled_over)
        self.closed_at = now
        self.close(turn, now, wait)

    def drop(self, turn: Turn) -> None:
        """The request is over and says nothing about this limit."""
        self.in_flight -= 1
        self.trying.discard(turn)
        if turn is self.probe:
            self.probe = None

    def accepted_since(self, start: float) -> int:
        count = 0
        for answer in reversed(self.answers):
            if answer < start:
                break
            count += 1
        return count

    def presume(self, limit: int, span: float) -> None:
        """Start from what another customer's gate learned, as a guess."""
        self.limit = self.proved_limit = limit
        self.span, self.patience = span, 0

    def _alone(self, now: float) -> bool:
        if self.proofs == 1 and self.limit is not None:
            return not self.answers or self.answers[-1] + self.span / 2 < now
        return self.proofs == 0

    def _room(self, now: float) -> float:
        """When the sliding log has room for one more."""
        if self.limit is None:
            return now
        free = self.limit - self.in_flight
        if free <= 0:
            return math.inf
        return now if len(self.answers) < free else self.answers[-free] + self.span

    def filled_at_once(self, now: float) -> bool:
        """Whether all that fills the log came within the last half of the span, so in one window of the service."""
        return self.span / 2 <= self._room(now) - now < math.inf

    def _may_try_more(self, now: float) -> bool:
        """Whether the log, full now, is to hold more."""
        if now >= self.full_at + self.span:
            self.full_at = now
            self.full_windows += 1
        if self.limit is None or self.extras or self.trying:
            return False
        # Best tried when what fills the log is all of one window and answered; where requests come evenly it never is.
        one_window = self.in_flight == 0 and self.filled_at_once(now)
        if self.full_windows <= (self.patience if one_window else self.patience + 1):
            return False
        if not one_window:
            self.full_windows = int(self.patience)
        self.extras = self.step
        self.limit += self.step
        self.step = min(2 * self.step, max(2, self.limit // 8))
        return True

    def _learned_span(self, elapsed: float, now: float, retry_after: float | None, rolled_over: bool) -> float:
        if retry_after is None:
            return self.span if rolled_over else max(self.span, usual_span(elapsed) or elapsed)
        if rolled_over:
            return self.span if retry_after <= self.span else usual_span(retry_after) or retry_after
        low, high = max(retry_after, elapsed + retry_after - ROUNDING), now - self.first_sent + retry_after
        usual = usual_span(low, high)
        if low <= self.span <= high and (usual is None or self.span in USUAL_SPANS):
            return self.span
        if self.window_known or now - self.first_sent <= retry_after:
            return usual or max(low, math.floor(high))
        return usual or usual_span(retry_after) or retry_after

    def _learn_limit(self, start: float) -> None:
        learned = int(min(self.accepted_since(start), self.at_most))
        # Limits are round numbers; another one, or a very small one, is likely to be what somebody else has left of it.
        odd = learned < 5 or str(learned).rstrip("0") not in ROUND
        if learned != self.proved_limit or not learned:
            self.patience = 0 if self.guessed or odd or learned < (self.proved_limit or 1) else 3
        elif self.closings == 1:
            self.patience = 3 if odd else max(9, 3 * self.patience)
        self.limit = self.proved_limit = max(1, learned)
        self.full_windows, self.full_at = 0, -math.inf
        self.step, self.extras = 1, 0
        self.count_from = None
