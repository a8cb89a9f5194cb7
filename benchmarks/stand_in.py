"""
A Partner Center that knows two answers: what the emulator answers, at a tenth of its CPU.

    python -m benchmarks.stand_in LATENCY GET_BODY_FILE

The real service is not on the cores that are measured, so what plays it should take as little of them as it can. It
answers each GET with the body in the file and each POST with a success, after LATENCY seconds, and each connection one
request after the other. `GET /counts` tells what it was asked; a second upgrade of a subscription is counted apart.
"""

from __future__ import annotations

import asyncio
import json
import sys
from email.utils import formatdate
from pathlib import Path

SUCCESS = (
    '\ufeff{{"sourceSubscriptionId":"{source}","targetSubscriptionId":"7{rest}","upgradeType":1,'
    '"upgradeErrors":[],"licenseErrors":[],"attributes":{{"objectType":"UpgradeResult"}}}}'
)


class Service:
    """What is answered, and what was asked."""

    def __init__(self, latency: float, offered: bytes) -> None:
        self.latency = latency
        self.offered = offered
        self.gets = self.posts = 0
        self.upgraded: set[str] = set()

    def answer(self, method: str, path: str) -> tuple[float, bytes]:
        """Seconds to wait, and the body."""
        if path == "/counts":
            counts = {"gets": self.gets, "posts": self.posts, "upgraded": len(self.upgraded)}
            return 0.0, json.dumps(counts).encode()
        if path == "/forget":
            self.gets = self.posts = 0
            self.upgraded.clear()
            return 0.0, b"{}"
        if method == "GET":
            self.gets += 1
            return self.latency, self.offered
        self.posts += 1
        source = path.split("/")[-2]
        self.upgraded.add(source)
        return self.latency, SUCCESS.format(source=source, rest=source[1:]).encode()


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a well-behaved client needs it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"), 0)
        if len(body) < length:
            return
        self._received = body[length:]
        method, path, _ = lines[0].decode("ascii").split(" ")
        seconds, answer = self._service.answer(method, path)
        asyncio.get_running_loop().call_later(seconds, self._send, answer)

    def _send(self, body: bytes) -> None:
        date = formatdate(usegmt=True)
        head = (
            f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode("ascii") + body)


async def main() -> None:
    service = Service(float(sys.argv[1]), Path(sys.argv[2]).read_bytes())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
