"""What plays the sign-in service is not trusted: it can't move the client, exhaust it, or write to a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from pc_provider.partner_center.credentials import credential
from pc_provider.partner_center.errors import SignInError
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings

from .authorities import authority
from .conftest import APP, TENANT, Answer, Answering, Asked, as_json

Serve = Callable[[Callable[[Asked], Answer]], Answering]
CANARY = "canary-51d0"


def ask(url: str, **values: str) -> str:
    own = {"endpoint": url, "tenantId": TENANT, "clientId": APP, "clientSecret": CANARY, "requestTimeout": "5"}
    settings = Settings.load({**own, **values}.get, {})
    transport = Transport()
    try:
        return credential(settings, transport).token()
    finally:
        transport.close()


def refusal(url: str) -> SignInError:
    with pytest.raises(SignInError) as caught:
        ask(url)
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    assert CANARY not in str(caught.value)
    return caught.value


def test_a_token_comes_over_plain_http_from_this_machine(answering: Serve) -> None:
    served = answering(authority(lambda asked: as_json({"access_token": "t", "expires_in": "3599"})))
    assert ask(served.url) == "t"
    assert [asked.method for asked in served.asked] == ["GET", "POST"]
    assert "client_secret=canary" in served.asked[1].body


def test_discovery_over_plain_http_may_name_its_addresses_plainly(answering: Serve) -> None:
    def answer(asked: Asked) -> Answer:
        status, headers, body = authority(lambda _: as_json({"access_token": "t"}))(asked)
        return status, headers, body.replace(b"https://", b"http://")

    assert ask(answering(answer).url) == "t"


@pytest.mark.parametrize("host", ["https://evil.example", "http://127.0.0.1:9", "https://127.0.0.1:1@evil.example"])
def test_discovery_cannot_send_the_secret_to_another_host(answering: Serve, host: str) -> None:
    served = answering(authority(lambda _: as_json({"access_token": "t"}), token_endpoint=f"{host}/{TENANT}/token"))
    refusal(served.url)
    assert [asked.method for asked in served.asked] == ["GET"]


def test_a_redirect_is_not_followed(answering: Serve) -> None:
    second = answering(lambda _: as_json({"access_token": "t"}))
    first = answering(authority(lambda _: (307, {"Location": f"{second.url}/token"}, b"{}")))
    refusal(first.url)
    assert second.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>\x1b[2Jblocked by a proxy</html>",
        b'"text"',
        b"[1]",
        b"\xff\xfe{",
        b"[" * 100_000,
        b'{"access_token": "a\\nb"}',
        b'{"access_token": "a b"}',
        b'{"access_token": "\\u00e9"}',
        b'{"access_token": ["x"]}',
        b'{"access_token": ""}',
        b'{"error": "x\\u001b[31m", "error_description": "AADSTS1: \\u0007\\u202e evil"}',
        b'{"error": {"code": 1}, "error_codes": "no", "error_description": [1]}',
        b"{}",
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_strange_answer_is_a_clean_refusal(answering: Serve, body: bytes, status: int) -> None:
    refusal(answering(authority(lambda _: (status, {}, body))).url)


@pytest.mark.parametrize("lifetime", ["soon", None, -5, [1], 1e400])
def test_a_strange_lifetime_is_survived(answering: Serve, lifetime: object) -> None:
    tree = {"access_token": "t", "expires_in": lifetime}
    assert ask(answering(authority(lambda _: as_json(tree))).url) == "t"


@pytest.mark.parametrize(
    "document",
    [b"{}", b"[]", b"null", b'{"token_endpoint": 5}', b'{"token_endpoint": "x", "authorization_endpoint": "y"}'],
)
def test_strange_discovery_is_a_clean_refusal(answering: Serve, document: bytes) -> None:
    refusal(answering(lambda _: (200, {}, document)).url)


def test_an_answer_without_end_is_cut(answering: Serve) -> None:
    served = answering(authority(lambda _: (200, {}, b'{"access_token": "' + b"a" * 3_000_000)))
    refusal(served.url)


def test_what_passes_by_itself_is_asked_again(answering: Serve) -> None:
    answers = [
        (503, {}, b"busy"),
        (429, {"Retry-After": "0"}, b'{"error": "x"}'),
        as_json({"access_token": "t"}),
    ]
    started = time.monotonic()
    assert ask(answering(authority(lambda _: answers.pop(0))).url) == "t"
    assert time.monotonic() - started < 10


def test_a_service_that_stays_down_is_said_so(answering: Serve) -> None:
    error = refusal(answering(authority(lambda _: (503, {}, b"<html>down</html>"))).url)
    assert "503" in str(error)
    assert "again later" in error.remedy


def test_a_host_that_does_not_answer_is_named() -> None:
    error = refusal("http://127.0.0.1:9")
    assert "http://127.0.0.1:9 could not be reached" in str(error)
    assert "HTTPS_PROXY" in error.remedy


def test_codes_without_a_list_are_read_from_the_text(answering: Serve) -> None:
    text = "AADSTS700016: Application not found.\r\nTrace ID: x\r\nCorrelation ID: y"
    error = refusal(
        answering(authority(lambda _: as_json({"error": "unauthorized_client", "error_description": text}, 400))).url
    )
    assert error.codes == (700016,)
    assert "AADSTS700016: Application not found." in str(error)
    assert "Trace ID" not in str(error)
    assert "partnercenter:clientId" in error.remedy


def test_nothing_secret_is_logged(answering: Serve, everything_logged: pytest.LogCaptureFixture) -> None:
    bodies = [
        b"not json " + CANARY.encode(),
        json.dumps({"access_token": f"t-{CANARY}", "id_token": CANARY}).encode(),
        json.dumps({"access_token": f"t-{CANARY}"}).encode(),
    ]
    for body in bodies[:2]:
        refusal(answering(authority(lambda _, body=body: (200, {}, body))).url)  # type: ignore[misc]
    assert ask(answering(authority(lambda _: (200, {}, bodies[2]))).url) == f"t-{CANARY}"
    assert everything_logged.records
    assert CANARY not in everything_logged.text
