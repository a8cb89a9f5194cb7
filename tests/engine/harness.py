"""Stacks on the real Pulumi engine, each with a backend, a home and an emulator state of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.pulumi.engine import Engine, on_path, recorded

ROOT = Path(__file__).resolve().parents[2]

NEWEST = "newest"
"""The Python SDK of the lock file: that of the environment the tests run in."""
OLDER = "3.259"
"""Python SDK 3.259.0, the last one before tracebacks were shown to users."""
SDKS = (NEWEST, OLDER)

SECONDS = 240.0
"""How long one Pulumi command may take in a test."""

# What a developer's shell may hold and a test must not see.
FOREIGN = ("PULUMI_", "PARTNERCENTER_", "ARM_", "AZURE_", "IDENTITY_", "MSI_", "PYTHON", "VIRTUAL_ENV")


def engine() -> Engine:
    """The engine `make engine` settled on, or else the one on PATH."""
    return recorded(ROOT) or on_path(ROOT / ".engine")


def python_folder(sdk: str) -> Path:
    """The `bin` folder of the environment that has this Python SDK."""
    folder = Path(sys.prefix) if sdk == NEWEST else ROOT / f".venv-sdk-{sdk}"
    if not (folder / "bin" / "python").exists():
        raise FileNotFoundError(f"{folder} is missing: run `make environment`")
    return folder / "bin"


@dataclass(frozen=True)
class Run:
    """A finished Pulumi command."""

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Everything it printed."""
        return self.stdout + self.stderr

    def succeeded(self) -> Run:
        """This run, which must have ended with exit code 0."""
        assert self.code == 0, f"{self}"
        return self

    def failed(self) -> Run:
        """This run, which must not have ended with exit code 0."""
        assert self.code != 0, f"{self}"
        return self

    def __str__(self) -> str:
        return f"`{' '.join(self.command)}` ended with exit code {self.code}:\n{self.stdout}\n{self.stderr}"


class Stack:
    """
    A Pulumi project of one program with one stack, in a folder of its own.

    *program* is the program's text, or a folder that holds one (an example), which is copied and keeps its
    `Pulumi.yaml`; *project* is the name in it. *config* are plain values of the stack's configuration under their full
    keys, *secrets* are encrypted ones; unless *config* says otherwise the stack works against the emulator, whose state
    is in `emulator_state`. *environ* is added to the environment. *sdk* is one of `SDKS`.
    """

    def __init__(
        self,
        folder: Path,
        program: str | Path,
        *,
        config: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        sdk: str = NEWEST,
        name: str = "test",
        project: str = "upgrades",
    ) -> None:
        self.folder = folder
        self.name = name
        self.project = project
        self.program_folder = folder / "program"
        self.emulator_state = folder / "partner-center.sqlite"
        self.backend = folder / "backend"
        for made in (self.program_folder, self.backend, folder / "home"):
            made.mkdir(parents=True, exist_ok=True)
        found = engine()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        self.environ: dict[str, str] = {
            **kept,
            "PATH": os.pathsep.join([str(python_folder(sdk)), found.path(os.environ.get("PATH", ""))]),
            "HOME": str(folder / "home"),
            "PULUMI_HOME": str(folder / "home" / "pulumi"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            **(environ or {}),
        }
        if isinstance(program, Path):
            left_behind = shutil.ignore_patterns(".partnercenter", "__pycache__", "Pulumi.*.yaml")
            shutil.copytree(program, self.program_folder, dirs_exist_ok=True, ignore=left_behind)
        else:
            self.write(program)
        described = self.program_folder / "Pulumi.yaml"
        if not described.exists():
            described.write_text(f"name: {project}\nruntime: python\n")
        self.pulumi("stack", "init", name).succeeded()
        settings = {"partnercenter:endpoint": "emulator", "partnercenter:emulatorState": str(self.emulator_state)}
        self.configure({**settings, **(config or {})}, secrets=secrets)

    def write(self, program: str) -> None:
        """Replace the program."""
        (self.program_folder / "__main__.py").write_text(textwrap.dedent(program))

    def configure(self, config: Mapping[str, str], *, secrets: Mapping[str, str] | None = None) -> None:
        """Set values of the stack's configuration."""
        arguments = [f"--plaintext={key}={value}" for key, value in config.items()]
        arguments += [f"--secret={key}={value}" for key, value in (secrets or {}).items()]
        self.pulumi("config", "set-all", "--stack", self.name, *arguments).succeeded()

    def preview(self, *arguments: str) -> Run:
        """`pulumi preview`."""
        return self.pulumi("preview", "--stack", self.name, *arguments)

    def up(self, *arguments: str) -> Run:
        """`pulumi up`, preview included unless *arguments* has `--skip-preview`."""
        return self.pulumi("up", "--yes", "--stack", self.name, *arguments)

    def refresh(self, *arguments: str) -> Run:
        """`pulumi refresh`, without asking."""
        return self.pulumi("refresh", "--yes", "--stack", self.name, *arguments)

    def destroy(self, *arguments: str) -> Run:
        """`pulumi destroy`, without asking."""
        return self.pulumi("destroy", "--yes", "--stack", self.name, *arguments)

    def cancel(self) -> Run:
        """`pulumi cancel`: unlock the stack after its engine was killed."""
        return self.pulumi("cancel", "--yes", "--stack", self.name)

    def export(self) -> dict[str, Any]:
        """The stack's checkpoint, secrets encrypted: `{"version", "deployment"}`."""
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export", "--stack", self.name).succeeded().stdout)
        return exported

    def outputs(self) -> dict[str, Any]:
        """What the program exported."""
        shown = self.pulumi("stack", "output", "--json", "--stack", self.name).succeeded().stdout
        outputs: dict[str, Any] = json.loads(shown)
        return outputs

    def resources(self) -> list[dict[str, Any]]:
        """The custom resources in the stack's state."""
        resources = self.export()["deployment"].get("resources") or []
        return [resource for resource in resources if resource.get("custom") and "dynamic" in resource["type"]]

    @property
    def state_file(self) -> Path:
        """The checkpoint on disk, as the engine writes it; a `.bak` beside it is one step older."""
        return self.backend / ".pulumi" / "stacks" / self.project / f"{self.name}.json"

    def pulumi(self, *arguments: str, seconds: float = SECONDS) -> Run:
        """Run any Pulumi command in the project's folder."""
        command = self._command(arguments)
        done = subprocess.run(
            command,
            cwd=self.program_folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Run(tuple(command), done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """
        Start a Pulumi command in a session of its own, stdout and stderr piped together, for tests that interrupt it.

        Signal it with `os.killpg(process.pid, ...)`; the provider's process is in another group and survives that.
        """
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.program_folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @staticmethod
    def _command(arguments: Sequence[str]) -> list[str]:
        return ["pulumi", *arguments, "--non-interactive", "--color", "never"]
