"""
A Partner Center in memory, with a clock of its own and every trouble that a client can meet.

It takes the place of the transport, so that the client, its pace, its delivery and the rules run as they are. What an
upgrade does is as recorded: the source is suspended for Transition, the target is a new subscription with the source's
quantity, listed up to 15 minutes later.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from pc_provider.partner_center.client import PartnerCenter
from pc_provider.partner_center.errors import NotSent, OutcomeUnknown, SignInError
from pc_provider.partner_center.pace import Pace
from pc_provider.partner_center.transport import Answer, Transport

E1, E3, E5 = (f"0000000{number}-1111-4222-8333-444444444444" for number in (1, 3, 5))
PATHS = {E1: (E3, E5), E3: (E5,), E5: ()}
UPGRADE_TYPES = ("none", "upgrade_only", "upgrade_with_license_transfer")


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class Fault(NamedTuple):
    """
    What happens to the next request of *method* ("GET", "POST" or "TOKEN").

    *kind*: ``unreachable`` · ``lost`` (the answer) · ``late`` (the answer is lost, and it is performed *seconds*
    later) · ``garbage`` (200, unreadable) · ``silent`` (200 that does not name the target) · ``kill`` · ``stop`` (^C) ·
    a status. *done*: whether it was performed. *for_ever*: every such request from now on.
    """

    method: str
    kind: str | int
    done: bool = False
    seconds: int = 1
    for_ever: bool = False


@dataclass
class Held:
    """A subscription. *listed* is when it appears in lists."""

    id: str
    customer_id: str
    offer_id: str
    quantity: int
    status: str = "active"
    reasons: list[str] = field(default_factory=list)
    source_id: str = ""
    made_by: str = ""
    listed: float = 0.0

    @property
    def left(self) -> bool:
        return self.status == "suspended" and "Transition" in self.reasons

    def tree(self) -> dict[str, Any]:
        return {
            "id": self.id.upper() if self.source_id else self.id,
            "offerId": self.offer_id,
            "quantity": self.quantity,
            "status": self.status,
            **({"suspensionReasons": self.reasons} if self.reasons else {}),
        }


class Turns:
    """
    The time of everybody, and whose turn it is.

    Alone, waiting moves the time. In a race each runner has a thread, exactly one of which runs: before each request
    and in each wait the next is chosen.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.moved: Callable[[], None] = lambda: None
        self._main = threading.Semaphore(0)
        self._waiting: dict[threading.Thread, tuple[float, threading.Semaphore]] = {}

    def pause(self, seconds: float) -> None:
        """Lets *seconds* pass; 0 only gives others their turn."""
        me = threading.current_thread()
        if me not in self._waiting:
            self._move(self.now + max(0.0, seconds))
            return
        turn = self._waiting[me][1]
        self._waiting[me] = (self.now + max(0.0, seconds), turn)
        self._main.release()
        turn.acquire()

    def race(self, runners: list[Callable[[], None]], choose: Callable[[int], int]) -> None:
        """Runs all of them; *choose* says which of so many goes on."""
        threads = []
        for runner in runners:
            turn = threading.Semaphore(0)

            def run(runner: Callable[[], None] = runner, turn: threading.Semaphore = turn) -> None:
                turn.acquire()
                try:
                    runner()
                finally:
                    del self._waiting[threading.current_thread()]
                    self._main.release()

            thread = threading.Thread(target=run, daemon=True)
            self._waiting[thread] = (self.now, turn)
            threads.append(thread)
        for thread in threads:
            thread.start()
        while self._waiting:
            soonest = min(until for until, _ in self._waiting.values())
            self._move(max(self.now, soonest))
            ready = [turn for until, turn in self._waiting.values() if until <= self.now]
            ready[choose(len(ready)) if len(ready) > 1 else 0].release()
            assert self._main.acquire(timeout=60)

    def _move(self, to: float) -> None:
        if to > self.now:
            self.now = to
            self.moved()


class Runner:
    """One run of `pulumi up`: its clock, its sign-in, its connection, and what reached Partner Center from it."""

    def __init__(self, service: Service, name: str, faults: list[Fault]) -> None:
        self.service = service
        self.name = name
        self.faults = faults
        self.stopping = threading.Event()
        self.posts = 0
        self.looks: dict[str, int] = {}
        self.dead = False
        self.partner_center = PartnerCenter(
            "https://partner-center.test",
            cast(Transport, self),
            self,
            clock=self,
            pace=Pace(stopping=self.stopping, now=self.now, wait=self._wait_for),
        )

    def now(self) -> float:
        return self.service.turns.now

    def wait(self, seconds: float) -> bool:
        if not self.stopping.is_set():
            self.service.turns.pause(seconds)
        return self.stopping.is_set()

    def _wait_for(self, event: threading.Event, seconds: float) -> None:
        if not event.is_set():
            # Real threads look 20 times a second; here nothing happens between two looks.
            self.service.turns.pause(max(1.0, seconds))

    def token(self, *, rejected: str | None = None) -> str:
        if self._next("TOKEN"):
            raise SignInError("no token could be had")
        return f"{rejected}+" if rejected else "token"

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, timeout: float
    ) -> Answer:
        self.service.turns.pause(0)
        self.service.requests += 1
        fault = self._next(method)
        if fault is None:
            return self.service.answer(self, method, url, content)
        if fault.kind == "unreachable":
            raise NotSent("could not be reached")
        if fault.kind == "stop":
            self.stopping.set()
            return self.service.answer(self, method, url, content)
        if fault.done:
            self.service.answer(self, method, url, content)
        if method == "POST":
            self.posts += not fault.done
            if fault.kind == "late":
                self.service.later(fault.seconds, self, url, content)
        if fault.kind == "kill":
            self.dead = True
            raise Killed
        if fault.kind in ("lost", "late"):
            self.service.turns.pause(min(timeout, fault.seconds))
            raise OutcomeUnknown("the connection was lost")
        if fault.kind == "garbage":
            return Answer(200, {"Content-Type": "text/html"}, b"<html>portal</html>")
        if fault.kind == "silent":
            return _json(200, {"upgradeErrors": [], "licenseErrors": []} if method == "POST" else {})
        told = {"Retry-After": str(fault.seconds)} if fault.kind in (429, 503) else {}
        return _json(int(fault.kind), {"code": 0, "description": "trouble"}, told)

    def _next(self, method: str) -> Fault | None:
        for position, fault in enumerate(self.faults):
            if fault.method == method:
                return fault if fault.for_ever else self.faults.pop(position)
        return None


