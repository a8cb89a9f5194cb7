"""The table as text and the growth as a picture, both written by hand: no plotting library is worth its weight here."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from benchmarks.rows import Line, Samples

COLOURS = {
    "upgrades": "#0b6bcb",
    "floor": "#8c959f",
    "upgrades, batch mode": "#1a7f37",
    "floor, batch mode": "#b0b8c0",
    "textbook": "#cf222e",
    "textbook, batch mode": "#e16f24",
}
WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 40, 50


def table(lines: list[Line]) -> str:
    """A Markdown table."""
    rows = [
        "| measure | against | reached | to reach | | runs (minimum / median / maximum) |",
        "|---|---|---|---|---|---|",
    ]
    marks = {True: "met", False: "**not met**", None: ""}
    for line in lines:
        cells = (line.measure, line.against, line.reached, line.target, marks[line.met], line.detail)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def plot(samples: Samples) -> str:
    """Seconds of an `up` over the number of resources, both logarithmic, as SVG."""
    points = {key: min(values) for key, values in samples.seconds.items()}
    counts = sorted({count for _, count in points}) or [1, 10]
    low_x, high_x = math.log10(counts[0]) - 0.1, math.log10(counts[-1]) + 0.1
    low_y = math.floor(math.log10(min(points.values(), default=1)) * 2) / 2
    high_y = math.ceil(math.log10(max(points.values(), default=10)) * 2) / 2

    def x(count: float) -> float:
        return LEFT + (math.log10(count) - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def y(seconds: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(seconds) - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">Seconds of `pulumi up` over the number of upgrades</text>',
    ]
    ticks = [n * 10.0**e for e in range(math.floor(low_y), math.ceil(high_y) + 1) for n in (1, 2, 5)]
    for seconds in ticks:
        if low_y <= math.log10(seconds) <= high_y:
            parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}" stroke="#e5e5e5"/>'
                f'<text x="{LEFT - 8}" y="{y(seconds) + 4:.1f}" text-anchor="end">{seconds:g}</text>'
            )
    for count in counts:
        parts.append(
            f'<line x1="{x(count):.1f}" x2="{x(count):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#f0f0f0"/>'
            f'<text x="{x(count):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{count}</text>'
        )
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">resources</text>')
    for number, (series, colour) in enumerate(COLOURS.items()):
        known = sorted((count, seconds) for (name, count), seconds in points.items() if name == series)
        if not known:
            continue
        line = " ".join(f"{x(count):.1f},{y(seconds):.1f}" for count, seconds in known)
        dash = ' stroke-dasharray="5 4"' if series.startswith("floor") else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        for count, seconds in known:
            parts.append(
                f'<circle cx="{x(count):.1f}" cy="{y(seconds):.1f}" r="3.5" fill="{colour}">'
                f"<title>{escape(series)}: {count} in {seconds:.2f} s</title></circle>"
            )
        top = TOP + 12 + 20 * number
        parts.append(
            f'<line x1="{WIDTH - RIGHT + 16}" x2="{WIDTH - RIGHT + 40}" y1="{top}" y2="{top}" stroke="{colour}" '
            f'stroke-width="2"{dash}/><text x="{WIDTH - RIGHT + 46}" y="{top + 4}">{escape(series)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
