"""The pace in simulated time, against limits of every kind; and with real threads where threads are the matter."""

from __future__ import annotations

import math
import threading
import time
from random import Random

import pytest

from pc_provider.partner_center.errors import DeadlineExceeded, Interrupted
from pc_provider.partner_center.pace import Meter, Pace, RateLimit, Turn
from tests.partner_center.pace_simulation import Client, Run, Server

UPGRADES = "POST upgrades"
TOLD = RateLimit(100, 10)
MANY = [f"customer {number}" for number in range(1000)]


def mixed(**jobs: int) -> list[str]:
    """So many jobs of each customer, in a random order that is always the same."""
    order = [customer for customer, count in jobs.items() for _ in range(count)]
    Random(1).shuffle(order)
    return order


def assert_learned_at_once(run: Run, later: int) -> None:
    assert run.left == 0
    assert len(run.refused) - run.refused_later <= run.first_in_flight
    assert run.refused_later <= later


# One process, one limit for the partner: 100 requests in 10 s, 0.1 s each, unless said otherwise.


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize(
    "jobs",
    [["a"] * 300, MANY[:300], mixed(a=200, b=80, c=20), ["a"] * 200 + ["b"] * 80 + ["c"] * 20],
    ids=["one customer", "300 customers", "three mixed", "three in turn"],
)
@pytest.mark.parametrize("slots", [64, 128])
def test_300_at_the_pace_of_the_limit(jobs: list[str], slots: int, seed: int | None) -> None:
    run = Run(Server(), Client(jobs, slots), jitter=Random(seed) if seed else None)
    assert_learned_at_once(run, later=2)
    assert run.took <= 22.0


@pytest.mark.parametrize("window", ["fixed", "sliding", "aligned"])
def test_1000_meet_the_limit_at_most_twice_more(window: str) -> None:
    run = Run(Server(window=window, phase=-3.4), Client(["a"] * 1000))
    assert_learned_at_once(run, later=2)
    assert run.took <= 1.1 * 90


def test_two_trials_in_26_windows() -> None:
    run = Run(Server(), Client(["a"] * 2600))
    assert_learned_at_once(run, later=2)
    assert run.took <= 1.1 * 250


@pytest.mark.parametrize(("limit", "span"), [(5, 2), (5, 4), (7, 7), (10, 1), (20, 3), (500, 60), (100, 300)])
def test_other_limits(limit: int, span: float) -> None:
    run = Run(Server(limit, span), Client(["a"] * 6 * limit), jitter=Random(5))
    assert_learned_at_once(run, later=2)
    assert run.meters[0].partner.proved_limit == limit
    assert run.meters[0].partner.span == span


def test_slow_arrival_of_work() -> None:
    run = Run(Server(), Client(["a"] * 300, every=0.03), jitter=Random(1))
    assert_learned_at_once(run, later=2)
    assert run.took <= 22.0


@pytest.mark.parametrize("window", ["fixed", "sliding", "aligned"])
@pytest.mark.parametrize("latency", [0.1, 1.0])
def test_a_limit_told_is_never_met(window: str, latency: float) -> None:
    run = Run(Server(window=window), Client(["a"] * 700, told=TOLD), latency=latency, jitter=Random(3))
    assert run.refused == []
    assert run.left == 0
    if latency == 0.1:
        assert run.took <= 1.1 * 60


def test_a_limit_told_too_high_is_learned() -> None:
    run = Run(Server(50), Client(["a"] * 300, told=TOLD))
    assert_learned_at_once(run, later=2)


# Retry-After as it may come.


@pytest.mark.parametrize(
    ("retry_after", "seconds", "later"),
    [(lambda left: left, 55, 2), (math.floor, 60, 4), (lambda left: None, 60, 5), (lambda left: 60, 310, 2)],
    ids=["exact", "rounded down", "none", "too long"],
)
def test_retry_after(retry_after, seconds: float, later: int) -> None:  # type: ignore[no-untyped-def]
    run = Run(Server(retry_after=retry_after), Client(["a"] * 600))
    assert_learned_at_once(run, later)
    assert run.took <= seconds


