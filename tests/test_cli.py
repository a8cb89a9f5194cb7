"""The ``pc-provider`` command as a person runs it: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from pc_provider.emulator import Emulator
from pc_provider.partner_center.transport import Transport
from tests.conftest import NewStack

CANARY = "canary-c0de"
COMMAND = [str(Path(sys.executable).parent / "pc-provider")]


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(tls=True) as emulator:
        yield emulator


def environment(emulator: Emulator, **more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PARTNERCENTER_", "ARM_", "AZURE_"))
    }
    own = {"PARTNERCENTER_ENDPOINT": emulator.url, "PARTNERCENTER_CA_BUNDLE": str(emulator.ca_bundle)}
    return {**kept, **own, **{f"PARTNERCENTER_{name}": value for name, value in more.items()}}


def run(*arguments: str, environ: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_names_every_command(served: Emulator, tmp_path: Path) -> None:
    done = run("--help", environ=environment(served), folder=tmp_path)
    assert done.returncode == 0
    for command in ("doctor", "emulator", "login"):
        assert f"  {command} " in done.stdout
    assert run("--version", environ=environment(served), folder=tmp_path).stdout.startswith("pc-provider, version ")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from pc_provider.cli import main; "
        "CliRunner().invoke(main, ['--help']); "
        "print([m for m in ('httpx', 'msal', 'pulumi', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_doctor_as_a_table_and_as_json(served: Emulator, tmp_path: Path) -> None:
    table = run("doctor", environ=environment(served), folder=tmp_path)
    assert table.returncode == 0, table.stdout + table.stderr
    assert re.search(r"audience\W+ok\W+https://api\.partnercenter\.microsoft\.com", table.stdout)
    told = run("doctor", "--json", environ=environment(served), folder=tmp_path)
    document = json.loads(told.stdout)
    assert document["ok"] is True
    assert {"check", "state", "detail", "remedy"} == set(document["checks"][0])


def test_doctor_warns_of_what_it_does_not_read_and_what_is_not_encrypted(served: Emulator, new_stack: NewStack) -> None:
    config = {"endpoint": served.url, "caBundle": str(served.ca_bundle), "tenantID": "x", "clientSecret": CANARY}
    stack = new_stack("", config={f"partnercenter:{key}": value for key, value in config.items()})
    done = run("doctor", "--json", environ=stack.environ, folder=stack.program_folder)
    assert CANARY not in done.stdout + done.stderr
    checks = json.loads(done.stdout)["checks"]
    warned = " ".join(check["detail"] for check in checks if check["state"] == "warning")
    assert "is partnercenter:tenantId meant?" in warned
    assert "partnercenter:clientSecret is stored in plain text" in warned


def test_doctor_fails_with_what_to_do(served: Emulator, tmp_path: Path) -> None:
    environ = environment(served, CLIENT_SECRET=CANARY)
    done = run("doctor", "--json", environ=environ, folder=tmp_path)
    assert done.returncode == 1
    (failed,) = [check for check in json.loads(done.stdout)["checks"] if check["state"] == "failed"]
    assert "AADSTS7000215" in failed["detail"]
    assert "PARTNERCENTER_CLIENT_SECRET" in failed["remedy"]
    table = run("doctor", environ=environ, folder=tmp_path)
    assert table.returncode == 1
    assert CANARY not in done.stdout + done.stderr + table.stdout + table.stderr


def test_an_unknown_partner_is_a_message_not_a_traceback(served: Emulator, tmp_path: Path) -> None:
    done = run("login", "--partner", "emea", environ=environment(served), folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: partner: 'emea' is not configured")
    assert "Traceback" not in done.stderr


def test_a_stack_that_cannot_be_read_is_a_message(served: Emulator, tmp_path: Path) -> None:
    done = run("login", "--stack", "nowhere", environ=environment(served), folder=tmp_path)
    assert done.returncode == 1
    assert "Reading the configuration of stack nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def approve(emulator: Emulator, user_code: str) -> None:
    transport = Transport(ca_bundle=emulator.ca_bundle)
    content = json.dumps({"userCode": user_code}).encode()
    assert transport.send("POST", f"{emulator.url}/_emulator/device-codes", content=content).status == 200
    transport.close()


def log_in(emulator: Emulator, *arguments: str, environ: dict[str, str], folder: Path) -> tuple[str, str]:
    """Runs ``login --device-code`` with a person who approves; its output and messages."""
    process = subprocess.Popen(
        [*COMMAND, "login", "--device-code", *arguments],
        env=environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        first = process.stderr.readline()
        code = re.search(r"enter the code (\S+)", first)
        assert code is not None, first
        approve(emulator, code[1])
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return printed, first + said


def test_login_prints_the_token_when_asked_to(served: Emulator, tmp_path: Path) -> None:
    printed, said = log_in(served, "--print", environ=environment(served), folder=tmp_path)
    token = printed.strip()
    assert token.startswith("0.")
    assert token not in said
    assert "Signed in as admin@emulator.onmicrosoft.com" in said
    done = run("doctor", "--json", environ=environment(served, REFRESH_TOKEN=token), folder=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("partner", ["", "emea"])
def test_login_stores_the_token_as_a_secret_of_the_stack(served: Emulator, new_stack: NewStack, partner: str) -> None:
    stack = new_stack(
        "", config={"partnercenter:endpoint": served.url, "partnercenter:caBundle": str(served.ca_bundle)}
    )
    if partner:
        stack.pulumi("config", "set", "--path", "partnercenter:partners.emea.requestTimeout", "20").succeeded()
    options = ["--partner", partner] if partner else []
    printed, said = log_in(served, *options, environ=stack.environ, folder=stack.program_folder)
    assert printed == ""
    assert "is stored as the secret partnercenter:" in said
    written = "".join(path.read_text() for path in stack.program_folder.glob("*.yaml"))
    shown = json.loads(stack.pulumi("config", "--show-secrets", "--json").succeeded().stdout)
    key = "partnercenter:partners" if partner else "partnercenter:refreshToken"
    value = shown[key]["value"]
    token = json.loads(value)["emea"]["refreshToken"] if partner else value
    assert shown[key]["secret"] is True
    assert token.startswith("0.")
    assert token not in written + said
    done = run("doctor", "--json", *options, environ=stack.environ, folder=stack.program_folder)
    assert done.returncode == 0, done.stdout
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["configuration"]["detail"].startswith("read from the selected stack")
    assert "App+User" in checks["way to sign in"]["detail"]


def test_login_without_a_stack_says_how_to_get_the_token(served: Emulator, new_stack: NewStack, tmp_path: Path) -> None:
    stack = new_stack("")
    process = subprocess.Popen(
        [*COMMAND, "login", "--device-code"],
        env={**stack.environ, **environment(served), "PATH": stack.environ["PATH"]},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        approve(served, process.stderr.readline().split()[-1])
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert printed == ""
    assert "Storing partnercenter:refreshToken in the stack" in said
    assert "--print" in said
    assert " 0." not in said


def test_emulator_serves_until_it_is_stopped(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "emulator", "--port", "0", "--state", str(tmp_path / "state.db")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout is not None
        url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert url is not None
        with urlopen(f"{url[0]}/", timeout=10) as answer:
            assert answer.status == 200
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "state.db").exists()
