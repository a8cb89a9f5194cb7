"""
The emulator as an ASGI application: every request passes here, in this order.

Arrival, limits (a request over one is answered by the gateway), latency, a fault that strikes before, the work, a fault
that strikes after, the journal, the answer. Work is done without awaiting anything, so that one request's work is never
cut by another's in the same process.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from pc_provider.emulator import api, disturbances, page, wire
from pc_provider.emulator.arranging import first_state
from pc_provider.emulator.control import Control
from pc_provider.emulator.exchange import Answer, Fault, Request, gateway_limit, not_found
from pc_provider.emulator.sign_in import SignIn
from pc_provider.emulator.store import Entry, Store
from pc_provider.emulator.tokens import Tokens

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST_BODY = 4 * 1024 * 1024
LARGEST_CONTROL_BODY = 256 * 1024 * 1024
TRANSPORT = "emulator.transport"
"""Where the server puts the connection of a request, so that a fault can cut it."""

log = logging.getLogger("pc_provider.emulator")


class App:
    """Partner Center, its sign-in, the control paths and the page, over one state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tokens = Tokens(store)
        self._control = Control(store, self._tokens)
        self._sign_in = SignIn(store, self._tokens)
        first_state(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        arrived = time.time()
        control = scope["path"].startswith("/_emulator")
        try:
            body = await _body(receive, LARGEST_CONTROL_BODY if control else LARGEST_BODY)
        except ConnectionResetError:
            # A request that did not arrive whole is none.
            return
        request = _request(scope, body or b"", arrived)
        exchange = _Exchange(scope, send)
        if body is None:
            refused = Fault(413, 800002, "Invalid request input: the body is too large").answer
            await exchange.send(wire.finish(refused, request, self._control.wire))
        elif request.parts[0].lower() == "v1":
            await self._api(request, exchange)
        else:
            await self._other(request, exchange)

    async def _api(self, request: Request, exchange: _Exchange) -> None:
        identity = {
            name: request.headers.get(name.lower()) or str(uuid.uuid4())
            for name in ("MS-RequestId", "MS-CorrelationId")
        }
        entry = Entry(
            request.arrived, request.method, request.path, identity["MS-RequestId"], identity["MS-CorrelationId"]
        )
        now = self._control.disturbances.now()
        wait = self._control.disturbances.over_limit(now, request.method, request.path, _customer(request))
        latency = disturbances.delay(now)
        if latency:
            await asyncio.sleep(latency)
        if wait is not None:
            answer = gateway_limit(request.arrived + wait - time.time())
            entry.status = 429
            self._store.record(entry)
            await exchange.send(answer)
            return
        fault = self._control.disturbances.take_fault(now, request.method, request.path, api=True)
        if fault is not None and fault.when == "before":
            await asyncio.sleep(fault.seconds)
            if fault.kind != "delay":
                await self._strike(fault, None, entry, exchange)
                return
            fault = None
        answer = wire.finish(self._work(request, entry), request, self._control.wire, identity)
        if fault is not None:
            await asyncio.sleep(fault.seconds)
            if fault.kind != "delay":
                await self._strike(fault, answer, entry, exchange)
                return
        if entry.status != answer.status or entry.seq is None:
            entry.status = answer.status
            self._store.record(entry)
        await exchange.send(answer)

    def _work(self, request: Request, entry: Entry) -> Answer:
        extra: tuple[tuple[str, str], ...] = ()
        try:
            caller = self._tokens.check(request)
            if request.headers.get("validatemfa", "").lower() == "true":
                extra = (("isMfaCompliant", "true" if caller.mfa else "false"),)
            handler, identities = api.find(request)
            context = api.Context(self._store, request, caller, entry, self._control.listing_delay)
            answer = handler(context, *identities)
        except Fault as fault:
            answer = fault.answer
        except Exception:
            log.exception("%s %s", request.method, request.path)
            answer = Fault(500, 800003, "Unexpected service error").answer
        return answer._replace(headers=answer.headers + extra) if extra else answer

    async def _strike(
        self, fault: disturbances.Fault, answer: Answer | None, entry: Entry | None, exchange: _Exchange
    ) -> None:
        """Sends what the fault makes of the answer (None: nothing was done, so there is none)."""
        struck = wire.struck(fault, answer)
        if entry is not None:
            entry.status = struck.status if struck else None
            self._store.record(entry)
        if struck is None:
            exchange.cut()
        elif fault.kind == "truncate":
            await exchange.send_half(struck)
        else:
            await exchange.send(struck)

    async def _other(self, request: Request, exchange: _Exchange) -> None:
        first = request.parts[0].lower()
        if first == "_emulator" or request.parts == ("",):
            await exchange.send(self._controlled(request))
            return
        now = self._control.disturbances.now()
        fault = self._control.disturbances.take_fault(now, request.method, request.path, api=False)
        if fault is not None and fault.when == "before":
            await asyncio.sleep(fault.seconds)
            if fault.kind != "delay":
                await self._strike(fault, None, None, exchange)
                return
            fault = None
        answer = self._signed_in(request)
        if fault is not None:
            await asyncio.sleep(fault.seconds)
            if fault.kind != "delay":
                await self._strike(fault, answer, None, exchange)
                return
        await exchange.send(answer)

    def _controlled(self, request: Request) -> Answer:
        try:
            if request.parts == ("",):
                return page.answer()
            return self._control.handle(request)
        except Fault as fault:
            return wire.as_json(fault.answer)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return wire.as_json(Fault(500, 800003, "Unexpected service error").answer)

    def _signed_in(self, request: Request) -> Answer:
        try:
            answer = self._sign_in.handle(request)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            answer = Fault(500, 800003, "Unexpected service error").answer
        return wire.as_json(answer or not_found().answer)


class _Exchange:
    """One answer on its way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._transport = scope.get(TRANSPORT)
        self._send = send
        self._head = scope["method"] == "HEAD"

    async def send(self, answer: Answer) -> None:
        body = answer.body or b""
        await self._start(answer, len(body))
        await self._send({"type": "http.response.body", "body": b"" if self._head else body})

    async def _start(self, answer: Answer, length: int) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if answer.status not in (204, 304):
            headers.append((b"content-length", str(length).encode()))
            if length:
                headers.append((b"content-type", answer.content_type.encode("latin-1")))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def send_half(self, answer: Answer) -> None:
        """Sends the first half of the body of the announced length, then closes the connection."""
        body = answer.body or b""
        await self._start(answer, len(body))
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Resets the connection: the peer sees a lost connection, not an end."""
        if self._transport is None:
            return
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


async def _body(receive: Receive, largest: int) -> bytes | None:
    """The whole body; None if it is larger than allowed (it is read to its end, so that the refusal arrives)."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= largest:
            chunks.append(chunk)
        else:
            chunks.clear()
        if not message.get("more_body"):
            break
    return b"".join(chunks) if size <= largest else None


def _request(scope: Scope, body: bytes, arrived: float) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        query = {}
    server = scope.get("server") or ("127.0.0.1", 0)
    path = scope["path"].encode("utf-8", "replace").decode()
    return Request(
        scope["method"],
        path,
        tuple(path.lstrip("/").split("/")),
        {name.lower(): value for name, value in query.items()},
        headers,
        body,
        headers.get("host") or f"{server[0]}:{server[1]}",
        scope["scheme"] == "https",
        arrived,
    )


def _customer(request: Request) -> str:
    parts = request.parts
    return parts[2].lower() if len(parts) > 2 and parts[1].lower() == "customers" else ""


__all__ = ["TRANSPORT", "App"]
