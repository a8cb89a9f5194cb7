"""What a stranger does first: `make demo`, and the quickstart in a folder of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import NewStack
from tests.engine.harness import ROOT


@pytest.mark.engine
def test_the_demo_tells_its_story() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "demo.py")], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "That was the whole story" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (ROOT / "Pulumi.make-demo.yaml").exists()


def test_the_quickstart_runs_in_a_copy_outside_the_project(new_stack: NewStack, sdk: str) -> None:
    stack = new_stack(ROOT / "examples" / "quickstart", project="partner-center-quickstart", sdk=sdk)
    stack.up().succeeded()
    (resource,) = stack.resources()
    outputs = stack.outputs()
    assert resource["outputs"]["targetSubscriptionId"] == outputs["targetSubscriptionId"]
    assert outputs["sourceSubscriptionId"] == "a356ac8c-e310-44f4-bf85-c7f29044af99"
    again = stack.up().succeeded()
    assert "2 unchanged" in again.text
    stack.destroy().succeeded()
    assert stack.resources() == []
