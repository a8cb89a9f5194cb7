"""Each row of the reference about the operation itself, on real sockets: paths, headers, media types, statuses."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pc_provider.partner_center import errors, media, models
from pc_provider.partner_center.client import OfferedUpgrade, PartnerCenter
from pc_provider.partner_center.transport import Transport

CUSTOMER = "b67f0b2e-9717-4ecb-8298-1ac1a8d0f9e2"
SUBSCRIPTION = "6c6e0c43-9a4f-4f6e-8a2d-7c2ee5bb2f3e"
PATH = f"/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}/upgrades"
OFFERED = models.Upgrade(
    target_offer=models.Offer(id="A1", is_trial=False, extra={"rank": 3}),
    upgrade_type=models.UpgradeType.UPGRADE_ONLY,
    is_eligible=True,
    quantity=25,
)
RESULT = models.UpgradeResult(
    source_subscription_id=SUBSCRIPTION,
    target_subscription_id="new",
    upgrade_type=models.UpgradeType.UPGRADE_ONLY,
)


class Service(ThreadingHTTPServer):
    """Answers every request with *status*, *content_type* and *body*, and keeps what it was sent."""

    status = 200
    content_type = "application/json"
    body = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, str, Any, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.received.append((self.command, self.path, self.headers, content))
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.send_header("MS-RequestId", self.headers["MS-RequestId"])
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = answer

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the tests look at what was received."""


class Credential:
    def token(self, *, rejected: str | None = None) -> str:
        return "a-token"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.serve_forever, args=(0.01,))
    thread.start()
    yield service
    service.shutdown()
    thread.join()
    service.server_close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


def upgrade(service: Service, transport: Transport, media_type: str = media.JSON) -> models.UpgradeResult:
    center = PartnerCenter(service.url, transport, Credential(), media_type=media_type)
    offered = OfferedUpgrade(OFFERED, models.write(OFFERED))
    return center.upgrade(CUSTOMER, SUBSCRIPTION, offered, request_id=str(uuid.uuid4()), call=center.call(10))[0]


@pytest.mark.parametrize("media_type", media.REQUEST_TYPES)
def test_an_upgrade_is_posted_in_every_media_type(service: Service, transport: Transport, media_type: str) -> None:
    service.status = 201
    service.content_type = media.JSON if media_type == media.FORM else media_type
    service.body = media.encode(models.write(RESULT), service.content_type, "UpgradeResult")

    assert upgrade(service, transport, media_type) == RESULT

    [(method, path, headers, content)] = service.received
    assert (method, path) == ("POST", PATH)
    assert headers["Content-Type"] == media_type
    assert headers["Accept"] in media.RESPONSE_TYPES
    assert models.read(models.Upgrade, media.decode(content, media_type)) == OFFERED


@pytest.mark.parametrize("media_type", media.RESPONSE_TYPES)
def test_the_offered_upgrades_are_read_in_every_media_type(
    service: Service, transport: Transport, media_type: str
) -> None:
    page = models.Collection[models.Upgrade](total_count=1, items=[OFFERED])
    service.content_type = f"{media_type}; charset=utf-8"
    service.body = b"\xef\xbb\xbf" + media.encode(models.write(page), media_type, "Collection")

    [offered] = PartnerCenter(service.url, transport, Credential()).upgrades(CUSTOMER, SUBSCRIPTION)

    assert offered.upgrade == OFFERED
    assert service.received[0][:2] == ("GET", PATH)


@pytest.mark.parametrize("header", ["Authorization", "ms-correlationid", "ms-requestid", "ms-cv"])
def test_each_header_of_the_reference_is_sent(service: Service, transport: Transport, header: str) -> None:
    service.body = media.encode(models.write(RESULT), media.JSON, "UpgradeResult")
    upgrade(service, transport)
    value = service.received[0][2][header]
    if header == "Authorization":
        assert value == "Bearer a-token"
    elif header == "ms-cv":
        assert value.endswith(".0")
    else:
        assert str(uuid.UUID(value)) == value


def test_a_success_can_be_a_failure(service: Service, transport: Transport) -> None:
    refused = models.UpgradeResult(upgrade_errors=[models.UpgradeError(code=models.UpgradeErrorCode.OTHER)])
    service.body = media.encode(models.write(refused), media.JSON, "UpgradeResult")
    assert upgrade(service, transport).upgrade_errors == refused.upgrade_errors


ERRORS = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    500: errors.ServerError,
}


@pytest.mark.parametrize("status", ERRORS)
def test_each_status_of_the_reference_has_its_error(service: Service, transport: Transport, status: int) -> None:
    fault = models.ServiceFault(code=12345, description="what is wrong", data=["x"], source="PartnerApi")
    service.status = status
    for service.content_type in media.RESPONSE_TYPES:
        service.received.clear()
        service.body = media.encode(models.write(fault), service.content_type, "ServiceFault")
        with pytest.raises(ERRORS[status]) as caught:
            upgrade(service, transport)
        assert (caught.value.status, caught.value.code, caught.value.description) == (status, 12345, "what is wrong")
        [(_, _, headers, _)] = service.received
        assert caught.value.request_id == headers["MS-RequestId"]
