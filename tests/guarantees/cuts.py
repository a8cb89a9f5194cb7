"""Runs of the real engine that are cut short: by SIGKILL, by lost connections, by a half-written checkpoint."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

from pc_provider.emulator import Emulator
from tests.engine.harness import Stack
from tests.guarantees.fleet import PartnerCenterControl, Source, declare, is_complete, recorded, settings

SIZE = 20
VICTIMS = ("engine", "provider", "both")
RUNS_TO_CONVERGE = 4
UP = ("up", "--yes", "--skip-preview", "--parallel", "4")


class Cut(NamedTuple):
    """
    A run that was cut, and what came of it.

    *performed* and *recorded* are the upgrades at the cut; *runs* is how many further runs it took. *restored* says
    that the checkpoint was cut too.
    """

    performed: int
    recorded: int
    runs: int
    adopted: int
    restored: bool


def provider_processes(stack: Stack) -> list[int]:
    """The provider processes of a stack, whoever their parent is now."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                is_provider = b"pulumi.dynamic" in (process / "cmdline").read_bytes()
                if is_provider and str(stack.folder).encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
    return found


def wait_until_gone(stack: Stack, seconds: float = 30.0) -> float:
    """Waits until no provider process of the stack is left; answers how long that took."""
    began = time.monotonic()
    while provider_processes(stack):
        assert time.monotonic() - began < seconds, "a provider outlived its engine"
        time.sleep(0.05)
    return time.monotonic() - began


def kill(process: subprocess.Popen[str], stack: Stack, victim: str) -> None:
    """SIGKILL for the engine with its language host, the provider, or both; then waits for the engine's end."""
    if victim in ("provider", "both"):
        for provider in provider_processes(stack):
            with contextlib.suppress(ProcessLookupError):
                os.kill(provider, signal.SIGKILL)
    if victim in ("engine", "both"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)


def cut_run(
    folder: Path,
    victim: str,
    dice: random.Random,
    *,
    environ: Mapping[str, str] | None = None,
    lose_answers: bool = False,
) -> Cut:
    """
    Cuts a run of 20 upgrades over a slow emulator at a random moment, and runs again until it converges.

    Every upgrade must then be performed once and recorded with its target. Only a run that was cut half recorded counts
    (half performed, where the engine writes no checkpoints); any other is begun again.
    """
    checkpoints = "PULUMI_SKIP_CHECKPOINTS" not in (environ or {})
    with contextlib.ExitStack() as open_:
        emulator = open_.enter_context(Emulator(folder / "partner-center.db"))
        control = PartnerCenterControl(emulator.url)
        url = emulator.url
        if lose_answers:
            url = open_.enter_context(CuttingProxy(emulator.url, dice)).url
        for attempt in range(10):
            stack = Stack(folder / f"stack-{attempt}", "", config=settings(url), environ=environ)
            sources = control.fleet(SIZE)
            declare(stack, sources)
            control.ask("POST", "latency", {"seconds": 0.12, "jitter": 0.1})
            before = len(control.upgrades())
            process = stack.start(*UP, "--stack", stack.name)
            wanted = before + dice.randint(1, SIZE - 6)
            while process.poll() is None and (
                len(control.upgrades()) < wanted or (checkpoints and b"targetSubscriptionId" not in _state(stack))
            ):
                time.sleep(0.02)
            time.sleep(dice.uniform(0, 0.25))
            performed = len(control.upgrades()) - before
            kill(process, stack, victim)
            # The provider of the killed engine may still be at work: what follows begins all the same.
            stack.pulumi("cancel", "--yes", "--stack", stack.name)
            restored = not _is_whole(stack)
            if restored:
                way_back(stack)
            found = len(recorded(stack))
            if 0 < performed < SIZE and (0 < found < SIZE or not checkpoints):
                return _converge(stack, control, sources, Cut(performed, found, 0, 0, restored))
        raise AssertionError("no run could be cut")


def _state(stack: Stack) -> bytes:
    """The checkpoint as it is at this moment; empty before the first."""
    return stack.state_file.read_bytes() if stack.state_file.exists() else b""


def _is_whole(stack: Stack) -> bool:
    try:
        json.loads(_state(stack))
    except ValueError:
        return False
    return True


def _converge(stack: Stack, control: PartnerCenterControl, sources: list[Source], cut: Cut) -> Cut:
    for run in range(1, RUNS_TO_CONVERGE + 1):
        done = stack.pulumi(*UP, "--stack", stack.name)
        complete = is_complete(stack, control, sources)
        if done.code == 0:
            assert complete, done
            wait_until_gone(stack)
            made = control.targets()
            assert {source.subscription_id for source in sources} <= set(made)
            adopted = sum(bool(record["adopted"]) for record in recorded(stack).values())
            return cut._replace(runs=run, adopted=adopted)
        assert "Traceback" not in done.text, done
    raise AssertionError(f"it did not converge: {done}")


def way_back(stack: Stack) -> None:
    """Puts the backup beside a cut checkpoint in its place, as docs/guarantees.md says."""
    backup = stack.state_file.with_name(stack.state_file.name + ".bak")
    shutil.copyfile(backup, stack.state_file)


class CuttingProxy:
    """
    Stands before the server at *url* and cuts half of the connections that carry an upgrade once it was forwarded.

    What is cut is decided by *dice*; the server has performed it, and the client never sees the answer.
    """

    def __init__(self, url: str, dice: random.Random) -> None:
        self._server = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self._dice = dice
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.cuts = 0

    def __enter__(self) -> CuttingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for connection in [self._listening, *self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open |= {client, server}
                lost = threading.Event()
                threading.Thread(target=self._forward, args=(client, server, lost), daemon=True).start()
                threading.Thread(target=self._answer, args=(client, server, lost), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with _until_closed(client, server):
            while chunk := client.recv(65536):
                if chunk.startswith(b"POST ") and self._dice.random() < 0.5:
                    self.cuts += 1
                    lost.set()
                server.sendall(chunk)

    def _answer(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with _until_closed(client, server):
            while (chunk := server.recv(65536)) and not lost.is_set():
                client.sendall(chunk)


@contextlib.contextmanager
def _until_closed(client: socket.socket, server: socket.socket) -> Iterator[None]:
    with contextlib.suppress(OSError):
        yield
    for connection in (client, server):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
