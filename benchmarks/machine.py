"""What a measurement needs of the machine: stacks on the real engine, a Partner Center, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.programs import fleet
from tools.pulumi.engine import on_path, recorded

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).resolve().parent / "programs"
MARK = "BENCH_MARK"
LATENCY = 0.1
BATCH = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}

# What a developer's shell may hold and a measurement must not see.
FOREIGN = ("PULUMI_", "PARTNERCENTER_", "ARM_", "AZURE_", "PYTHON", "VIRTUAL_ENV")

OURS = "pc_provider:SubscriptionUpgrade"
FLOOR = "floor:Sleeping"
TEXTBOOK = "textbook:TextbookUpgrade"

TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A command did not do what is measured; the text has its output."""


def cpu_seconds(pid: int) -> float:
    """User and system time of one process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def calibrate() -> float:
    """Milliseconds that a fixed piece of work takes now; its spread over a run is the machine's noise."""
    started = time.perf_counter()
    total = 0
    for number in range(1_000_000):
        total += number * number
    return (time.perf_counter() - started) * 1000


class Service:
    """Something in a process of its own that plays Partner Center, so that its work is seen apart."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise Failed("what plays Partner Center did not start")

    def get(self, path: str, *, token: str = "", method: str = "GET", body: bytes | None = None) -> bytes:
        """The body that this path answers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            found: bytes = answer.read()
            return found

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu(self) -> float:
        """Seconds of CPU it has used."""
        return cpu_seconds(self.pid)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class StandIn(Service):
    """Two canned answers; see `stand_in.py`."""

    def __init__(self, environ: Mapping[str, str], latency: float, offered: Path) -> None:
        command = [str(Path(__file__).with_name("stand_in.py")), str(latency), str(offered)]
        super().__init__(command, environ)

    def forget(self) -> None:
        self.get("/forget")

    def counts(self) -> dict[str, int]:
        """How many GETs, POSTs and subscriptions were upgraded since `forget`."""
        found: dict[str, int] = json.loads(self.get("/counts"))
        return found


