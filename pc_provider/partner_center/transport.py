"""
One HTTP exchange at a time: the only module that knows httpx.

Each connection has a pool of its own, because a pool looks through its connections for every request: one pool of 64
costs twice the CPU of 64 pools. What is used is httpx's transport below its client: it costs half the CPU, follows no
redirect, and keeps no cookie of one resource for the next (``benchmarks/``). An answer that is larger than
``max_bytes`` is not read to its end.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import queue
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_plus, urlsplit

from pc_provider.partner_center import bounded
from pc_provider.partner_center.errors import DeadlineExceeded, InvalidInput, NotSent, OutcomeUnknown, printable

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["Answer", "Transport", "concealing", "is_loopback", "is_nearby", "origin"]

KEEP_ALIVE = 4.0
CONNECT_TIMEOUT = 15.0
MAX_BYTES = 16 * 1024 * 1024
LEAST_SECRET = 12
CONCEALED = "[secret]"
HEADERS = {"User-Agent": "pc-provider", "Accept": "*/*", "Accept-Encoding": "identity"}
LINK_LOCAL = ipaddress.ip_network("169.254.0.0/16")


class Answer(NamedTuple):
    """What came back: the status, the headers (looked up without case) and the body's bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def concealing(secrets: Iterable[str], answer: Answer) -> Answer:
    """*answer* without what was secret in its request: error pages of proxies show requests again."""
    headers, body = answer.headers, answer.body
    for secret in secrets:
        # Shorter ones would be found where they are not meant; no real token or secret is as short.
        if len(secret) < LEAST_SECRET:
            continue
        for text in {secret, quote_plus(secret)}:
            body = body.replace(text.encode("utf-8", "replace"), CONCEALED.encode())
            if any(text in value for value in headers.values()):
                headers = _httpx().Headers({name: value.replace(text, CONCEALED) for name, value in headers.items()})
    return Answer(answer.status, headers, body)


