"""A Partner Center with limits, and clients that do what a ``Meter`` says, in simulated time: exact and instant."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from pc_provider.partner_center.pace import Meter, RateLimit, Turn

EPSILON = 1e-9


@dataclass
class Server:
    """
    *limit* requests in *span* seconds, *per* partner or customer; over it 429, with Retry-After as *retry_after* says.

    *window* is "fixed" (begins with the first request after the last one ended), "aligned" (to the clock) or "sliding".
    """

    limit: int = 100
    span: float = 10.0
    per: str = "partner"
    window: str = "fixed"
    phase: float = 0.0
    retry_after: Callable[[float], float | None] = lambda left: math.ceil(left - EPSILON)
    log: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    began: dict[str, float] = field(default_factory=dict)

    def request(self, customer: str, now: float) -> tuple[int, float | None]:
        key = customer if self.per == "customer" else ""
        log = self.log[key]
        if self.window == "sliding":
            while log and log[0] <= now - self.span:
                log.popleft()
            ends = (log[0] if log else now) + self.span
        else:
            if self.window == "aligned":
                began = self.phase + math.floor((now - self.phase) / self.span) * self.span
            else:
                began = self.began.get(key, -math.inf)
                began = now if now >= began + self.span else began
            if began != self.began.get(key):
                log.clear()
            self.began[key] = began
            ends = began + self.span
        if len(log) < self.limit:
            log.append(now)
            return 200, None
        return 429, self.retry_after(ends - now)

    def use(self, count: int, now: float, customer: str = "") -> None:
        """Somebody else's requests."""
        for _ in range(count):
            self.request(customer, now)


@dataclass
class Sent:
    """One request as it went."""

    at: float
    customer: str
    status: int
    retry_after: float | None
    answered: float
    after: bool  # sent when a 429 had been met already


@dataclass
class Client:
    """A process: *jobs* are customers, each of one request; *slots* threads do them in order."""

    jobs: Sequence[str]
    slots: int = 64
    told: RateLimit | None = None
    starts: float = 0.0
    every: float = 0.0  # seconds between the starts of two threads


class Run:
    """What happened: every request in order."""

    def __init__(
        self,
        server: Server,
        *clients: Client,
        latency: float = 0.1,
        jitter: Random | None = None,
        changes: Sequence[tuple[float, Callable[[], None]]] = (),
        until: float = 5000.0,
    ) -> None:
        self.sent: list[Sent] = []
        self.server = server
        self.meters = [Meter(client.told) for client in clients]
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._met = False
        self.first_in_flight = 0  # how many were in flight when the first 429 was met
        self._latency = latency
        self._jitter = jitter
        self._in_flight = [0 for _ in clients]
        self._todo = [deque(client.jobs) for client in clients]
        self._timers = [math.inf for _ in clients]
        for number, client in enumerate(clients):
            for slot in range(client.slots):
                self._at(client.starts + slot * client.every, partial(self._next, number))
        for when, change in changes:
            self._at(when, partial(self._change, change))
        while self._events:
            now, _, event = heapq.heappop(self._events)
            if now > until:
                break
            event(now)
        self.left = sum(len(todo) for todo in self._todo) + sum(1 for meter in self.meters for _ in meter.waiting())

    def _at(self, time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def _way(self) -> float:
        """One way to the server or back."""
        return self._latency / 2 * (self._jitter.uniform(0.3, 3.0) if self._jitter else 1.0)

    def _change(self, change: Callable[[], None], now: float) -> None:
        change()

    def _next(self, number: int, now: float) -> None:
        if self._todo[number]:
            self._ask(number, self._todo[number].popleft(), now)

    def _ask(self, number: int, customer: str, now: float) -> None:
        self.meters[number].ask(Turn(customer))
        self._admit(number, now)

    def _admit(self, number: int, now: float) -> None:
        meter = self.meters[number]
        for turn in meter.admit(now):
            self._in_flight[number] += 1
            self._at(now + self._way(), partial(self._arrive, number, turn, self._met))
        due = meter.due(now)
        if due is not None and not now <= self._timers[number] <= due:
            self._timers[number] = due
            self._at(due, partial(self._tick, number))

    def _tick(self, number: int, now: float) -> None:
        self._timers[number] = math.inf
        self._admit(number, now)

    def _arrive(self, number: int, turn: Turn, after: bool, now: float) -> None:
        status, retry_after = self.server.request(turn.customer, now)
        sent = Sent(turn.sent, turn.customer, status, retry_after, answered=now + self._way(), after=after)
        self.sent.append(sent)
        self._at(sent.answered, partial(self._answer, number, turn, sent))

    def _answer(self, number: int, turn: Turn, sent: Sent, now: float) -> None:
        self._in_flight[number] -= 1
        self.meters[number].answer(turn, sent.status, sent.retry_after, now)
        if sent.status == 429:
            if not self._met:
                self._met, self.first_in_flight = True, self._in_flight[number] + 1
            self._ask(number, turn.customer, now)
        else:
            self._next(number, now)
        self._admit(number, now)

    @property
    def took(self) -> float:
        """From the first to the last request, in seconds."""
        return max(s.at for s in self.sent) - min(s.at for s in self.sent)

    @property
    def refused(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.status == 429]

    @property
    def refused_later(self) -> int:
        """429s of requests that were sent after the first one was met."""
        return sum(sent.after for sent in self.refused)

    def took_for(self, customer: str) -> float:
        times = [s.at for s in self.sent if s.customer == customer]
        return max(times) - min(times)
