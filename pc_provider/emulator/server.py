"""The emulator on a socket: in a thread of this process, or for as long as the command runs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from pc_provider.partner_center.errors import InvalidInput
from pc_provider.partner_center.files import expanded

if TYPE_CHECKING:
    import ssl

    import uvicorn

HOST = "127.0.0.1"
START_SECONDS = 30.0


class Emulator:
    """
    Partner Center and its sign-in on this machine.

    *state* is the file that holds everything (made if missing, and shared by as many processes as like); None keeps
    it in memory. *port* 0 takes any free one. With *tls*, the server's certificate comes from an own authority, kept
    beside the state file, whose certificate is :attr:`ca_bundle`.

    Use as a context manager, or call :meth:`start` and :meth:`stop`. It serves in a daemon thread.
    """

    def __init__(self, state: str | os.PathLike[str] | None = None, port: int = 0, tls: bool = False) -> None:
        self._path = None if state is None else expanded(state)
        self._port = port
        self._tls = tls
        self._folder: str | None = None
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._failure: BaseException | None = None
        self.url = ""
        """``http://127.0.0.1:port``, or ``https``; empty until started."""
        self.ca_bundle: str | None = None
        """Path of the certificate (PEM) to trust; None without TLS."""

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Emulator:
        """Serves from now on. Raises InvalidInput when the state file or the port can't be used."""
        if self._thread is not None:
            return self
        started = threading.Event()
        server, listening, close = self._prepare(started)

        def run() -> None:
            try:
                server.run(sockets=[listening])
            except BaseException as error:  # noqa: BLE001 - handed to the starting thread
                self._failure = error
            finally:
                close()
                started.set()

        self._server = server
        self._thread = threading.Thread(target=run, name="partner-center-emulator", daemon=True)
        self._thread.start()
        started.wait(START_SECONDS)
        if not server.started:
            self._thread = None
            raise InvalidInput("emulator", f"it could not be started: {self._failure}")
        return self

    def stop(self) -> None:
        """Ends serving; what is in flight has a second to finish. The state stays."""
        if self._thread is None or self._server is None:
            return
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._thread = None
        if self._folder is not None:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def serve(self) -> None:
        """Serves in this thread until ^C or SIGTERM, having said how to reach it."""
        started = threading.Event()
        server, listening, close = self._prepare(started)

        def finish(number: int, frame: FrameType | None) -> None:
            server.should_exit = True

        previous = {number: signal.signal(number, finish) for number in (signal.SIGINT, signal.SIGTERM)}
        print(self._greeting(), flush=True)  # noqa: T201 - a command speaks to its person
        server.handles_signals = False
        try:
            server.run(sockets=[listening])
        finally:
            close()
            for number, handler in previous.items():
                signal.signal(number, handler)
            print("Stopped; the state stays.", flush=True)  # noqa: T201

    def _greeting(self) -> str:
        import shlex

        from pc_provider.emulator import registration

        trust = f" --cacert {shlex.quote(self.ca_bundle)}" if self.ca_bundle else ""
        lines = [f"Partner Center is at {self.url} (a page to watch it: {self.url}/)"]
        lines.append(f"State: {self._path or 'in memory'}")
        if self.ca_bundle:
            lines.append(f"Certificate authority to trust: {self.ca_bundle}")
        lines.append("Try it:")
        lines.append(
            f"  curl{trust} -H 'Authorization: Bearer {registration.STATIC_TOKEN}'"
            f" {self.url}/v1/customers/{registration.CUSTOMER_ID}/subscriptions/{registration.SUBSCRIPTION_ID}/upgrades"
        )
        lines.append("Stop it with ^C.")
        return "\n".join(lines)

    def _prepare(self, started: threading.Event) -> tuple[Any, socket.socket, Any]:
        from pc_provider.emulator.app import App
        from pc_provider.emulator.http_server import make_server
        from pc_provider.emulator.store import Store

        store = self._open(Store)
        try:
            listening = self._listen()
        except OSError as error:
            store.close()
            raise InvalidInput("port", f"{self._port} can't be used: {error.strerror or error}") from None
        certificate = self._certificate() if self._tls else None
        self.url = f"{'https' if self._tls else 'http'}://{HOST}:{listening.getsockname()[1]}"
        server = make_server(App(store), certificate, started)

        def close() -> None:
            store.close()
            listening.close()

        return server, listening, close

    def _open(self, store: Any) -> Any:
        import sqlite3

        try:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            return store(self._path)
        except (OSError, sqlite3.Error) as error:
            raise InvalidInput("state", f"{self._path} can't be used as the emulator's state: {error}") from None

    def _listen(self) -> socket.socket:
        # Named as TCP, or asyncio would leave Nagle's algorithm on: 40 ms for each answer.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((HOST, self._port))
            listening.listen(2048)
        except (OSError, OverflowError):
            listening.close()
            raise
        return listening

    def _certificate(self) -> ssl.SSLContext:
        """The server's certificate, by an authority that is made once and kept beside the state file."""
        import ssl
        import tempfile

        import trustme

        if self._path is None:
            self._folder = tempfile.mkdtemp(prefix="pc-provider-")
        base = Path(self._folder or "") / "emulator" if self._path is None else self._path
        trusted, key = base.with_name(base.name + ".ca.pem"), base.with_name(base.name + ".ca.key")
        with _lock(base.with_name(base.name + ".ca.lock")):
            if trusted.exists() and key.exists():
                authority = trustme.CA.from_pem(trusted.read_bytes(), key.read_bytes())
            else:
                authority = trustme.CA(organization_name="Partner Center emulator")
                _write_private(key, authority.private_key_pem.bytes())
                trusted.write_bytes(authority.cert_pem.bytes())
        self.ca_bundle = str(trusted)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost", "::1").configure_cert(context)
        return context


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keeps other processes out of making the same authority, where the system has such locks."""
    with path.open("w") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def serve(port: int = 0, state: str | os.PathLike[str] | None = None, tls: bool = False) -> None:
    """Serves until ^C or SIGTERM, having printed the address, the certificate to trust and a first request to try."""
    Emulator(state, port, tls).serve()