class Service:
    """
    What Partner Center holds.

    *listing_delay* is how long a new subscription takes to be listed, in seconds. A *gullible* service would perform an
    upgrade as often as it is sent: only the client's own reading protects from a second one.
    """

    def __init__(self, *, listing_delay: float = 0.0, gullible: bool = False) -> None:
        self.turns = Turns()
        self.turns.moved = self._perform_late
        self.held: dict[str, Held] = {}
        self.listing_delay = listing_delay
        self.gullible = gullible
        self.made: list[Held] = []
        self.requests = 0
        self._late: list[tuple[float, Runner, str, bytes | None]] = []

    def hold(self, customer_id: str, offer_id: str, quantity: int, status: str = "active") -> Held:
        """A subscription that the customer bought."""
        held = Held(str(uuid.UUID(int=len(self.held) + 1)), customer_id, offer_id, quantity, status)
        if status == "suspended":
            held.reasons = ["CustomerCancellation"]
        self.held[held.id] = held
        return held

    def upgrade(self, source: Held, offer_id: str, by: str) -> Held:
        """Performs an upgrade, whoever asked for it."""
        target = self.hold(source.customer_id, offer_id, source.quantity)
        target.source_id, target.made_by = source.id, by
        target.listed = self.turns.now + self.listing_delay
        source.status, source.reasons = "suspended", ["Transition"]
        self.made.append(target)
        return target

    def target_of(self, source: Held) -> Held | None:
        return next((target for target in self.made if target.source_id == source.id), None)

    def later(self, seconds: float, runner: Runner, url: str, content: bytes | None) -> None:
        """Performs a POST whose answer is lost, after so many seconds."""
        self._late.append((self.turns.now + seconds, runner, url, content))

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was sent is still to be performed."""
        return not self._late

    def _perform_late(self) -> None:
        due = [late for late in self._late if late[0] <= self.turns.now]
        self._late = [late for late in self._late if late[0] > self.turns.now]
        for _, runner, url, content in due:
            self.answer(runner, "POST", url, content)
            runner.posts -= 1

    def problems(self, source: Held, offer_id: str) -> list[int]:
        """The codes of what speaks against an upgrade now."""
        if self.gullible and source.left:
            return []
        codes = [] if source.status == "active" else [2]
        others = (held for held in self.held.values() if held.customer_id == source.customer_id)
        if any(held.offer_id == offer_id and held.status == "active" and not held.source_id for held in others):
            codes.append(3)
        return codes

    def answer(self, runner: Runner, method: str, url: str, content: bytes | None) -> Answer:
        parts = urlsplit(url).path.split("/")[2:]
        customer_id = parts[1]
        if len(parts) == 3:
            listed = [
                held.tree()
                for held in self.held.values()
                if held.customer_id == customer_id and held.listed <= self.turns.now
            ]
            return _json(200, {"totalCount": len(listed), "items": listed})
        source = self.held.get(parts[3].lower())
        if source is None or source.customer_id != customer_id:
            return _json(404, {"code": 20003, "description": "Subscription not found"})
        if len(parts) == 4:
            if source.status == "active":
                runner.looks[source.id] = runner.looks.get(source.id, 0) + 1
            return _json(200, source.tree())
        if method == "GET":
            items = [self._item(source, offer, kind) for offer in PATHS[source.offer_id] for kind in (1, 2)]
            return _json(200, {"totalCount": len(items), "items": items})
        return self._post(runner, source, json.loads(content or b"{}"))

    def _item(self, source: Held, offer_id: str, kind: int) -> dict[str, Any]:
        codes = self.problems(source, offer_id) if not (self.gullible and source.left) else [2]
        codes += [5] if kind == 2 else []
        return {
            "targetOffer": {"id": offer_id.upper()},
            "upgradeType": kind,
            "isEligible": not codes,
            "quantity": source.quantity,
            "upgradeErrors": [{"code": code, "description": "no"} for code in codes],
        }

    def _post(self, runner: Runner, source: Held, told: dict[str, Any]) -> Answer:
        runner.posts += 1
        offer_id = told["targetOffer"]["id"].lower()
        codes = self.problems(source, offer_id) if offer_id in PATHS[source.offer_id] else [8]
        result = {"sourceSubscriptionId": source.id, "upgradeType": told["upgradeType"], "licenseErrors": []}
        if codes:
            return _json(200, {**result, "upgradeErrors": [{"code": code, "description": "no"} for code in codes]})
        target = self.upgrade(source, offer_id, runner.name)
        return _json(200, {**result, "targetSubscriptionId": target.id, "upgradeErrors": []})


def _json(status: int, tree: object, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(tree).encode())
