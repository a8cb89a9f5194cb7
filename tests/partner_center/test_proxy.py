"""Proxies: taken from the environment, never towards this machine, and told apart from Partner Center."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from pc_provider.partner_center.errors import NotSent
from pc_provider.partner_center.transport import Transport

URL = "https://api.partnercenter.example/v1/customers"


class Proxy(socketserver.ThreadingTCPServer):
    """Refuses every tunnel with 407, and remembers what was asked for."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        self.server.asked.append(self.rfile.readline().decode().strip())
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Proxy() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_of_the_environment_is_used(
    proxy: Proxy, transport: Transport, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    monkeypatch.setenv(variable, scheme + proxy.address)
    with pytest.raises(NotSent, match=r"could not be reached .*407"):
        transport.send("GET", URL, timeout=10)
    assert proxy.asked == ["CONNECT api.partnercenter.example:443 HTTP/1.1"]


def test_no_proxy_is_honoured_and_this_machine_never_asks_one(
    proxy: Proxy, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", "partnercenter.example")
    for url in (URL, "http://127.0.0.1:9/v1", "http://localhost:9/v1"):
        with pytest.raises(NotSent):
            transport.send("GET", url, timeout=5)
    assert proxy.asked == []


@pytest.mark.parametrize("address", ["ftp://proxy.example", "socks5://proxy.example:1", "http://proxy.example:port"])
def test_a_proxy_that_cannot_be_used_is_named_as_the_cause(
    proxy: Proxy, transport: Transport, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(NotSent, match=r"proxy for https://api\.partnercenter\.example can't be used"):
        transport.send("GET", URL, timeout=5)