def test_nothing_is_sent_before_retry_after_has_passed() -> None:
    run = Run(Server(), Client(["a"] * 1000), jitter=Random(2))
    for refused in run.refused:
        assert refused.retry_after is not None
        assert not any(refused.answered < sent.at < refused.answered + refused.retry_after for sent in run.sent)


# A limit for each customer.


def test_customers_within_their_limit_are_not_held_up() -> None:
    run = Run(Server(per="customer"), Client(mixed(a=300, b=60, c=60, d=60), slots=512))
    assert run.left == 0
    assert all(run.took_for(customer) <= 0.5 for customer in "bcd")
    assert run.took_for("a") <= 22.0
    assert {sent.customer for sent in run.refused} == {"a"}


def test_a_customer_that_comes_later_is_not_held_up() -> None:
    meter = Meter()
    storm = [Turn("a") for _ in range(4)]
    for turn in storm:
        meter.ask(turn)
    assert meter.admit(0.0) == storm
    for turn, status in zip(storm, (200, 200, 429, 429), strict=True):
        meter.answer(turn, status, 10.0, 0.1)
    others = [Turn("b") for _ in range(3)]
    for turn in others:
        meter.ask(turn)
    assert meter.admit(1.0) == others[:1]
    assert meter.admit(1.05) == []
    meter.answer(others[0], 200, None, 1.1)
    assert meter.per_customer is True
    # It is presumed to have the limit of the other, 2, and then tried for more.
    assert meter.admit(1.1) == [others[1]]
    meter.answer(others[1], 200, None, 1.2)
    assert meter.admit(1.2) == [others[2]]


def test_a_customer_whose_limit_others_used_up_says_nothing_about_the_rest() -> None:
    meter = Meter()
    refused, *others = [Turn("a"), Turn("b"), Turn("b"), Turn("b")]
    meter.ask(refused)
    assert meter.admit(0.0) == [refused]
    meter.answer(refused, 429, 10.0, 0.1)
    for turn in others:
        meter.ask(turn)
    assert meter.admit(0.2) == others[:1]
    meter.answer(others[0], 200, None, 0.3)
    assert meter.admit(0.3) == others[1:]


def test_other_customers_presume_the_limit_that_one_has_met() -> None:
    run = Run(Server(per="customer"), Client(["a"] * 150 + ["b"] * 150 + ["c"] * 5))
    assert_learned_at_once(run, later=1)
    assert run.took <= 12.0


# Others use the limit as well.


@pytest.mark.parametrize(("used", "at"), [(60, -4.0), (60, -5.0), (95, -9.5), (100, -3.0), (10, -1.0)])
def test_started_in_a_window_that_others_used(used: int, at: float) -> None:
    server = Server()
    server.use(used, at)
    run = Run(server, Client(["a"] * 600))
    assert_learned_at_once(run, later=20)
    assert run.meters[0].partner.limit == 100
    assert run.took <= 62.0


@pytest.mark.parametrize("starts", [0.0, 3.0, 13.0])
@pytest.mark.parametrize("told", [None, TOLD])
def test_two_processes_share_a_limit(starts: float, told: RateLimit | None) -> None:
    run = Run(Server(), Client(["a"] * 300, told=told), Client(["a"] * 300, told=told, starts=starts))
    assert run.left == 0
    assert len(run.refused) <= 64 + 64 + 20  # one storm of each, and no more of them
    assert run.took <= 100.0


def test_a_limit_that_rises_is_found() -> None:
    server = Server(20)
    meter = Run(server, Client(["a"] * 100)).meters[0]
    assert meter.partner.limit == 20
    server = Server(20)
    run = Run(server, Client(["a"] * 1000), changes=[(25.0, lambda: setattr(server, "limit", 100))])
    assert run.left == 0
    assert run.took <= 60 + 100


# 503.


