"""Fixtures that tests of several rooms share."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.engine.harness import SDKS, Stack


class NewStack(Protocol):
    """Makes a stack on the real engine; the arguments are those of `Stack` after its folder."""

    def __call__(self, program: str | Path, **arguments: Any) -> Stack: ...


@pytest.fixture(autouse=True)
def full_tracebacks() -> Iterator[None]:
    """Undoes what the provider sets for its own process, where a test runs it in this one."""
    yield
    sys.__dict__.pop("tracebacklimit", None)


@pytest.fixture
def new_stack(tmp_path: Path) -> NewStack:
    """A maker of stacks, for tests that drive the real engine."""
    count = itertools.count(1)

    def make(program: str | Path, **arguments: Any) -> Stack:
        return Stack(tmp_path / f"stack-{next(count)}", program, **arguments)

    return make


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest) -> str:
    """Each Python SDK that messages must read well on."""
    return str(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything that uses the engine can be chosen or left out with `-m engine`."""
    for item in items:
        if "new_stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
