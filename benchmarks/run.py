"""
`make bench`: measures what `docs/scale.md` promises, against what is possible on this machine.

    make bench                                     all rows, at most 40 minutes; writes RESULTS.md and growth.svg
    .venv/bin/python benchmarks/run.py --quick     one run of each, to see that it works; writes nothing
    .venv/bin/python benchmarks/run.py --only up --only limit

Nothing else should run meanwhile. Every ratio is of runs that alternate within minutes; what the machine itself does to
the same piece of work is shown beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks.machine import Bench, Failed, calibrate  # noqa: E402
from benchmarks.report import plot, table  # noqa: E402
from benchmarks.rows import ROWS, Effort, Line, Samples  # noqa: E402

# After this nothing is repeated any more, so that the whole takes no more than ten minutes longer.
MINUTES = 30

EXPLAINED = """
Every run is a whole `pulumi up` (or preview) of one program on the real engine with the file backend, from the start of
the command to its end, `--skip-preview --parallel 64`, API latency 0.1 s, and a fixed access token. Ratios compare the
minimum of alternating runs. "The engine's floor" is the same program with a dynamic resource that asks nobody, sleeps
as long as one GET and one POST take, on as many threads, and stores as much.

What plays Partner Center is on the same cores, in a process of its own, which the real service is not. So it is a
stand-in with the emulator's answers, canned, at a tenth of its CPU; what it used is shown. The rows about limits use
the emulator itself. Each run is checked: every upgrade made once, with one GET and one POST.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure, and compare with what is possible.")
    parser.add_argument("--quick", action="store_true", help="one run of each, about five minutes; writes nothing")
    parser.add_argument("--only", action="append", choices=ROWS, help="this row only (repeatable); writes nothing")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which nothing is repeated (default 30)")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A shell's background jobs ignore ^C, and so would the providers: the engine would wait 5 s for each to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    samples = Samples()
    lines: list[Line] = []
    noise: list[float] = []
    failed = 0
    started = time.monotonic()
    effort = Effort(chosen.quick, started + chosen.minutes * 60)
    for name in chosen.only or ROWS:
        # A bench for each row: what one leaves behind can't slow the next, and a failure stays its own.
        bench = None
        try:
            bench = Bench()
            noise.append(calibrate())
            for line in ROWS[name](bench, samples, effort):
                lines.append(line)
                noise.append(calibrate())
                mark = {True: "met", False: "NOT MET", None: ""}[line.met]
                print(f"{line.measure} | {line.against} | {line.reached} | {line.target} | {mark}\n    {line.detail}")
                sys.stdout.flush()
        except Failed as failure:
            failed += 1
            print(f"{name}: {failure}", file=sys.stderr, flush=True)
            lines.append(Line(name, "", "failed", "", False, str(failure).splitlines()[0]))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        finally:
            if bench is not None:
                bench.close()
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    text = (
        f"# Results of {when}\n{EXPLAINED}\n"
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"{(time.monotonic() - started) / 60:.0f} minutes in all. The same million additions took "
        f"{min(noise):.0f} to {max(noise):.0f} ms over the run (median {statistics.median(noise):.0f}): that is the "
        "machine's noise.\n\n"
        f"{table(lines)}\n![Growth with the number of upgrades](growth.svg)\n"
    )
    print("\n" + text)
    if not (chosen.quick or chosen.only):
        (HERE / "RESULTS.md").write_text(text)
        (HERE / "growth.svg").write_text(plot(samples))
        print(f"written: {HERE / 'RESULTS.md'}, {HERE / 'growth.svg'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