def test_503_with_retry_after_holds_up_the_operation_and_then_one_goes_first() -> None:
    meter = Meter()
    first, *rest = turns = [Turn(customer) for customer in ("a", "b", "c")]
    meter.ask(first)
    assert meter.admit(0.0) == [first]
    meter.answer(first, 503, 5.0, 1.0)
    for turn in rest:
        meter.ask(turn)
    assert meter.admit(5.9) == []
    assert meter.due(5.9) == 6.0
    assert meter.admit(6.0) == [turns[1]]
    meter.answer(turns[1], 200, None, 6.1)
    assert meter.admit(6.1) == [turns[2]]


def test_503_without_retry_after_holds_up_nobody() -> None:
    meter = Meter()
    turns = [Turn("a"), Turn("a")]
    for turn in turns:
        meter.ask(turn)
        assert meter.admit(0.0) == [turn]
        meter.answer(turn, 503, None, 0.0)


# Real threads.


def closed_pace(stopping: threading.Event | None = None, seconds: float = 60.0) -> Pace:
    """A pace whose gate for upgrades has just closed for so many seconds."""
    pace = Pace(stopping=stopping)
    pace.enter(UPGRADES, "a", deadline=time.monotonic() + 1).answered(429, seconds)
    return pace


def test_stopping_wakes_all_that_wait_and_lets_nothing_through() -> None:
    stopping = threading.Event()
    pace = closed_pace(stopping)
    ended: list[float] = []

    def wait() -> None:
        with pytest.raises(Interrupted, match="not sent"):
            pace.enter(UPGRADES, "A", deadline=time.monotonic() + 120)
        ended.append(time.monotonic())

    threads = [threading.Thread(target=wait) for _ in range(64)]
    for thread in threads:
        thread.start()
    while pace.waiting()[0] < 64:
        time.sleep(0.005)
    count, until = pace.waiting()
    assert count == 64
    assert until is not None
    assert 50 < until - time.monotonic() <= 60
    told = time.monotonic()
    stopping.set()
    for thread in threads:
        thread.join(5)
    assert len(ended) == 64
    assert min(ended) - told < 0.1
    assert max(ended) - told < 1.0  # on a busy machine
    assert pace.waiting() == (0, None)
    with pytest.raises(Interrupted):
        pace.enter("GET upgrades", "a", deadline=math.inf)


def test_a_deadline_before_the_reopening_ends_the_wait_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="accepts no POST upgrades for another 60 s") as caught:
        closed_pace().enter(UPGRADES, "a", deadline=began + 30)
    assert time.monotonic() - began < 1
    assert "partnercenter:upgradeTimeout" in str(caught.value)


def test_a_deadline_passes_while_waiting_for_another_answer() -> None:
    pace = Pace(rate_limit=RateLimit(1, 0.01))
    first = pace.enter(UPGRADES, "a", deadline=math.inf)
    with pytest.raises(DeadlineExceeded, match="ran out"):
        pace.enter(UPGRADES, "a", deadline=time.monotonic() + 0.05)
    first.answered(200)
    pace.enter(UPGRADES, "a", deadline=time.monotonic() + 5).answered(200)


def test_operations_are_metered_apart_and_only_upgrades_by_what_was_told() -> None:
    pace = Pace(rate_limit=RateLimit(1, 60))
    pace.enter(UPGRADES, "a", deadline=math.inf).answered(429, 60)
    for _ in range(3):
        pace.enter("GET upgrades", "a", deadline=math.inf)


def test_an_answer_reported_twice_counts_once() -> None:
    pace = Pace(rate_limit=RateLimit(2, 60))
    turn = pace.enter(UPGRADES, "a", deadline=math.inf)
    turn.answered(200)
    turn.answered(200)
    pace.enter(UPGRADES, "a", deadline=time.monotonic() + 5)


def test_a_thousand_threads_pass_in_time() -> None:
    pace = Pace(rate_limit=RateLimit(250, 0.2))
    sent: list[float] = []

    def send() -> None:
        turn = pace.enter(UPGRADES, "a", deadline=time.monotonic() + 30)
        sent.append(time.monotonic())
        turn.answered(200)

    threads = [threading.Thread(target=send) for _ in range(1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(sent) == 1000
    assert max(sent) - min(sent) >= 0.6
