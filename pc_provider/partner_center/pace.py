"""
When the next request may be sent, so that Partner Center's unpublished limits are met once and then kept.

Each operation has limits of its own, per partner or per partner and customer; it is not published which. A ``Meter``
holds the gates of one operation (``gate.Gate`` is one limit, and explains how it is learned):

- 503 with Retry-After, and a limit told by the user, hold for the whole operation of the partner.
- Until it is known whose limit it is, a 429 holds up everybody; but a customer never refused may send one request once
  what was in flight is answered. Accepted although the partner's gate is shut: the limit is per customer. Refused with
  fewer accepted requests than another customer had, or several customers refused after unequal numbers of accepted
  ones: it is per partner.
- Once it is per customer, each has a gate of its own, which presumes the limit that the first one learned. Two
  customers refused at their first request mean that it is per partner after all.

``Pace`` lets threads wait for that.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

from pc_provider.partner_center.errors import DeadlineExceeded, Interrupted
from pc_provider.partner_center.gate import ROUNDING, Gate, RateLimit, Turn

__all__ = ["Pace", "RateLimit", "Turn"]

LIMITED_OPERATION = "POST upgrades"  # what a limit told by the user is about
TICK = 0.05  # how often the request to stop is looked for while threads wait; seconds


class Meter:
    """The limits of one operation, and who waits for them. A plain state machine like ``Gate``."""

    def __init__(self, told: RateLimit | None = None) -> None:
        self.service = Gate(told)  # closed by 503; holds what the user told
        self.partner = Gate()
        self.customers: dict[str, Gate] = {}
        self.per_customer: bool | None = None  # None: not known yet
        self.doubt: Turn | None = None  # in flight to find that out
        self.hint: tuple[int, float] | None = None  # limit and span that further customers are presumed to have
        self.line: dict[str, dict[Turn, None]] = {}  # who waits, by customer, in order of arrival
        self.timekeeper: Turn | None = None

    def ask(self, turn: Turn) -> None:
        self.line.setdefault(turn.customer, {})[turn] = None

    def leave(self, turn: Turn) -> None:
        waiting = self.line[turn.customer]
        del waiting[turn]
        if not waiting:
            del self.line[turn.customer]

    def waiting(self) -> Iterator[Turn]:
        return (turn for turns in self.line.values() for turn in turns)

    def admit(self, now: float) -> list[Turn]:
        """Those that may send now; they count as sent."""
        admitted = []
        for customer in list(self.line):
            while (turn := next(iter(self.line.get(customer, ())), None)) and self.opens(customer, now) <= now:
                self.leave(turn)
                self._send(turn, now)
                admitted.append(turn)
            if customer in self.line and self._shut_for_all(now):
                break
        return admitted

    def opens(self, customer: str, now: float) -> float:
        """When a request of this customer may be sent, as ``Gate.opens``."""
        service = self.service.opens(now)
        if self.per_customer:
            return max(service, self._customer(customer).opens(now))
        partner = self.partner.opens(now)
        if self.per_customer is None and len(self.customers) > 1:
            partner = max(partner, self._customer(customer).opens(now))
        if partner > now and self._doubtful(customer, now):
            # What is in flight may settle the doubt without a further request.
            settled = self.partner.last_sent + self.partner.slowest if self.partner.in_flight else now
            partner = min(partner, settled)
        return max(service, partner)

    def closed_until(self, customer: str, now: float) -> float:
        """Until when no request of this customer will be sent, whatever is learned meanwhile."""
        gate = self._customer(customer) if self.per_customer else self.partner
        if not self.per_customer and self._doubtful(customer, now):
            return self.service.closed_until
        return max(self.service.closed_until, gate.closed_until)

    def due(self, now: float) -> float | None:
        """When the next of those waiting may be sent, as far as that is a matter of time."""
        due = min((self.opens(customer, now) for customer in self.line), default=math.inf)
        return due if due < math.inf else None

    def answer(self, turn: Turn, status: int | None, retry_after: float | None, now: float) -> None:
        customer = self._customer(turn.customer)
        doubted = turn is self.doubt
        if doubted:
            self.doubt = None
        if status == 503 and retry_after:
            self.service.close(turn, now, retry_after)
            self.partner.drop(turn)
            customer.drop(turn)
            return
        self.service.accept(turn, now)
        if status != 429:
            self.partner.accept(turn, now)
            customer.accept(turn, now)
            if doubted and status is not None and now < turn.shut_until - ROUNDING:
                self._found_per_customer(now)
            elif self.per_customer is None:
                self._judge(False, now)
            return
        customer.refuse(turn, now, retry_after)
        if self.per_customer and self._refused_unused(now):
            self.per_customer = False
        if self.per_customer:
            self.partner.drop(turn)
        else:
            self.partner.refuse(turn, now, retry_after)
            if self.per_customer is None:
                customer.guessed = True
                self._judge(doubted, now)

    def _send(self, turn: Turn, now: float) -> None:
        turn.sent = now
        if self.per_customer is None and (shut_until := self.partner.opens(now)) > now:
            turn.shut_until, self.doubt = shut_until, turn
        for gate in (self.service, self.partner, self._customer(turn.customer)):
            gate.send(turn, now)

    def _customer(self, customer: str) -> Gate:
        gate = self.customers.get(customer)
        if gate is None:
            gate = self.customers[customer] = Gate()
            if self.per_customer and self.hint:
                gate.presume(*self.hint)
        return gate

    def _shut_for_all(self, now: float) -> bool:
        if self.service.opens(now) > now:
            return True
        if self.per_customer or self.partner.opens(now) <= now:
            return False
        return self.per_customer is False or self.doubt is not None

    def _doubtful(self, customer: str, now: float) -> bool:
        """Whether this customer may send although the partner's gate, shut by a 429, may be its gate as well."""
        if self.per_customer is not None or self.doubt is not None or self.partner.closed_at == -math.inf:
            return False
        shut = now < self.partner.closed_until or self.partner.filled_at_once(now)
        return shut and self._customer(customer).closed_at == -math.inf

    def _found_per_customer(self, now: float) -> None:
        self.per_customer = True
        refused = [gate for gate in self.customers.values() if now < gate.closed_until]
        for gate in refused:
            gate.guessed = self.partner.guessed
        if self.partner.guessed or not refused:
            return
        limit, span = max((gate.accepted_since(gate.count_from or 0.0), gate.span) for gate in refused)
        if limit == 0:  # others have used it up
            return
        self.hint = limit, span
        for gate in self.customers.values():
            if gate.limit is None and gate not in refused:
                gate.presume(limit, span)

    def _judge(self, doubted: bool, now: float) -> None:
        """Per partner, if somebody was refused although another had more accepted: customers' limits are alike."""
        start = self.partner.count_from
        if start is None or (self.partner.in_flight and not doubted):
            return
        refused = [gate.accepted_since(start) for gate in self.customers.values() if now < gate.closed_until]
        if len(refused) >= (1 if doubted else 2):
            most = max(gate.accepted_since(start) for gate in self.customers.values())
            if most > min(refused):
                self.per_customer = False

    def _refused_unused(self, now: float) -> bool:
        """Whether two customers are refused at this time without having had anything accepted."""
        closed = [gate for gate in self.customers.values() if now < gate.closed_until]
        return sum(gate.accepted_since(now - gate.span) == 0 for gate in closed) >= 2