class PartnerCenter(Service):
    """The emulator."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        code = (
            "import sys\n"
            "from pc_provider.emulator import Emulator\n"
            "emulator = Emulator(None).start()\n"
            "print(emulator.url, flush=True)\n"
            "sys.stdin.read()\n"
        )
        super().__init__(["-c", code], environ)

    def ask(self, method: str, path: str, told: object = None) -> Any:
        """Uses a control path."""
        body = None if told is None else json.dumps(told).encode()
        return json.loads(self.get(f"/_emulator/{path}", method=method, body=body) or b"null")

    def fill(self, count: int, *, latency: float, limit: tuple[int, float] | None = None) -> None:
        """Forgets everything, then holds *count* customers with one subscription each."""
        self.ask("POST", "reset")
        for kind in ("latency", "limits", "faults"):
            self.ask("DELETE", kind)
        for first in range(0, count, 5000):
            self.ask(
                "POST",
                "customers",
                [
                    {
                        "id": fleet.customer(number),
                        "subscriptions": [
                            {"id": fleet.subscription(number), "offerId": fleet.OFFER_E1, "quantity": 25}
                        ],
                    }
                    for number in range(first, min(count, first + 5000))
                ],
            )
        if latency:
            self.ask("POST", "latency", {"seconds": latency})
        if limit:
            requests, seconds = limit
            self.ask(
                "POST", "limits", {"requests": requests, "seconds": seconds, "method": "POST", "path": "upgrades$"}
            )

    def journal(self) -> list[dict[str, Any]]:
        """Every request to the API since the last `fill`."""
        found: list[dict[str, Any]] = self.ask("GET", "journal")
        return found


@dataclass(frozen=True)
class Run:
    """One Pulumi command: how long it took (seconds), the CPU of its processes and of what played Partner Center."""

    seconds: float
    cpu: float
    service_cpu: float
    output: str
    provider_memory: float
    """Most memory the provider process held, in MB; 0 where it was not watched."""


class Bench:
    """A folder for stacks, an emulator, and every process that was started for them."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        found = recorded(ROOT) or on_path(ROOT / ".engine")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.environ = {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), found.path(os.environ.get("PATH", ""))]),
            "PYTHONPATH": str(PROGRAMS),
            "HOME": str(self.folder / "home"),
            "PULUMI_HOME": str(self.folder / "home" / "pulumi"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            MARK: self.mark,
        }
        self._services: list[Service] = []
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self.partner_center = PartnerCenter(self.environ)
        self._services.append(self.partner_center)
        self.partner_center.fill(1, latency=0)
        path = f"/v1/customers/{fleet.customer(0)}/subscriptions/{fleet.subscription(0)}/upgrades"
        offered = self.folder / "offered.json"
        offered.write_bytes(self.partner_center.get(path, token="emulator"))
        self.stand_in = StandIn(self.environ, LATENCY, offered)
        self._services.append(self.stand_in)
        self._program = self.folder / "program"
        shutil.copytree(PROGRAMS, self._program, ignore=shutil.ignore_patterns("__pycache__"))
        (self.folder / "backend").mkdir()
        self._command(["stack", "init", "bench"], {}, seconds=120)
        settings = self._program / "Pulumi.bench.yaml"
        self._salt = settings.read_text() if settings.exists() else ""
        shutil.copytree(self.folder / "backend", self.folder / "empty")

    def close(self) -> None:
        """Ends everything that was started and removes what was written."""
        for service in self._services:
            service.stop()
        self._end_leftovers()
        shutil.rmtree(self.folder, ignore_errors=True)

    def forget(self) -> None:
        """An empty stack again."""
        shutil.rmtree(self.folder / "backend")
        shutil.copytree(self.folder / "empty", self.folder / "backend")

    def up(self, resource_name: str, count: int, **options: Any) -> Run:
        """`pulumi up --skip-preview` of *count* resources; see :meth:`pulumi`."""
        return self.pulumi(["up", "--yes", "--skip-preview"], resource_name, count, **options)

    def pulumi(
        self,
        arguments: list[str],
        resource_name: str,
        count: int,
        *,
        service: Service | None = None,
        parallel: int = 64,
        environ: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        sleep: float = 0.0,
        seconds: float = 300.0,
        watched: bool = False,
    ) -> Run:
        """Runs one command over the program with *count* resources of this kind; raises Failed."""
        service = service or self.stand_in
        values = {"endpoint": service.url, "accessToken": "emulator", **(config or {})}
        lines = "".join(f"  partnercenter:{name}: {json.dumps(value)}\n" for name, value in values.items())
        (self._program / "Pulumi.bench.yaml").write_text(f"{self._salt}config:\n{lines}")
        extra = {
            "BENCH_RESOURCE": resource_name,
            "BENCH_COUNT": str(count),
            "BENCH_SLEEP": str(sleep),
            "BENCH_ENDPOINT": service.url,
            **(environ or {}),
        }
        used = service.cpu
        run = self._command(
            [*arguments, "--stack", "bench", "--parallel", str(parallel), "--suppress-outputs"],
            extra,
            seconds=seconds,
            watched=watched,
        )
        return Run(run.seconds, run.cpu, service.cpu - used, run.output, run.provider_memory)

    @property
    def state_bytes(self) -> int:
        """Size of the stack's file."""
        return (self.folder / "backend/.pulumi/stacks/benchmark/bench.json").stat().st_size

    def _command(
        self, arguments: list[str], environ: Mapping[str, str], *, seconds: float, watched: bool = False
    ) -> Run:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with tempfile.TemporaryFile("w+") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                ["pulumi", *arguments, "--non-interactive", "--color", "never"],
                cwd=self._program,
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            watch = _ProviderMemory(self.mark) if watched else None
            try:
                code = process.wait(timeout=seconds)
                took = time.perf_counter() - started
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self._end_leftovers()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise Failed(f"`pulumi {arguments[0]}` did not end within {seconds:g} s") from None
                raise
            finally:
                memory = watch.stop() if watch else 0.0
            output.seek(0)
            text = output.read()
        if code != 0:
            self._end_leftovers()
            raise Failed(f"`pulumi {' '.join(arguments)}` ended with {code}:\n{text[-3000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(took, cpu, 0.0, text, memory)

    def _end_leftovers(self) -> None:
        """Kills what this bench started and still runs (the provider is outside the engine's process group)."""
        for pid in _marked(self.mark):
            if pid not in (os.getpid(), *(service.pid for service in self._services)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> Iterator[int]:
    sought = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if sought in (entry / "environ").read_bytes():
                    yield int(entry.name)


class _ProviderMemory:
    """Looks, ten times a second, at the most memory that the provider's process has held."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._most = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._end.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        pid = 0
        while not self._end.wait(0.1):
            with contextlib.suppress(OSError, ValueError):
                if not pid:
                    pid = next((one for one in _marked(self._mark) if _is_provider(one)), 0)
                if pid:
                    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                        if line.startswith("VmHWM"):
                            self._most = max(self._most, int(line.split()[1]) / 1024)


def _is_provider(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"pulumi.dynamic" in command and b"python" in command.split(b"\0", 1)[0]
