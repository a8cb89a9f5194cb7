"""
An end to a whole exchange.

httpx has time-outs for each wait, and a host that says a byte now and then makes it wait for ever: for headers, and for
``100 Continue`` after ``100 Continue``. So its connections are wrapped here, and every wait of a thread ends at that
thread's deadline. Only what httpcore documents of a network backend is used.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["Network", "until"]


class _Thread(threading.local):
    deadline = math.inf


_thread = _Thread()


@contextlib.contextmanager
def until(deadline: float) -> Iterator[None]:
    """Ends what this thread does on the network at *deadline* (of ``time.monotonic``)."""
    _thread.deadline = deadline
    try:
        yield
    finally:
        _thread.deadline = math.inf


def _left(timeout: float | None) -> float:
    """Seconds for the next wait; 0 when the time is over."""
    return max(0.0, min(math.inf if timeout is None else timeout, _thread.deadline - time.monotonic()))


class Network:
    """httpcore's network backend *made*, whose connections keep to the deadline."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Stream:
        """Connects."""
        return Stream(self._made.connect_tcp(host, port, timeout=_left(timeout) or 0.001, **options))


class Stream:
    """httpcore's network stream *made*, whose waits keep to the deadline."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Reads; raises httpcore.ReadTimeout when the time is over, whatever could be read."""
        seconds = _left(timeout)
        if not seconds:
            import httpcore

            raise httpcore.ReadTimeout("timed out")
        received: bytes = self._made.read(max_bytes, timeout=seconds)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Writes."""
        self._made.write(buffer, timeout=_left(timeout) or 0.001)

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Stream:
        """Speaks TLS from here on."""
        return Stream(self._made.start_tls(ssl_context, server_hostname, _left(timeout) or 0.001))
