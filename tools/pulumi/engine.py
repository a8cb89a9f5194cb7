"""Find the Pulumi engine, or get one: on PATH, from Pulumi's own installer, or built with Go.

Run with the project's environment: `.venv/bin/python tools/pulumi/engine.py`. What it settles on is
written to `.engine/engine.json`, so it happens once; an interrupted run continues where it stopped.

Three ways, in this order:
1. `pulumi` on PATH, at least `MINIMUM`, with the Python language host beside it or on PATH;
2. Pulumi's installer (`pulumi.automation.PulumiCommand.install`), into `.engine/installed`;
3. a build with Go from Pulumi's published modules (`cli/go.mod`, `language/go.mod`), into `.engine/bin`.

`--only` forces one of them.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

MINIMUM = (3, 259, 0)
"""The oldest engine the tests have run on. Python SDK 3.272 runs on it."""

LANGUAGE_HOST = "pulumi-language-python"
BESIDE = (LANGUAGE_HOST, "pulumi-language-python-exec", "pulumi-resource-pulumi-python")

INSTALLER_SECONDS = 300.0
"""How long Pulumi's installer may take; without a network it fails within seconds."""

INSTALLER = """
import socket, sys
socket.setdefaulttimeout(10)
from pulumi.automation import PulumiCommand
PulumiCommand.install(root=sys.argv[1])
"""


class Unavailable(Exception):
    """This way to an engine is closed; the text says why."""


@dataclass(frozen=True)
class Engine:
    """An engine that can be used: the folder that holds `pulumi`, its version and where it came from."""

    folder: str
    version: str
    source: str

    def path(self, path: str) -> str:
        """`path` with the engine's folder in front."""
        return os.pathsep.join([self.folder, path]) if path else self.folder


def say(text: str) -> None:
    """Tell the person at the terminal; on stderr, so that `eval "$(make -s env)"` never reads it."""
    print(f"engine: {text}", file=sys.stderr, flush=True)


