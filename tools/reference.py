"""
Writes docs/reference.md: every row of the reference page, with the code and the test that cover it.

``reference.json`` lists the rows, transcribed once from the page. A row without code, or whose test does not exist, is
a problem that stops the writing and fails the suite (``tests/test_reference.py``), so that none can get lost.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pc_provider.partner_center import enums, models

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"
EXPECTED: dict[str, Any] = json.loads((ROOT / "tools" / "reference.json").read_text(encoding="utf-8"))
BEYOND = ["Collection", "Subscription", "Customer", "CompanyProfile", "Order", "OrderLineItem"]
ROUND_TRIP = "round trip::test_a_value_survives_every_media_type"
SPELLINGS = "models::test_an_enumeration_reads_in_every_spelling"


class Row(NamedTuple):
    """One row: its cells before the code, the code as ``module.symbol`` below ``partner_center``, the test."""

    cells: tuple[str, ...]
    code: str
    test: str


class Table(NamedTuple):
    title: str
    about: str
    heads: tuple[str, ...]
    rows: list[Row]


def tables() -> Iterator[Table]:
    """Every table of the page, in order."""
    for table in EXPECTED["tables"]:
        rows = [Row((f"`{name}`", meaning), code, test) for name, meaning, code, test in table["rows"]]
        yield Table(table["title"], "", ("row", "meaning"), rows)
    for name, keys in EXPECTED["definitions"].items():
        yield _definition(name, keys.split())
    for name, values in EXPECTED["enumerations"].items():
        yield _enumeration(name, values.split())
    for name in BEYOND:
        yield _definition(name, [field.encode_name for field in _fields(name)])
    yield _enumeration("SubscriptionStatus", [member.value for member in enums.SubscriptionStatus])


def _definition(name: str, keys: list[str]) -> Table:
    cls = getattr(models, name)
    fields = {field.encode_name: field.name for field in _fields(name)}
    said = _said(models, name)
    case = f"{ROUND_TRIP}[{'Collection[Upgrade]' if name == 'Collection' else name}]"
    rows = []
    for key in keys:
        kind, meaning = said.get(fields.get(key, ""), ("", ""))
        rows.append(Row((f"`{key}`", _kind(kind), meaning), f"models.{name}.{fields.get(key, '?')}", case))
    rows += [Row((f"`{key}`", "", "not in reference.json"), "?", "") for key in fields if key not in keys]
    return Table(name, _first(cls), ("field", "type", "meaning"), rows)


def _enumeration(name: str, values: list[str]) -> Table:
    kind: type[enums.OpenEnum] = getattr(enums, name)
    said = _said(enums, name)
    members = {member.value: member.name for member in kind}
    # A value that only an SDK knows comes after those of the page.
    wanted = [*values, *(value for value in members if value not in values)]
    rows = []
    for value in wanted:
        number = next((str(n) for n in range(len(kind)) if kind.of(n) == value), "")
        symbol = members.get(value, "?")
        rows.append(
            Row((f"`{value}`", number, said.get(symbol, ("", ""))[1]), f"enums.{name}.{symbol}", f"{SPELLINGS}[{name}]")
        )
    return Table(name, _first(kind), ("value", "number", "meaning"), rows)


def _fields(name: str) -> list[msgspec.structs.FieldInfo]:
    return [field for field in msgspec.structs.fields(getattr(models, name)) if field.name != "extra"]


def _first(cls: type) -> str:
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split())


def _said(module: Any, name: str) -> dict[str, tuple[str, str]]:
    """The annotation of each field, or member, of the class *name*, and the text that stands below it."""
    tree = ast.parse(inspect.getsource(module))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    said = {}
    for line, text in itertools.pairwise(body):
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            meaning = " ".join(str(text.value.value).split())
            if isinstance(line, ast.AnnAssign):
                said[ast.unparse(line.target)] = (ast.unparse(line.annotation), meaning)
            elif isinstance(line, ast.Assign):
                said[ast.unparse(line.targets[0])] = ("", meaning)
    return said


def _kind(annotation: str) -> str:
    """``list[UpgradeError]`` as ``[UpgradeError]``; of an open enumeration, its name."""
    kind = annotation.removesuffix(" | None")
    if kind.startswith("list["):
        return f"[{_kind(kind[5:-1])}]"
    return kind.replace(" | str | int", "").replace("dict[str, Any]", "object").replace(" | ", " or ")


def node_id(test: str) -> str:
    """The pytest node id of a row's test."""
    file, _, name = test.partition("::")
    return f"{EXPECTED['test_files'].get(file, file)}::{name}"


def problems() -> list[str]:
    """Rows whose code or test is not there."""
    found = []
    wanted = set()
    for table in tables():
        for row in table.rows:
            wanted.add(node_id(row.test))
            if not _exists(row.code):
                found.append(f"{table.title} {row.cells[0]}: no code {row.code}")
    # Only pytest knows which ids its parameters give.
    files = sorted({wanted_id.partition("::")[0] for wanted_id in wanted})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    listing = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
    there = set(listing.splitlines())
    return found + [f"no test {wanted_id}" for wanted_id in sorted(wanted - there)]


def _exists(code: str) -> bool:
    module, *names = code.split(".")
    try:
        value: Any = importlib.import_module(f"pc_provider.partner_center.{module}")
        for name in names:
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return False
    return bool(names)


def render() -> str:
    """The page."""
    numbers: dict[str, int] = {}
    lines = [
        "# The reference, row by row",
        "",
        f'Every row of Microsoft\'s REST reference, "{EXPECTED["page"]}", with the code below',
        "`pc_provider.partner_center` that covers it and the test that shows it (listed at the end). Written by",
        "`make reference`; the suite checks that no row is missing and that this page is current.",
        "",
    ]
    sections = {
        EXPECTED["tables"][0]["title"]: "## The operation",
        next(iter(EXPECTED["definitions"])): "## Definitions",
        next(iter(EXPECTED["enumerations"])): "## Enumerations",
        BEYOND[0]: "## Beyond the page\n\nWhat else an upgrade touches, as far as this project reads it.",
    }
    for table in tables():
        if table.title in sections:
            lines += [sections[table.title], ""]
        lines += [f"### {table.title}", ""]
        if table.about:
            lines += [table.about, ""]
        lines += [_line(*table.heads, "code", "test"), _line(*["---"] * (len(table.heads) + 2))]
        for row in table.rows:
            number = numbers.setdefault(node_id(row.test), len(numbers) + 1)
            lines.append(_line(*row.cells, f"`{row.code}`", f"[{number}](#tests)"))
        lines.append("")
    lines += ["## Tests", ""]
    lines += [f"{number}. `{test}`" for test, number in numbers.items()]
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    found = problems()
    if found:
        print("docs/reference.md was not written:", *found, sep="\n  ", file=sys.stderr)
        return 1
    PAGE.write_text(render(), encoding="utf-8")
    print(f"docs/reference.md: {sum(len(table.rows) for table in tables())} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
