"""Each row of the table: what is run against what, side by side, and what it has to reach."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.machine import BATCH, FLOOR, LATENCY, OURS, TEXTBOOK, Bench, Failed, Run
from benchmarks.programs import fleet


@dataclass(frozen=True)
class Line:
    """One line of the table. *reached* is a text with its unit, *met* says whether it is what was to be reached."""

    measure: str
    against: str
    reached: str
    target: str
    met: bool | None
    detail: str


@dataclass
class Samples:
    """Seconds of every run that is worth plotting, by series and number of resources."""

    seconds: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def add(self, series: str, count: int, seconds: float) -> None:
        self.seconds.setdefault((series, count), []).append(seconds)


@dataclass(frozen=True)
class Effort:
    """How often to repeat: whole, once for a first look, and once when the time (of `time.monotonic`) is up."""

    quick: bool
    until: float

    def more(self, done: int, whole: int) -> bool:
        """Whether to repeat once more after *done* of *whole* times."""
        return done == 0 or (done < whole and not self.quick and time.monotonic() < self.until)


def spread(values: list[float]) -> str:
    """Minimum, median and maximum."""
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f} s"


def alternate(
    effort: Effort, pairs: int, one: Callable[[], Run], other: Callable[[], Run]
) -> tuple[list[Run], list[Run]]:
    """Runs both, *pairs* times, each pair in the other order than the one before."""
    first: list[Run] = []
    second: list[Run] = []
    while effort.more(len(first), pairs):
        if len(first) % 2:
            second.append(other())
            first.append(one())
        else:
            first.append(one())
            second.append(other())
    return first, second


def least(runs: list[Run]) -> float:
    return min(run.seconds for run in runs)


def compared(ours: list[Run], theirs: list[Run]) -> str:
    """What a reader needs to judge a ratio: both spreads, the median of the pairs, and where the CPU went."""
    ratios = [one.seconds / other.seconds for one, other in zip(ours, theirs, strict=True)]
    return (
        f"{spread([run.seconds for run in ours])} against {spread([run.seconds for run in theirs])}; "
        f"median of {len(ratios)} pairs {statistics.median(ratios):.2f}; "
        f"CPU {min(run.cpu for run in ours):.1f} against {min(run.cpu for run in theirs):.1f} s, "
        f"and {min(run.service_cpu for run in ours):.1f} s of what plays Partner Center"
    )


def upgrade_run(
    bench: Bench, samples: Samples, count: int, *, batch: bool = False, resource: str = OURS, watched: bool = False
) -> Run:
    """A first `up` of *count*, checked: every upgrade made, one GET and one POST each."""
    bench.forget()
    bench.stand_in.forget()
    run = bench.up(resource, count, environ=BATCH if batch else None, seconds=600, watched=watched)
    counts = bench.stand_in.counts()
    if counts != {"gets": count, "posts": count, "upgraded": count}:
        raise Failed(f"{count} upgrades were made with {counts}")
    if resource == OURS:
        samples.add("upgrades, batch mode" if batch else "upgrades", count, run.seconds)
        if not batch and bench.state_bytes > 3000 * count + 3000:
            raise Failed(f"{bench.state_bytes / count:.0f} bytes of state for each of {count} resources")
    return run


def floor_run(bench: Bench, samples: Samples, count: int, *, batch: bool = False) -> Run:
    """The same of the resource that only sleeps."""
    bench.forget()
    run = bench.up(FLOOR, count, environ=BATCH if batch else None, sleep=2 * LATENCY, seconds=600)
    samples.add("floor, batch mode" if batch else "floor", count, run.seconds)
    return run


def up(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    # The shorter a run, the more of them until a minimum stands for the work and not for the machine's mood.
    for count, pairs in ((100, 15), (300, 8)):
        ours, floor = alternate(
            effort,
            pairs,
            lambda count=count: upgrade_run(bench, samples, count),  # type: ignore[misc]
            lambda count=count: floor_run(bench, samples, count),  # type: ignore[misc]
        )
        ratio = least(ours) / least(floor)
        yield Line(
            f"`up` of {count} upgrades",
            "the engine's floor",
            f"{ratio:.2f} ×",
            "≤ 1.10 ×",
            ratio <= 1.10,
            compared(ours, floor),
        )


def batch(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    count = 1000
    ours, floor = alternate(
        effort,
        8,
        lambda: upgrade_run(bench, samples, count, batch=True),
        lambda: floor_run(bench, samples, count, batch=True),
    )
    ratio = least(ours) / least(floor)
    yield Line(
        f"`up` of {count}, batch mode",
        "the floor in the same mode",
        f"{ratio:.2f} ×",
        "≤ 1.25 ×",
        ratio <= 1.25,
        compared(ours, floor),
    )
    slow = upgrade_run(bench, samples, count).seconds
    yield Line(
        f"`up` of {count}, batch mode",
        "with a checkpoint after every step",
        f"{slow / least(ours):.1f} × faster",
        "≥ 5 ×",
        slow / least(ours) >= 5,
        f"{least(ours):.1f} against {slow:.1f} s",
    )


def textbook(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    count = 300
    for in_batch, target in ((True, 3.0), (False, 1.5)):
        ours, theirs = alternate(
            effort,
            3,
            lambda in_batch=in_batch: upgrade_run(bench, samples, count, batch=in_batch),  # type: ignore[misc]
            lambda in_batch=in_batch: upgrade_run(  # type: ignore[misc]
                bench, samples, count, batch=in_batch, resource=TEXTBOOK
            ),
        )
        for run in theirs:
            samples.add("textbook, batch mode" if in_batch else "textbook", count, run.seconds)
        ratio = least(theirs) / least(ours)
        yield Line(
            f"`up` of {count}{', batch mode' if in_batch else ''}",
            "the textbook dynamic provider",
            f"{ratio:.1f} × faster",
            f"≥ {target:g} ×",
            ratio >= target,
            compared(ours, theirs),
        )


def nothing(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    count = 1000
    upgrade_run(bench, samples, count, batch=True)
    keep(bench, "made")
    floor_run(bench, samples, count, batch=True)
    keep(bench, "slept")
    bench.stand_in.forget()

    def again(kept: str, resource: str) -> Run:
        bring_back(bench, kept)
        return bench.up(resource, count)

    ours, floor = alternate(effort, 5, lambda: again("made", OURS), lambda: again("slept", FLOOR))
    if any(bench.stand_in.counts().values()):
        raise Failed("a run with nothing to do sent a request")
    ratio = least(ours) / least(floor)
    yield Line(
        f"`up` with nothing to do, {count} resources",
        "a no-op dynamic resource",
        f"{ratio:.2f} ×",
        "≤ 1.10 ×",
        ratio <= 1.10,
        compared(ours, floor) + "; no request",
    )


def keep(bench: Bench, name: str) -> None:
    shutil.rmtree(bench.folder / name, ignore_errors=True)
    shutil.copytree(bench.folder / "backend", bench.folder / name)


def bring_back(bench: Bench, name: str) -> None:
    shutil.rmtree(bench.folder / "backend")
    shutil.copytree(bench.folder / name, bench.folder / "backend")


def preview(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    count = 300
    bench.forget()
    bench.stand_in.forget()

    def run(check: str) -> Run:
        return bench.pulumi(["preview"], OURS, count, config={"checkEligibility": check})

    ours, without = alternate(effort, 5, lambda: run("true"), lambda: run("false"))
    counts = bench.stand_in.counts()
    if (counts["gets"], counts["posts"]) != (count * len(ours), 0):
        raise Failed(f"{counts} for {len(ours)} previews of {count}")
    more = least(ours) - least(without)
    yield Line(
        f"preview of {count} new upgrades",
        "the same without eligibility",
        f"{more:+.2f} s",
        "≤ 1.0 s more",
        more <= 1.0,
        compared(ours, without),
    )


def limit(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    count, requests, seconds = 300, 100, 10.0
    bound = (count // requests - 1) * seconds
    for told in (False, True):
        bench.forget()
        bench.partner_center.fill(count, latency=LATENCY, limit=(requests, seconds))
        config = {"maxConcurrency": "128", **({"rateLimit": f"{requests}/{seconds:g}s"} if told else {})}
        bench.up(OURS, count, service=bench.partner_center, parallel=2 * 128, config=config)
        posts = [entry for entry in bench.partner_center.journal() if entry["method"] == "POST"]
        refused = sum(entry["status"] == 429 for entry in posts)
        moments = sorted(datetime.fromisoformat(entry["time"].replace("Z", "+00:00")) for entry in posts)
        took = (moments[-1] - moments[0]).total_seconds()
        most = 0 if told else 128 + 2
        yield Line(
            f"{count} upgrades, {requests} POSTs in {seconds:g} s allowed{', told so' if told else ''}",
            f"the lower bound of {bound:g} s",
            f"{took / bound:.2f} ×, {refused} × 429",
            f"≤ 1.1 ×, {'none' if told else f'≤ {most}'}",
            took <= 1.1 * bound and refused <= most and sum(entry["accepted"] for entry in posts) == count,
            f"first to last POST {took:.1f} s, {len(posts)} POSTs",
        )


def memory(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    few, many = alternate(
        effort,
        3,
        lambda: upgrade_run(bench, samples, 10, batch=True, watched=True),
        lambda: upgrade_run(bench, samples, 1000, batch=True, watched=True),
    )
    small = statistics.median(run.provider_memory for run in few)
    large = statistics.median(run.provider_memory for run in many)
    yield Line(
        "memory of the provider process at 1000",
        "at 10",
        f"{large / small:.2f} ×",
        "≤ 1.3 ×",
        large <= 1.3 * small,
        f"{large:.0f} against {small:.0f} MB at most",
    )


def growth(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    plans = [(10, False), (100, False), (1000, False), (10, True), (100, True), (1000, True), (3000, True)]
    for count, in_batch in plans:
        if effort.quick and count >= 1000 and not (in_batch and count == 1000):
            continue
        ours, floor = alternate(
            effort,
            3 if count <= 100 else 1,
            lambda count=count, in_batch=in_batch: upgrade_run(bench, samples, count, batch=in_batch),  # type: ignore[misc]
            lambda count=count, in_batch=in_batch: floor_run(bench, samples, count, batch=in_batch),  # type: ignore[misc]
        )
        yield Line(
            f"growth: `up` of {count}{', batch mode' if in_batch else ''}",
            "the floor",
            f"{least(ours) / least(floor):.2f} ×",
            "",
            None,
            f"{compared(ours, floor)}; {1000 * least(ours) / count:.1f} ms each",
        )


def emulator(bench: Bench, samples: Samples, effort: Effort) -> Iterator[Line]:
    """The emulator under the load it is promised for: it must not be what slows a client down."""
    from pc_provider.partner_center.transport import Transport

    held, threads, latency = 10_000 if effort.quick else 100_000, 64, 0.2
    asked = 1280
    bench.partner_center.fill(held, latency=latency)
    transport = Transport(max_connections=threads)

    def ask(number: int) -> None:
        number = number * 7919 % held
        path = f"/v1/customers/{fleet.customer(number)}/subscriptions/{fleet.subscription(number)}/upgrades"
        answer = transport.send(
            "GET", bench.partner_center.url + path, headers={"Authorization": "Bearer emulator"}, timeout=30
        )
        if answer.status != 200:
            raise Failed(f"the emulator answered {answer.status}")

    bound = asked / threads * latency
    took: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        while effort.more(len(took), 5):
            used, started = bench.partner_center.cpu, time.perf_counter()
            list(pool.map(ask, range(asked)))
            took.append(time.perf_counter() - started)
            used = bench.partner_center.cpu - used
    transport.close()
    yield Line(
        f"the emulator with {held} subscriptions, {threads} requests in flight of {latency:g} s each",
        f"the lower bound of {bound:g} s for {asked}",
        f"{min(took) / bound:.2f} ×",
        "≤ 1.10 ×",
        min(took) <= 1.1 * bound,
        f"{spread(took)}; {1000 * used / asked:.2f} ms CPU a request",
    )


ROWS: dict[str, Callable[[Bench, Samples, Effort], Iterator[Line]]] = {
    "up": up,
    "batch": batch,
    "textbook": textbook,
    "nothing": nothing,
    "preview": preview,
    "limit": limit,
    "memory": memory,
    "growth": growth,
    "emulator": emulator,
}