def is_loopback(url: str) -> bool:
    """Whether *url* names this machine and nothing else."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_nearby(url: str) -> bool:
    """
    Whether *url* is this machine or what its host answers at a link-local address (Azure's managed identity
    services): never reached through a proxy, and plain http by their makers' choice.
    """
    try:
        return is_loopback(url) or ipaddress.ip_address(urlsplit(url).hostname or "") in LINK_LOCAL
    except ValueError:
        return False


class Transport:
    """
    Sends requests for all resources of a process; safe to share between threads.

    *ca_bundle* is a file of PEM certificates to trust instead of the usual ones. *max_connections* bounds the
    requests in flight (default 64). Proxies are taken from the environment, except towards this machine.
    """

    def __init__(self, *, ca_bundle: str | None = None, max_connections: int = 64) -> None:
        self._ca_bundle = ca_bundle
        self._pools: dict[tuple[int, bool, str | None], httpx.HTTPTransport] = {}
        self._proxies: dict[tuple[bool, str], str | None] = {}
        self._ssl: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        # Last in, first out: what was used last is still connected.
        self._slots: queue.LifoQueue[int] = queue.LifoQueue()
        for slot in reversed(range(max(1, max_connections))):
            self._slots.put(slot)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = 60.0,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """
        Makes one request and reads its answer within *timeout* seconds.

        Raises :class:`NotSent` when it never reached the host (so it is safe to send again), :class:`OutcomeUnknown`
        when it may have, and :class:`InvalidInput` for plain ``http`` to another machine.
        """
        httpx = _httpx()
        tls = urlsplit(url).scheme == "https"
        if not tls and not is_nearby(url):
            raise InvalidInput("endpoint", f"plain http is only for this machine; {origin(url)} needs https")
        deadline = time.monotonic() + timeout
        try:
            slot = self._slots.get(timeout=timeout)
        except queue.Empty:
            raise DeadlineExceeded(
                f"no connection became free within {timeout:g} s",
                remedy="Raise partnercenter:maxConcurrency or partnercenter:requestTimeout.",
            ) from None
        try:
            limits = {"connect": min(timeout, CONNECT_TIMEOUT), "read": timeout, "write": timeout, "pool": timeout}
            request = httpx.Request(
                method,
                _parsed(url),
                headers={**HEADERS, **(headers or {})},
                content=content,
                extensions={"timeout": limits},
            )
            with bounded.until(deadline):
                response = self._pool(slot, tls, url).handle_request(request)
                try:
                    return Answer(response.status_code, response.headers, _body(url, response, max_bytes))
                finally:
                    response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            raise NotSent(
                f"{origin(url)} could not be reached ({printable(error) or type(error).__name__})",
                remedy=_connect_remedy(str(error)),
            ) from None
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError):
            # Its text is not shown: it may quote a header.
            raise NotSent(
                f"the request to {origin(url)} could not be written: its address or a header has characters that "
                "can't be sent"
            ) from None
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"the connection to {origin(url)} was lost before the whole answer came "
                f"({printable(error) or type(error).__name__})"
            ) from None
        finally:
            self._slots.put(slot)

    def close(self) -> None:
        """Closes every connection. The transport must not be used afterwards."""
        with self._lock:
            for pool in self._pools.values():
                with contextlib.suppress(Exception):
                    pool.close()
            self._pools.clear()

    def _pool(self, slot: int, tls: bool, url: str) -> httpx.HTTPTransport:
        host = urlsplit(url).netloc
        with self._lock:
            if (tls, host) not in self._proxies:
                self._proxies[tls, host] = None if is_nearby(url) else _proxy(url)
            proxy = self._proxies[tls, host]
            pool = self._pools.get((slot, tls, proxy))
            if pool is None:
                httpx = _httpx()
                context = self._context() if tls else False
                try:
                    pool = httpx.HTTPTransport(
                        verify=context,
                        trust_env=False,
                        proxy=proxy,
                        limits=httpx.Limits(
                            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE
                        ),
                    )
                except (ImportError, ValueError, httpx.InvalidURL):
                    raise NotSent(
                        f"the proxy for {origin(url)} can't be used",
                        remedy="Set HTTPS_PROXY to the address of an HTTP proxy (http://host:port), or NO_PROXY.",
                    ) from None
                pool._pool._network_backend = bounded.Network(pool._pool._network_backend)
                self._pools[slot, tls, proxy] = pool
            return pool

    def _context(self) -> ssl.SSLContext:
        """Made once: reading the trusted certificates costs tens of milliseconds."""
        if self._ssl is None:
            import ssl

            bundle = self._ca_bundle or os.environ.get("SSL_CERT_FILE") or None
            directory = None if bundle else os.environ.get("SSL_CERT_DIR") or None
            if bundle is None and directory is None:
                import certifi

                bundle = certifi.where()
            try:
                self._ssl = ssl.create_default_context(cafile=bundle, capath=directory)
            except (OSError, ssl.SSLError) as error:
                raise InvalidInput(
                    "caBundle", f"{printable(bundle)} is not a readable file of PEM certificates ({printable(error)})"
                ) from None
        return self._ssl


def origin(url: str) -> str:
    """Scheme, host and port of *url*: what may be shown of an address."""
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}")


def _httpx() -> ModuleType:
    """httpx without its command line, which would load click, pygments and rich into every provider (45 ms)."""
    command_line = "httpx._main"
    if "httpx" in sys.modules or command_line in sys.modules:
        import httpx
    else:
        sys.modules[command_line] = None  # type: ignore[assignment]
        try:
            import httpx
        finally:
            del sys.modules[command_line]
    return httpx


@functools.lru_cache(256)
def _parsed(url: str) -> httpx.URL:
    """Kept, because an upgrade is asked about and sent at the same address."""
    return _httpx().URL(url)  # type: ignore[no-any-return]


def _proxy(url: str) -> str | None:
    """The proxy that the environment (or the system's settings) names for *url*."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _body(url: str, response: httpx.Response, max_bytes: int) -> bytes:
    chunks = bytearray()
    for chunk in response.iter_raw():
        chunks += chunk
        if len(chunks) > max_bytes:
            if response.status_code >= 300:
                return bytes(chunks[:max_bytes])
            raise OutcomeUnknown(f"the answer of {origin(url)} is larger than {max_bytes} bytes")
    return bytes(chunks)


def _connect_remedy(text: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "If a proxy of your own signs its certificates, name its CA file in partnercenter:caBundle."
    return "Check partnercenter:endpoint, the network and the proxy variables (HTTPS_PROXY, NO_PROXY)."
