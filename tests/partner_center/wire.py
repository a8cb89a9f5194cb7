"""Servers that say exactly the bytes that a test tells them, on real sockets, plain or over TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import NamedTuple

import trustme


class Received(NamedTuple):
    """One request, as it arrived; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = b""

    def request(self) -> Received | None:
        """The next request with its body; None when the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Received(method, target, headers, body)

    def send(self, content: bytes) -> None:
        """Sends all of it."""
        self.socket.sendall(content)

    def drip(self, content: bytes, pause: float) -> None:
        """Sends it a byte at a time."""
        for byte in content:
            self.send(bytes([byte]))
            time.sleep(pause)

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self) -> bool:
        received = self.socket.recv(65536)
        self._buffer += received
        return bool(received)


Talk = Callable[[Connection], None]


class Wire:
    """A server on this machine: each connection is given to *talk* and closed when that ends."""

    def __init__(self, talk: Talk, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._talk = talk
        self._tls = tls
        self._listening = socket.create_server((host, 0))
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.connections = 0
        self.url = f"{'https' if tls else 'http'}://{host}:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Wire:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.closing(sock), contextlib.suppress(OSError, ValueError):
            if self._tls is None:
                self._hold(sock)
            else:
                with self._tls.wrap_socket(sock, server_side=True) as secure:
                    self._hold(secure)

    def _hold(self, sock: socket.socket) -> None:
        self._sockets.append(sock)
        self._talk(Connection(sock))


def head(status: int, headers: Mapping[str, str] = {}) -> bytes:
    """A status line and headers, with the empty line after them."""
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer(status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> bytes:
    """A whole answer; ``retry_after="3"`` is the header ``Retry-After: 3``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return head(status, {"Content-Type": content_type, "Content-Length": str(len(body)), **named}) + body


def answering(reply: Callable[[Received], bytes], received: list[Received] | None = None) -> Talk:
    """Answers each request of a connection, and keeps it in *received*."""

    def talk(connection: Connection) -> None:
        while (request := connection.request()) is not None:
            if received is not None:
                received.append(request)
            connection.send(reply(request))

    return talk


@contextlib.contextmanager
def serving(
    reply: bytes | Callable[[Received], bytes], *, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[Wire, list[Received]]]:
    """A server that gives every request *reply*, and what it received."""
    received: list[Received] = []
    with Wire(answering(reply if callable(reply) else lambda _: reply, received), tls=tls) as wire:
        yield wire, received


def certificate(authority: trustme.CA, *names: str, **more: object) -> ssl.SSLContext:
    """A server's certificate for *names* by *authority*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **more).configure_cert(context)  # type: ignore[arg-type]
    return context
