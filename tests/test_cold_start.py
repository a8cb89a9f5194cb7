"""
What each process loads, and when: every preview and every update starts a program and a provider anew.

Not a time but a list: what is not loaded costs nothing on any machine. `make bench` has the times.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E3, SUBSCRIPTION_ID

from .engine.harness import python_folder

ROOT = Path(__file__).resolve().parents[1]

# What may be loaded where it is used, and not before.
HEAVY = {
    "click", "cryptography", "defusedxml", "h11", "httpcore", "httpx", "jwt", "msal", "msgspec", "pygments", "requests",
    "rich", "sqlite3", "trustme", "urllib3", "uvicorn", "xml.etree",
}  # fmt: skip
OWN = {"pc_provider", "pc_provider.engine", "pc_provider.inputs", "pc_provider.partner_center",
       "pc_provider.partner_center.errors", "pc_provider.program", "pc_provider.progress", "pc_provider.provider",
       "pc_provider.resource"}  # fmt: skip


def loaded(first: str, then: str = "pass") -> tuple[set[str], set[str]]:
    """What a fresh process that has Pulumi loads for *first*, and what more for *then*."""
    code = f"""
import json, sys
import pulumi, pulumi.dynamic
before = set(sys.modules)
{first}
between = set(sys.modules)
{then}
after = set(sys.modules)
print(json.dumps([sorted(between - before), sorted(after - between)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout)
    return set(one), set(two)


def heavy(modules: set[str]) -> set[str]:
    return {name for name in HEAVY if any(module == name or module.startswith(f"{name}.") for module in modules)}


def configured(url: str) -> str:
    """Code that does what the engine has a provider do before the first create."""
    return f"""
from pc_provider.provider import SubscriptionUpgradeProvider
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config
values = {{"partnercenter:endpoint": {url!r}, "partnercenter:accessToken": "emulator"}}
provider = SubscriptionUpgradeProvider()
provider.configure(ConfigureRequest(config=Config(values, "test")))
inputs = {{"customerId": {CUSTOMER_ID!r}, "subscriptionId": {SUBSCRIPTION_ID!r}, "targetOfferId": {OFFER_E3!r}}}
checked = provider.check({{}}, inputs)
assert not checked.failures, [failure.reason for failure in checked.failures]
provider.diff("id", checked.inputs, checked.inputs)
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "state.db") as emulator:
        yield emulator


def test_the_package_alone_loads_nothing() -> None:
    assert loaded("import pc_provider")[0] == {"pc_provider"}


def test_a_program_loads_only_the_resource_and_its_provider() -> None:
    assert loaded("from pc_provider import SubscriptionUpgrade")[0] == OWN


def test_a_provider_loads_little_before_its_first_create() -> None:
    modules, _ = loaded(configured("https://partnercenter.invalid"))
    assert heavy(modules) == set()
    # The SDK is loaded already; what is left is ours, and what the standard library needs for it.
    assert len(modules) < 40, sorted(modules)


def test_a_create_loads_what_it_uses_and_no_command_line(emulator: Emulator) -> None:
    first, then = loaded(configured(emulator.url), "provider.create(checked.inputs)")
    assert heavy(first) == set()
    assert heavy(then) == {"h11", "httpcore", "httpx", "msgspec"}


def test_nothing_is_loaded_to_find_that_nothing_changes(emulator: Emulator) -> None:
    _, then = loaded(
        configured(emulator.url), "provider.check({}, inputs)\nprovider.diff('id', checked.inputs, checked.inputs)"
    )
    assert then == set()


def test_the_command_line_loads_a_command_when_it_runs() -> None:
    modules, _ = loaded("import pc_provider.cli")
    assert heavy(modules) == {"click"}


def test_a_program_waits_for_its_resources_in_turn(sdk: str) -> None:
    """The SDK looks as `program.wait_in_turn` expects: what it leaves is what the SDK waits for first."""
    code = """
import asyncio
from pulumi.runtime.settings import _get_rpc_manager
from pulumi.runtime.stack import wait_for_rpcs
from pc_provider import program

program.wait_in_turn()
assert _get_rpc_manager().rpcs == [], "outside a program nothing is done"

async def main():
    program.wait_in_turn()
    program.wait_in_turn()
    (answered,) = _get_rpc_manager().rpcs
    assert answered.done()
    await wait_for_rpcs()
    assert _get_rpc_manager().rpcs == []

asyncio.run(main())
"""
    python = python_folder(sdk) / "python"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
