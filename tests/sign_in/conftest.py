"""The emulator over real TLS, and servers that answer what a test tells them."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from pc_provider.emulator import Emulator
from pc_provider.partner_center.credentials import Credential, credential
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings

TENANT = "11111111-2222-3333-4444-555555555555"
APP = "66666666-7777-8888-9999-aaaaaaaaaaaa"


class Desk:
    """A TLS emulator, and the client's side of it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.url = emulator.url
        self.transport = Transport(ca_bundle=emulator.ca_bundle)

    def settings(self, values: Mapping[str, str] = {}, environ: Mapping[str, str] = {}) -> Settings:
        own = {"endpoint": self.url, "caBundle": self.emulator.ca_bundle}
        return Settings.load({**own, **values}.get, environ)

    def credential(self, values: Mapping[str, str] = {}, environ: Mapping[str, str] = {}) -> Credential:
        return credential(self.settings(values, environ), self.transport)

    def control(self, method: str, path: str, told: object = None) -> Any:
        content = None if told is None else json.dumps(told).encode()
        answer = self.transport.send(method, f"{self.url}/_emulator/{path}", content=content)
        assert answer.status < 300, answer.body
        return json.loads(answer.body) if answer.body else None

    def rules(self, **told: object) -> None:
        self.control("POST", "sign-in", told)

    def asked(self) -> list[Any]:
        """Every request to the token endpoint so far."""
        found: list[Any] = self.control("GET", "sign-ins")
        return found

    def call(self, token: str) -> int:
        """The status of a harmless call with *token*."""
        headers = {"Authorization": f"Bearer {token}"}
        return self.transport.send("GET", f"{self.url}/v1/customers", headers=headers).status


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Emulator(tls=True) as emulator:
        desk = Desk(emulator)
        yield desk
        desk.transport.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    """A transport that trusts the usual certificates only."""
    transport = Transport()
    yield transport
    transport.close()


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: str


class Answering(NamedTuple):
    """A server of one test: its address, and what it was asked."""

    url: str
    asked: list[Asked]


Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def answering() -> Iterator[Callable[[Callable[[Asked], Answer]], Answering]]:
    """Makes a plain server on this machine that answers by a function."""
    servers = []

    def make(answer: Callable[[Asked], Answer]) -> Answering:
        asked: list[Asked] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Asked(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length).decode(),
                )
                asked.append(request)
                status, headers, body = answer(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return Answering(f"http://127.0.0.1:{server.server_address[1]}", asked)

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def as_json(tree: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(tree).encode()


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """msal, httpx and all else at DEBUG, for tests that look for secrets in the log."""
    caplog.set_level(logging.DEBUG)
    return caplog