def version_of(pulumi: str | Path) -> str | None:
    """The version `pulumi` reports, such as "3.259.0"; None when it doesn't run."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run([str(pulumi), "version"], env=environment, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"v?(\d+\.\d+\.\d+\S*)", answer.stdout)
    return found[1] if answer.returncode == 0 and found else None


def numbers(version: str) -> tuple[int, ...]:
    """(3, 259, 0) for "3.259.0" and for "3.259.0-alpha.1"."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def stamp_key() -> str:
    """Changes with the modules an engine is built from and with the version asked for."""
    digest = hashlib.sha256(repr(MINIMUM).encode())
    for name in ("cli/go.mod", "cli/go.sum", "language/go.mod", "language/go.sum"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def recorded(root: Path = ROOT) -> Engine | None:
    """The engine an earlier run settled on, if it is still there."""
    try:
        stamp = json.loads((root / ".engine" / "engine.json").read_text())
        engine = Engine(**stamp["engine"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if stamp.get("key") != stamp_key() or not os.access(Path(engine.folder, "pulumi"), os.X_OK):
        return None
    return engine


def record(engine: Engine, home: Path) -> None:
    """Remember `engine` for the next run; the file is there whole or not at all."""
    partial = home / "engine.json.partial"
    partial.write_text(json.dumps({"key": stamp_key(), "engine": asdict(engine)}, indent=2) + "\n")
    partial.replace(home / "engine.json")


def on_path(home: Path) -> Engine:
    """The `pulumi` on PATH.

    Raises:
        Unavailable: there is none, it is older than `MINIMUM`, or it has no Python language host.
    """
    outside = [part for part in os.environ.get("PATH", "").split(os.pathsep) if home not in Path(part).parents]
    path = os.pathsep.join(outside)
    pulumi = shutil.which("pulumi", path=path)
    if pulumi is None:
        raise Unavailable("there is no `pulumi` on PATH")
    version = version_of(pulumi)
    if version is None:
        raise Unavailable(f"{pulumi} does not say its version")
    if numbers(version) < MINIMUM:
        raise Unavailable(f"{pulumi} is {version}, older than {'.'.join(map(str, MINIMUM))}")
    folder = str(Path(pulumi).absolute().parent)
    if shutil.which(LANGUAGE_HOST, path=os.pathsep.join([folder, path])) is None:
        raise Unavailable(f"{pulumi} has no {LANGUAGE_HOST} beside it or on PATH")
    return Engine(folder, version, "PATH")


def installed(home: Path) -> Engine:
    """The engine from Pulumi's own installer, of the Python SDK's version.

    Raises:
        Unavailable: it could not be downloaded.
    """
    say("asking Pulumi's installer (one download, about a minute)")
    partial, final = home / "installed.partial", home / "installed"
    shutil.rmtree(partial, ignore_errors=True)
    with (home / "installer.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", INSTALLER, str(partial)], stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = process.wait(timeout=INSTALLER_SECONDS)
        except BaseException as stopped:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(stopped, subprocess.TimeoutExpired):
                raise Unavailable(f"no answer within {INSTALLER_SECONDS:.0f} s") from None
            raise
        log.seek(0)
        lines = log.read().strip().splitlines()
    if code != 0:
        raise Unavailable(lines[-1] if lines else f"it ended with exit code {code}")
    shutil.rmtree(final, ignore_errors=True)
    partial.replace(final)
    version = version_of(final / "bin" / "pulumi")
    if version is None:
        raise Unavailable(f"what it installed in {final} does not run")
    return Engine(str(final / "bin"), version, "Pulumi's installer")


def go_environment(home: Path) -> dict[str, str]:
    """The environment for Go: the caller's, without what would change the build.

    Where Go has no writable cache of its own (no HOME, or one that is read-only) it gets one under `.engine`.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH", "GOEXPERIMENT")}
    environment |= {"GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}
    answer = subprocess.run(
        ["go", "env", "GOCACHE", "GOMODCACHE"], env=environment, capture_output=True, text=True, check=False
    )
    folders = answer.stdout.split("\n")[:2] if answer.returncode == 0 else [""]
    if not all(folder and usable(Path(folder)) for folder in folders):
        # -modcacherw: or the ignored folder could not be deleted.
        environment |= {
            "GOPATH": str(home / "go"),
            "GOMODCACHE": str(home / "go" / "pkg" / "mod"),
            "GOCACHE": str(home / "go" / "cache"),
            "GOFLAGS": "-mod=readonly -modcacherw",
        }
    return environment


def usable(folder: Path) -> bool:
    """Whether files can be made in `folder`, which need not exist yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def run_go(arguments: Sequence[str], module: Path, environment: Mapping[str, str], log: Path) -> None:
    """Run Go in `module`, its output in `log`; says every half minute that it is still at it.

    Raises:
        Unavailable: Go failed; the text holds its last lines.
    """
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(["go", *arguments], cwd=module, env=environment, stdout=output, stderr=output)
        try:
            while True:
                try:
                    code = process.wait(timeout=30)
                    break
                except subprocess.TimeoutExpired:
                    say(f"still building ({time.monotonic() - started:.0f} s)")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if code != 0:
        last = "\n".join(log.read_text(errors="replace").strip().splitlines()[-8:])
        raise Unavailable(
            f"`go {arguments[0]}` in {module.relative_to(ROOT)} ended with code {code} (its output: {log}):\n{last}"
        )


def module_version_and_folder(name: str, module: Path, environment: Mapping[str, str]) -> tuple[str, Path]:
    """Version and source folder of a module that the go.mod in `module` names."""
    answer = subprocess.run(
        ["go", "list", "-mod=readonly", "-m", "-f", "{{.Version}} {{.Dir}}", name],
        cwd=module,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    version, _, folder = answer.stdout.strip().partition(" ")
    if answer.returncode != 0 or not version:
        raise Unavailable(f"`go list -m {name}` failed:\n{answer.stderr.strip()}")
    return version, Path(folder)


def built(home: Path) -> Engine:
    """The engine built from Pulumi's modules; pieces an earlier run finished are kept.

    Raises:
        Unavailable: Go is missing, or the build failed.
    """
    if shutil.which("go") is None:
        raise Unavailable("there is no `go` on PATH")
    environment = go_environment(home)
    sdk = "github.com/pulumi/pulumi/sdk/v3"
    version, _ = module_version_and_folder("github.com/pulumi/pulumi/pkg/v3", HERE / "cli", environment)
    folder = home / "bin"
    folder.mkdir(exist_ok=True)
    pieces = (
        (
            "pulumi",
            HERE / "cli",
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            f"pulumi {version} (about 5 minutes on 2 cores the first time, 1.4 GB of modules)",
        ),
        (
            LANGUAGE_HOST,
            HERE / "language",
            f"{sdk}/python/cmd/{LANGUAGE_HOST}",
            "its Python language host (about 20 s)",
        ),
    )
    for name, module, package, told in pieces:
        key = hashlib.sha256((module / "go.sum").read_bytes() + (module / "go.mod").read_bytes()).hexdigest()[:16]
        marker = folder / f".{name}.{key}"
        if marker.exists() and (folder / name).exists():
            continue
        say(f"building {told}")
        started = time.monotonic()
        partial = folder / f".{name}.partial"
        flags = f"-s -w -X {sdk}/go/common/version.Version={version}"
        run_go(
            ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(partial), package],
            module,
            environment,
            home / f"build-{name}.log",
        )
        partial.replace(folder / name)
        marker.touch()
        say(f"built {name} in {time.monotonic() - started:.0f} s")
    _, source = module_version_and_folder(sdk, HERE / "cli", environment)
    for script in ("python/dist/pulumi-resource-pulumi-python", "python/cmd/pulumi-language-python-exec"):
        copy = folder / Path(script).name
        partial = copy.with_name(f".{copy.name}.partial")
        shutil.copyfile(source / script, partial)
        partial.chmod(0o755)
        partial.replace(copy)
    reported = version_of(folder / "pulumi")
    if reported is None:
        raise Unavailable(f"what was built in {folder} does not run")
    return Engine(str(folder), reported, "built with Go")


WAYS: Mapping[str, tuple[str, Callable[[Path], Engine]]] = {
    "path": ("pulumi on PATH", on_path),
    "installer": ("Pulumi's installer", installed),
    "build": ("a build with Go", built),
}


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Only one run at a time works in `home`; the next one waits and then finds the work done."""
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that sets up the engine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def obtain(root: Path = ROOT, only: str | None = None) -> Engine | None:
    """The engine to use, set up if need be; None, with the reasons said, when there is no way to one."""
    engine = recorded(root)
    if engine and only is None:
        return engine
    home = root / ".engine"
    reasons = []
    with alone(home):
        engine = recorded(root)
        if engine and only is None:
            return engine
        for name, (told, way) in WAYS.items():
            if only not in (None, name):
                continue
            try:
                engine = way(home)
            except Unavailable as closed:
                reasons.append(f"{told}: {closed}")
                say(f"not {reasons[-1]}")
                continue
            record(engine, home)
            say(f"using pulumi {engine.version} in {engine.folder} ({engine.source})")
            return engine
    say("no Pulumi engine could be had:")
    for reason in reasons:
        say(f"  {reason}")
    say(
        f"install the Pulumi CLI, {'.'.join(map(str, MINIMUM))} or newer, so that `pulumi` is on PATH; "
        "or Go 1.25 or newer, with access to Go's modules; then run `make engine` again"
    )
    return None


def main() -> int:
    """Set up the engine; exit code 1 when there is none."""
    parser = argparse.ArgumentParser(description="Find the Pulumi engine, or get one.")
    parser.add_argument("--only", choices=list(WAYS), help="try this way alone, even if an engine was found before")
    try:
        return 0 if obtain(only=parser.parse_args().only) else 1
    except KeyboardInterrupt:
        say("interrupted; `make engine` continues where this stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