class Pace:
    """
    Lets threads send at the pace that Partner Center accepts; one for each partner.

    *rate_limit* is the limit on upgrades, where it is known; *stopping* is set when nothing more is to be sent. *now*
    and *wait* (for an event, at most so many seconds) are the clock.
    """

    def __init__(
        self,
        *,
        rate_limit: RateLimit | None = None,
        stopping: threading.Event | None = None,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._rate_limit = rate_limit
        self._stopping = stopping or threading.Event()
        self._now = now
        self._wait = wait
        self._lock = threading.Lock()
        self._meters: dict[str, Meter] = {}

    def enter(self, operation: str, customer: str, *, deadline: float) -> Turn:
        """
        Wait until a request of *operation* (such as "POST upgrades") for *customer* may be sent.

        *deadline* is a time of the clock *now*. Raises DeadlineExceeded as soon as it is certain that its turn would
        come later, and Interrupted when *stopping* is set; either way nothing was sent.
        """
        with self._lock:
            meter = self._meters.get(operation)
            if meter is None:
                meter = self._meters[operation] = Meter(self._rate_limit if operation == LIMITED_OPERATION else None)
            turn = Turn(customer.lower(), lambda *answer: self._answered(meter, *answer))
            meter.ask(turn)
        while True:
            with self._lock:
                now = self._now()
                if self._stopping.is_set():
                    self._withdraw(meter, turn, now)
                    raise Interrupted("it was not sent, because the run is being stopped")
                self._settle(meter, now)
                if turn.sent < math.inf:
                    return turn
                closed_until = meter.closed_until(turn.customer, now)
                if max(now, closed_until) >= deadline:
                    self._withdraw(meter, turn, now)
                    raise _too_late(operation, closed_until - now, deadline - now)
                pause = deadline - now
                if meter.timekeeper is turn:
                    pause = max(0.0, min(pause, TICK, (meter.due(now) or math.inf) - now))
                turn.woken.clear()
            self._wait(turn.woken, pause)

    def waiting(self) -> tuple[int, float | None]:
        """How many threads wait for a limit now, and when the next of them may send (in the time of the clock)."""
        with self._lock:
            now = self._now()
            count = sum(len(turns) for meter in self._meters.values() for turns in meter.line.values())
            dues = [due for meter in self._meters.values() if (due := meter.due(now)) is not None]
            return count, min(dues, default=None)

    def _answered(self, meter: Meter, turn: Turn, status: int | None, retry_after: float | None) -> None:
        with self._lock:
            now = self._now()
            meter.answer(turn, status, retry_after, now)
            if not self._stopping.is_set():
                self._settle(meter, now)

    def _settle(self, meter: Meter, now: float) -> None:
        for turn in meter.admit(now):
            turn.woken.set()
        self._appoint_timekeeper(meter)

    def _withdraw(self, meter: Meter, turn: Turn, now: float) -> None:
        if turn.sent == math.inf:
            meter.leave(turn)
        else:  # its turn came in the moment of stopping, and is given back
            meter.answer(turn, None, None, now)
        self._appoint_timekeeper(meter)

    def _appoint_timekeeper(self, meter: Meter) -> None:
        """One of those waiting watches the clock and the request to stop; the others sleep until they are woken."""
        keeper = meter.timekeeper
        if keeper is None or keeper not in meter.line.get(keeper.customer, ()):
            meter.timekeeper = keeper = next(meter.waiting(), None)
            if keeper is not None:
                keeper.woken.set()


def _too_late(operation: str, closed_for: float, left: float) -> DeadlineExceeded:
    if closed_for > 0:
        known = f"Partner Center accepts no {operation} for another {math.ceil(closed_for)} s (its limit of requests)"
        known += f", and {max(0, math.floor(left))} s of the time allowed are left"
    else:
        known = f"the time allowed ran out while it waited for its turn under Partner Center's limit on {operation}"
    return DeadlineExceeded(
        f"{known}; it was not sent",
        remedy="run the same command again later, or allow more time (partnercenter:upgradeTimeout)",
    )
