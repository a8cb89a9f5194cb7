"""
Many upgrades in one CSV file: read whole, checked whole, and every problem named with its row.

The first row names the columns: ``customer_id``, ``subscription_id`` and ``target_offer_id``; where wanted also
``upgrade_type`` (``upgrade_only`` where empty), ``partner`` and ``name`` (the Pulumi name of the resource; the
subscription's id where empty). Rows are numbered as editors and spreadsheets show them: the first row is 1.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pc_provider.partner_center.errors import PartnerCenterError, printable

__all__ = ["FleetError", "Row", "read_fleet"]

COLUMNS = {
    "customer_id": "customerId",
    "subscription_id": "subscriptionId",
    "target_offer_id": "targetOfferId",
    "upgrade_type": "upgradeType",
    "partner": "partner",
}
NEEDED = ("customer_id", "subscription_id", "target_offer_id")
MOST_SHOWN = 100


class FleetError(PartnerCenterError, ValueError):
    """The file can't be used. *problems* has one line for each, with its row."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        shown = [f"\n  {problem}" for problem in problems[:MOST_SHOWN]]
        if len(problems) > MOST_SHOWN:
            shown.append(f"\n  and {len(problems) - MOST_SHOWN} more")
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count}{''.join(shown)}", attempted=f"{printable(path, 200)} can't be used")


class Row(NamedTuple):
    """One upgrade; *row* is where it stands in the file, *partner* None for the stack's own."""

    row: int
    name: str
    customer_id: str
    subscription_id: str
    target_offer_id: str
    upgrade_type: str
    partner: str | None


def read_fleet(path: str | os.PathLike[str]) -> list[Row]:
    """
    The upgrades in the file at *path*, in its order.

    Comma or semicolon separated, UTF-8. Raises :class:`FleetError` with everything that is wrong with it.
    """
    path = Path(path)
    problems: list[str] = []
    rows: list[Row] = []
    for number, values in _records(path, problems):
        problems += [f"row {number}: {reason}" for reason in _problems(values)]
        rows.append(
            Row(
                number,
                values.get("name") or values.get("subscription_id", "").lower(),
                values.get("customer_id", ""),
                values.get("subscription_id", ""),
                values.get("target_offer_id", ""),
                (values.get("upgrade_type") or "upgrade_only").lower(),
                values.get("partner") or None,
            )
        )
    problems += _repeated(rows)
    if not rows:
        problems.append("it has no upgrades: there is no row below the first")
    if problems:
        raise FleetError(path, sorted(problems, key=_row))
    return rows


def _row(problem: str) -> int:
    first = problem.partition(":")[0].removeprefix("row ")
    return int(first) if first.isdigit() else 0


def _records(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows below the first, by column, with their numbers; empty rows are passed over."""
    text = _text(path)
    first = text.partition("\n")[0]
    records = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    header: list[str] = []
    number = 0
    try:
        for number, record in enumerate(records, start=1):
            values = [value.strip() for value in record]
            if number == 1:
                header = _header(path, values)
            elif any(values):
                if len(values) > len(header) and any(values[len(header) :]):
                    problems.append(f"row {number}: it has {len(values)} values for {len(header)} columns")
                yield number, dict(zip(header, values, strict=False))
    except csv.Error as error:
        problems.append(f"row {number + 1}: it can't be read ({error}), nor what follows")


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FleetError(path, [f"it can't be read ({error.strerror})"]) from None
    except UnicodeDecodeError:
        raise FleetError(path, ['it is not UTF-8: save it as "CSV UTF-8"']) from None
    if "\0" in text:
        raise FleetError(path, ['it is not UTF-8: save it as "CSV UTF-8"'])
    return text


def _header(path: Path, names: list[str]) -> list[str]:
    names = [name.lower() for name in names]
    known = [*COLUMNS, "name"]
    problems = [f"row 1: the column {name} is missing" for name in NEEDED if name not in names]
    problems += [
        f"row 1: {printable(name, 60)!r} is no column; the columns are {', '.join(known)}"
        for name in names
        if name and name not in known
    ]
    problems += [f"row 1: the column {name} is there twice" for name in known if names.count(name) > 1]
    if problems:
        raise FleetError(path, problems)
    return names


def _problems(values: Mapping[str, str]) -> list[str]:
    """What is wrong with one row: the same as the resource's own check would find."""
    from pc_provider import inputs

    bag = {wire: values[name] for name, wire in COLUMNS.items() if values.get(name)}
    return [reason for _, reason in inputs.failures(inputs.normalise(bag))]


def _repeated(rows: list[Row]) -> list[str]:
    """A subscription is upgraded once, and a resource's name is given once."""
    problems = []
    subscriptions: dict[str, int] = {}
    names: dict[str, int] = {}
    for row in rows:
        if row.subscription_id:
            first = subscriptions.setdefault(f"{row.customer_id}/{row.subscription_id}".lower(), row.row)
            if first != row.row:
                problems.append(f"row {row.row}: the same subscription as in row {first}")
                continue
        if row.name:
            first = names.setdefault(row.name, row.row)
            if first != row.row:
                problems.append(f"row {row.row}: the same name as in row {first} ({printable(row.name, 60)})")
    return problems
