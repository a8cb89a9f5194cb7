"""The provider in the process that Pulumi runs it in: widened threads, one ^C, and an engine that is gone."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E3
from tests.engine.harness import FOREIGN, python_folder

from .partner_center.wire import Received, answer, serving
from .servicing import Client

ITEM = {"targetOffer": {"id": OFFER_E3}, "upgradeType": "upgrade_only", "isEligible": True, "quantity": 5}
OFFERED = answer(200, json.dumps({"totalCount": 1, "items": [ITEM]}).encode())
UPGRADED = answer(200, json.dumps({"targetSubscriptionId": str(uuid.uuid4())}).encode())
THROTTLED = answer(429, b'{"statusCode": 429, "message": "Rate limit is exceeded."}', retry_after="120")


class Process:
    """``python -m pulumi.dynamic``, as the engine starts it."""

    def __init__(self, sdk: str) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        self.process = subprocess.Popen(
            [str(python_folder(sdk) / "python"), "-u", "-m", "pulumi.dynamic"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.client = Client(f"127.0.0.1:{int(self.process.stdout.readline())}")

    def configure(self, url: str) -> None:
        self.client.configure({"partnercenter:endpoint": url, "partnercenter:accessToken": "t"})

    def create(self) -> Any:
        return self.client.creating({
            "customerId": CUSTOMER_ID,
            "subscriptionId": str(uuid.uuid4()),
            "targetOfferId": OFFER_E3,
            "upgradeType": "upgrade_only",
        })  # fmt: skip

    def leave(self) -> None:
        """Lets go of its output, as an engine that dies does."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def close(self) -> str:
        """Ends it; what it wrote to stderr."""
        self.client.close()
        self.leave()
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            return stderr.read().decode()


@pytest.fixture
def provider(sdk: str) -> Iterator[Process]:
    process = Process(sdk)
    yield process
    assert process.close() == ""


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def refusal(creating: Any) -> str:
    with pytest.raises(grpc.RpcError):
        creating.result()
    return str(creating.details())


def test_sixty_four_creates_are_under_way_at_once(provider: Process) -> None:
    together = threading.Barrier(64, timeout=30)

    def reply(request: Received) -> bytes:
        if request.method == "GET":
            together.wait()
            return OFFERED
        return UPGRADED

    with serving(reply) as (wire, _):
        provider.configure(wire.url)
        creating = [provider.create() for _ in range(64)]
        assert all(made.result().id for made in creating)


def test_one_cancel_ends_what_waits_and_lets_what_was_sent_finish(provider: Process) -> None:
    sent, release = threading.Event(), threading.Event()
    posts: list[Received] = []

    def reply(request: Received) -> bytes:
        if request.method == "GET":
            return OFFERED
        posts.append(request)
        if len(posts) > 1:
            return THROTTLED
        sent.set()
        release.wait(30)
        return UPGRADED

    with serving(reply) as (wire, _):
        provider.configure(wire.url)
        first = provider.create()
        assert sent.wait(30)
        waiting = [provider.create() for _ in range(8)]
        until(lambda: len(posts) > 1)
        time.sleep(0.3)  # the others come to wait for the limit too
        assert not any(made.done() for made in waiting)
        provider.client.cancel()
        started = time.monotonic()
        for made in waiting:
            message = refusal(made)
            assert "it was not sent, because the run is being stopped" in message
            assert "Traceback" not in message
        assert time.monotonic() - started < 5
        refused = len(posts)
        assert not first.done()
        release.set()
        assert first.result().id
        assert "it was not sent" in refusal(provider.create())
        assert len(posts) == refused


def test_a_provider_whose_engine_is_gone_finishes_what_it_sent_and_leaves(provider: Process) -> None:
    sent, release = threading.Event(), threading.Event()
    posts: list[Received] = []

    def reply(request: Received) -> bytes:
        if request.method == "GET":
            return OFFERED
        posts.append(request)
        if len(posts) > 1:
            return THROTTLED
        sent.set()
        release.wait(30)
        return UPGRADED

    with serving(reply) as (wire, _):
        provider.configure(wire.url)
        first = provider.create()
        assert sent.wait(30)
        waiting = provider.create()
        until(lambda: len(posts) > 1)
        provider.leave()
        assert "it was not sent" in refusal(waiting)
        time.sleep(0.5)
        assert provider.process.poll() is None
        assert not first.done()
        refused = len(posts)
        release.set()
        assert provider.process.wait(10) == 0
        assert len(posts) == refused


def test_a_provider_without_work_leaves_with_its_engine(provider: Process) -> None:
    provider.configure("http://127.0.0.1:9")
    provider.client.delete("c/s", {})
    provider.leave()
    assert provider.process.wait(10) == 0
