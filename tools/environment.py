"""Make the project's Python environments from the lock files, and print the exports for working by hand.

Only the standard library is needed: `python3 tools/environment.py install` and `... exports`.
`.venv` is the project's own; `.venv-sdk-3.259` has an older Pulumi SDK, for tests. Each is made once
(and anew when its lock file changes); an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".state"
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.pulumi.engine import Engine, recorded  # noqa: E402  (found by the line above)

LOCKS: Mapping[str, str] = {
    ".venv": "requirements.lock",
    ".venv-sdk-3.259": "requirements-sdk-3.259.lock",
}
OLDEST_PYTHON = (3, 10)

# What would make pip install elsewhere, or Python import from elsewhere.
MISLEADING = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class SetUpFailed(Exception):
    """An environment could not be made; the text says what to do."""


def say(text: str) -> None:
    """Tell the person at the terminal; on stderr, so that `eval "$(make -s env)"` never reads it."""
    print(f"environment: {text}", file=sys.stderr, flush=True)


def wanted(lock: Path) -> tuple[str, str]:
    """What a finished environment's stamp says: of its packages, and of the project installed into it."""
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {ROOT}", project


def stamped(folder: Path) -> tuple[str, str]:
    """What `folder` was finished with; two empty strings when it never was, or can't run any more."""
    try:
        packages, project = (folder / ".complete").read_text().splitlines()
    except (OSError, ValueError):
        return "", ""
    return (packages, project) if (folder / "bin" / "python").exists() else ("", "")


def run(arguments: list[str], what: str) -> None:
    """Run one step quietly; its output is shown if it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise SetUpFailed(f"{what} failed:\n{done.stdout.strip()}")


def make(folder: Path, lock: Path) -> None:
    """Make the environment in `folder`: the lock file's packages, and this project, editable."""
    started = time.monotonic()
    stamp = folder / ".complete"
    packages, project = wanted(lock)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    if stamped(folder)[0] != packages:
        say(f"making {folder.name} from {lock.name} (about a minute)")
        # A finished environment that no longer fits is made anew; an unfinished one is continued.
        again = ["--clear"] if stamp.exists() else []
        try:
            run([sys.executable, "-m", "venv", *again, str(folder)], f"python -m venv {folder.name}")
        except SetUpFailed as failure:
            raise SetUpFailed(f"{failure}\nInstall Python's venv module (Debian and Ubuntu: python3-venv).") from None
        run([*pip, "--require-hashes", "--requirement", str(lock)], f"installing {lock.name}")
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], "installing the project itself")
    partial = stamp.with_suffix(".partial")
    partial.write_text(f"{packages}\n{project}\n")
    partial.replace(stamp)
    say(f"{folder.name} is ready ({time.monotonic() - started:.0f} s)")


def install(names: Sequence[str]) -> None:
    """Make what is missing of the environments *names*.

    Raises:
        SetUpFailed: with what to do about it.
    """
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetUpFailed(f"Python 3.10 or newer is needed, this is {found}: try `make PYTHON=python3.12`")
    for name in names:
        folder, lock = ROOT / name, ROOT / LOCKS[name]
        if stamped(folder) == wanted(lock):
            continue
        STATE.mkdir(exist_ok=True)
        with (STATE / f"{name}.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if stamped(folder) != wanted(lock):
                make(folder, lock)


def variables(engine: Engine, path: str) -> dict[str, str]:
    """What the Pulumi command line needs to work in this checkout and nowhere else.

    The stacks live in the ignored folder `.state`, behind a passphrase that protects nothing but try-outs.
    """
    stacks, home = STATE / "stacks", STATE / "pulumi"
    for folder in (stacks, home):
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), engine.path(path)]),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{stacks}",
        "PULUMI_CONFIG_PASSPHRASE": "local",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
    }


def exports() -> None:
    """Print shell lines for `eval`.

    Raises:
        SetUpFailed: there is no engine yet.
    """
    engine = recorded(ROOT)
    if engine is None:
        raise SetUpFailed("there is no engine yet: run `make engine`")
    for name, value in variables(engine, os.environ.get("PATH", "")).items():
        print(f"export {name}={shlex.quote(value)}")


def main() -> int:
    """Do one of the two; exit code 1 with one message when it can't be done."""
    parser = argparse.ArgumentParser(description="The project's Python environments.")
    parser.add_argument("do", choices=["install", "exports"])
    parser.add_argument("--older-sdk", action="store_true", help="install: the tests' environment as well")
    chosen = parser.parse_args()
    try:
        install(list(LOCKS) if chosen.older_sdk else [".venv"]) if chosen.do == "install" else exports()
    except SetUpFailed as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command continues where this stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
