"""What may happen to declared upgrades, in any order, and what must hold whatever happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pc_provider import upgrade
from pc_provider.partner_center.errors import (
    Interrupted,
    NotFound,
    NotSent,
    PartnerCenterError,
    SignInError,
    Throttled,
    Unauthorized,
)
from pc_provider.target import AlreadyUpgraded, AmbiguousTarget
from tests.guarantees.service import E1, E3, E5, PATHS, Fault, Held, Killed, Runner, Service

OFFERS = {"upgrade to E3": E3, "upgrade to E5": E5}
MEDDLING = [*OFFERS, "upgrade further", "suspend or resume", "add licences", "suspended", "deleted"]

TIMEOUT = 1200.0
# The last request may begin just before the end, and a pause for a limit is looked at 20 times a second.
OVERTIME = 61.0

COUNTS: Counter[str] = Counter()
"""What the runs have done, for those who let them run long."""

_READS: list[str | int] = ["unreachable", "lost", "garbage", "silent", 401, 403, 404, 429, 500, 503, "kill", "stop"]
_SENDS: list[str | int] = [*_READS, 302, 400, 408, 409]
_THOUGH_DONE: list[str | int] = ["lost", "garbage", "silent", 408, 500, 503, "kill"]

_seconds = st.integers(1, 30)
_refused, _done, _once, _for_ever = st.just(False), st.just(True), st.just(False), st.just(True)
faults = st.lists(
    st.one_of(
        st.builds(Fault, st.just("GET"), st.sampled_from(_READS), _refused, _seconds, _once),
        st.builds(Fault, st.just("POST"), st.sampled_from(_SENDS), _refused, _seconds, _once),
        st.builds(Fault, st.just("POST"), st.sampled_from(_THOUGH_DONE), _done, _seconds, _once),
        st.builds(Fault, st.just("POST"), st.just("late"), _refused, st.integers(1, 120), _once),
        st.builds(Fault, st.just("TOKEN"), st.just("refused"), _refused, _seconds, _once),
        st.builds(
            Fault,
            st.sampled_from(["GET", "POST"]),
            st.sampled_from(["unreachable", "lost", 429, 500, 503]),
            _refused,
            _seconds,
            _for_ever,
        ),
    ),
    max_size=4,
)


@dataclass
class Stack:
    """What a stack has recorded, and what it had once."""

    name: str
    wanted: dict[str, str]
    records: dict[str, upgrade.Upgraded] = field(default_factory=dict)
    backups: list[dict[str, upgrade.Upgraded]] = field(default_factory=list)


class Upgrades(RuleBasedStateMachine):
    """Two stacks that want the same upgrades of three subscriptions, and everything that may go wrong."""

    @initialize(
        listing_delay=st.sampled_from([0, 0, 5, 60, 890]),
        gullible=st.booleans(),
        twins=st.booleans(),
        other_offer=st.booleans(),
        # On the wanted offer an active one with the very quantity of the source could not be told from its target, had
        # somebody else upgraded the source to another offer and changed the licences of what it became.
        besides=st.lists(
            st.sampled_from(
                [(E3, 5, "suspended"), (E3, 9, "suspended"), (E3, 9, "active"), (E5, 5, "active"), (E5, 9, "active")]
            ),
            max_size=2,
        ),
    )
    def begin(
        self,
        listing_delay: int,
        gullible: bool,
        twins: bool,
        other_offer: bool,
        besides: list[tuple[str, int, str]],
    ) -> None:
        self.service = Service(listing_delay=listing_delay, gullible=gullible)
        alone = self.service.hold("c1", E1, 5)
        first = self.service.hold("c2", E1, 7)
        second = self.service.hold("c2", E1, 7 if twins else 8)
        self.sources = [alone, first, second]
        for offer, quantity, status in besides:
            self.service.hold("c1", offer, quantity, status)
        wanted = {alone.id: E3, first.id: E3, second.id: E5 if other_offer else E3}
        self.stacks = [Stack("left", dict(wanted)), Stack("right", dict(wanted))]
        self.ours = {"left", "right"}
        COUNTS["runs"] += 1

    # What people do

    @rule(which=st.integers(0, 1), faults=faults)
    def up(self, which: int, faults: list[Fault]) -> None:
        self._up(self.stacks[which], faults)

    @rule(
        faults=st.tuples(faults, faults),
        choices=st.lists(st.integers(0, 1), max_size=30),
        same_stack=st.booleans(),
    )
    @precondition(lambda self: not self.service.gullible)
    def race(self, faults: tuple[list[Fault], list[Fault]], choices: list[int], same_stack: bool) -> None:
        """Two stacks at once; or one whose killed run is still busy while the next has begun."""
        COUNTS["races"] += 1
        stacks = [self.stacks[0], Stack("left", self.stacks[0].wanted) if same_stack else self.stacks[1]]
        failures: list[BaseException] = []

        def runner(stack: Stack, mine: list[Fault]) -> Callable[[], None]:
            def run() -> None:
                try:
                    self._up(stack, mine)
                except BaseException as error:
                    failures.append(error)

            return run

        self.service.turns.race(
            [runner(stack, mine) for stack, mine in zip(stacks, faults, strict=True)],
            lambda count: (choices.pop() if choices else 0) % count,
        )
        if failures:
            raise failures[0]

    @rule(which=st.integers(0, 1), source=st.integers(0, 2), faults=faults)
    def replace(self, which: int, source: int, faults: list[Fault]) -> None:
        """`--replace`: create again, although it is recorded."""
        stack, held = self.stacks[which], self.sources[source]
        if held.id in stack.records:
            COUNTS["replacements"] += 1
            self._create(stack, held, Runner(self.service, stack.name, self._allowed(faults)))

    @rule(which=st.integers(0, 1), faults=faults)
    def refresh(self, which: int, faults: list[Fault]) -> None:
        stack = self.stacks[which]
        runner = Runner(self.service, stack.name, self._allowed(faults))
        for source_id, record in list(stack.records.items()):
            COUNTS["refreshes"] += 1
            customer_id = self.service.held[source_id].customer_id
            try:
                runner.partner_center.subscription(customer_id, record.target_subscription_id)
            except NotFound as error:
                target_id = record.target_subscription_id
                gone = upgrade.is_gone(runner.partner_center, customer_id, source_id, target_id, error)
                assert not gone, "a record was dropped, although the target is there"
            except PartnerCenterError:
                continue
            except Killed:
                return
        assert runner.posts == 0

    @rule(which=st.integers(0, 1), what=st.sampled_from(["back up", "restore", "destroy"]))
    def records_change(self, which: int, what: str) -> None:
        stack = self.stacks[which]
        if what == "back up":
            stack.backups.append(dict(stack.records))
        else:
            stack.records = stack.backups.pop() if what == "restore" and stack.backups else {}

    # What else happens

    @rule(seconds=st.sampled_from([1, 20, 200, 1000]))
    def time_passes(self, seconds: int) -> None:
        self.service.turns.pause(seconds)

    @rule(source=st.integers(0, 2), what=st.sampled_from(MEDDLING), more=st.integers(10, 12))
    def somebody_meddles(self, source: int, what: str, more: int) -> None:
        held = self.sources[source]
        target = self.service.target_of(held)
        if what in OFFERS and target is None:
            self._upgrade_elsewhere(held, OFFERS[what])
        elif what == "upgrade further" and target is not None and target.offer_id == E3:
            self._upgrade_elsewhere(target, E5)
        elif what == "suspend or resume" and target is None:
            suspended = held.status == "suspended"
            held.status, held.reasons = ("active", []) if suspended else ("suspended", ["Fraud"])
        elif what == "add licences" and not (target or held).left:
            (target or held).quantity += more
        elif what in ("suspended", "deleted") and target is not None and not target.left:
            target.status, target.reasons = what, ["CustomerCancellation"] if what == "suspended" else []

    def _upgrade_elsewhere(self, source: Held, offer_id: str) -> None:
        if not source.left and not self.service.problems(source, offer_id):
            self.service.upgrade(source, offer_id, "somebody else")

    # What must hold

    @invariant()
    def no_source_is_upgraded_twice(self) -> None:
        if hasattr(self, "service"):
            sources = Counter(target.source_id for target in self.service.made)
            assert not [source for source, count in sources.items() if count > 1]

    @invariant()
    def what_is_recorded_is_true(self) -> None:
        for stack in getattr(self, "stacks", ()):
            for source_id, record in stack.records.items():
                target = self.service.held[record.target_subscription_id.lower()]
                assert target.source_id == source_id, (record, target)
                assert target.offer_id == stack.wanted[source_id] == record.target_offer_id.lower()
                assert record.source_subscription_id == source_id

    def teardown(self) -> None:
        """When nothing goes wrong any more, one further run of each stack brings it to its end."""
        if not hasattr(self, "service"):
            return
        for stack in self.stacks:
            self.service.turns.pause(16 * 60.0)
            assert self.service.is_settled
            refused = self._up(stack, [])
            for source in self.sources:
                assert source.id in stack.records or self._is_due(source, stack, refused[source.id]), (
                    source,
                    self.service.held,
                    refused[source.id],
                )
        self.no_source_is_upgraded_twice()
        self.what_is_recorded_is_true()
        COUNTS["upgrades made"] += len(self.service.made)
        COUNTS["requests"] += self.service.requests

    # How

    def _allowed(self, faults: list[Fault]) -> list[Fault]:
        """What would be performed after its answer was given up is beyond any client of a gullible service."""
        return [fault for fault in faults if not (self.service.gullible and fault.kind == "late")]

    def _up(self, stack: Stack, faults: list[Fault]) -> dict[str, PartnerCenterError]:
        COUNTS["ups"] += 1
        COUNTS["faults"] += len(faults)
        runner = Runner(self.service, stack.name, self._allowed(faults))
        refused: dict[str, PartnerCenterError] = {}
        for source in self.sources:
            if source.id not in stack.records and not runner.dead:
                error = self._create(stack, source, runner)
                if error is not None:
                    refused[source.id] = error
        return refused

    def _create(self, stack: Stack, source: Held, runner: Runner) -> PartnerCenterError | None:
        wanted = upgrade.WantedUpgrade(source.customer_id, source.id, stack.wanted[source.id])
        began, sent = self.service.turns.now, runner.posts
        made = self.service.target_of(source)
        try:
            record = upgrade.perform(runner.partner_center, wanted, timeout=TIMEOUT)
        except Killed:
            COUNTS["kills"] += 1
            return None
        except PartnerCenterError as error:
            COUNTS["errors"] += 1
            self._check_error(error, stack, source, runner.posts - sent, made)
            return error
        finally:
            assert self.service.turns.now - began <= TIMEOUT + OVERTIME
        COUNTS["adopted" if record.adopted else "answered"] += 1
        target = self.service.target_of(source)
        assert target is not None
        assert record.adopted or target.made_by == stack.name
        stack.records[source.id] = record
        return None

    def _check_error(
        self, error: PartnerCenterError, stack: Stack, source: Held, posts: int, before: Held | None
    ) -> None:
        text = str(error)
        assert text.isprintable() or "\n" in text
        target = self.service.target_of(source)
        mine = target is not None and before is None and target.made_by == stack.name
        if "Nothing was sent" in text or "No upgrade was sent" in text:
            assert posts == 0, text
        if isinstance(error, (NotSent, SignInError, Throttled, Unauthorized)) and not isinstance(error, Interrupted):
            assert not mine or len(self.stacks) > 1, text
        if isinstance(error, AlreadyUpgraded):
            assert target is not None
            if target.offer_id == stack.wanted[source.id]:
                assert target.listed > self.service.turns.now, text
                assert "may not be listed yet" in text
        if isinstance(error, upgrade.OutcomeUndecided | AmbiguousTarget):
            assert target is not None or posts > 0

    def _is_due(self, source: Held, stack: Stack, error: PartnerCenterError) -> bool:
        """Whether this error is the right end for a source that can't be recorded."""
        wanted, target = stack.wanted[source.id], self.service.target_of(source)
        if target is None:
            return isinstance(error, upgrade.NotEligible) and bool(self.service.problems(source, wanted))
        if target.offer_id != wanted and isinstance(error, AlreadyUpgraded):
            return True
        others = [held for held in self.service.held.values() if held.customer_id == source.customer_id]
        possible = [held for held in others if held.offer_id in PATHS[source.offer_id] and held.id != source.id]
        left = [held for held in others if held.left and held.id != source.id]
        return isinstance(error, AmbiguousTarget) and (len(possible) > 1 or bool(left))
