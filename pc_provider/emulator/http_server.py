"""uvicorn, told what the emulator needs of it: the connection of each request, a long keep-alive, quiet logs."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pc_provider.emulator.app import TRANSPORT, App


class Protocol(H11Protocol):
    """HTTP/1.1 that hands its connection to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            scope[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport

    def shutdown(self) -> None:
        super().shutdown()
        # Over TLS, closing waits for the peer to agree; one that keeps an idle connection need not.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class Server(uvicorn.Server):
    """Says when it has started; leaves signals to whoever runs it in the main thread."""

    handles_signals = True

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if self.handles_signals:
            with super().capture_signals():
                yield
        else:
            yield


def make_server(app: App, certificate: ssl.SSLContext | None, ready: threading.Event) -> Server:
    """A server for *app*, not yet running."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="asyncio",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        # Clients reuse idle connections; one closed under a request would look like a fault nobody ordered.
        timeout_keep_alive=600,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=256 * 1024,
    )
    config.load()
    if certificate is not None:
        config.ssl = certificate
    return Server(config, ready)
