"""What a send does with each thing that a network can do: which errors mean "not sent", and which "not known"."""

from __future__ import annotations

import datetime
import gzip
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from pc_provider.partner_center.errors import DeadlineExceeded, InvalidInput, NotSent, OutcomeUnknown
from pc_provider.partner_center.transport import Transport, is_loopback, origin

from .wire import Connection, Wire, answer, certificate, head, serving

POST = ("POST", b'{"quantity":1}')
GET = ("GET", None)


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


# Sent and answered


def test_an_answer_is_its_status_its_headers_without_case_and_its_bytes(transport: Transport) -> None:
    with serving(answer(418, b"\xef\xbb\xbf{}", MS_RequestId="r")) as (wire, received):
        got = transport.send("POST", f"{wire.url}/v1/a?b=c", headers={"X-One": "1"}, content=b"body")
    assert (got.status, got.body, got.headers["ms-requestid"]) == (418, b"\xef\xbb\xbf{}", "r")
    [request] = received
    assert (request.method, request.target, request.body) == ("POST", "/v1/a?b=c", b"body")
    assert (request.headers["x-one"], request.headers["accept-encoding"]) == ("1", "identity")


@pytest.mark.parametrize(
    ("said", "body"),
    [
        pytest.param(head(200, {"Transfer-Encoding": "chunked"}) + b"2\r\n{}\r\n0\r\n\r\n", b"{}", id="chunked"),
        pytest.param(head(200, {"Connection": "close"}) + b"{}", b"{}", id="ended by the close"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n{}", b"{}", id="HTTP/1.0"),
        pytest.param(head(204), b"", id="no content"),
        pytest.param(head(100) + answer(200, b"{}"), b"{}", id="continue before it"),
    ],
)
def test_every_way_to_end_a_body_is_read(transport: Transport, said: bytes, body: bytes) -> None:
    def talk(connection: Connection) -> None:
        connection.request()
        connection.send(said)

    with Wire(talk) as wire:
        assert transport.send("GET", wire.url).body == body


def test_connections_are_kept_and_used_again(transport: Transport) -> None:
    with serving(answer(200, b"{}")) as (wire, received):
        for _ in range(5):
            transport.send("POST", wire.url, content=b"{}")
        assert (wire.connections, len(received)) == (1, 5)


def test_a_connection_that_was_closed_while_idle_costs_nothing(transport: Transport) -> None:
    def talk(connection: Connection) -> None:
        connection.request()
        connection.send(answer(200, b"{}"))

    with Wire(talk) as wire:
        for _ in range(5):
            assert transport.send("POST", wire.url, content=b"{}").status == 200
            time.sleep(0.02)
        assert wire.connections == 5


def test_as_many_requests_are_in_flight_as_allowed_and_no_more() -> None:
    lock, together, most = threading.Lock(), [0], [0]

    def talk(connection: Connection) -> None:
        while connection.request():
            with lock:
                together[0] += 1
                most[0] = max(most[0], together[0])
            time.sleep(0.05)
            with lock:
                together[0] -= 1
            connection.send(answer(200, b"{}"))

    transport = Transport(max_connections=20)
    with Wire(talk) as wire:
        threads = [threading.Thread(target=transport.send, args=("GET", wire.url)) for _ in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        transport.close()
    assert most[0] == 20


def test_waiting_for_a_free_connection_ends_with_the_time_allowed() -> None:
    transport = Transport(max_connections=1)
    asked, done = threading.Event(), threading.Event()

    def talk(connection: Connection) -> None:
        if connection.request():
            asked.set()
            done.wait(10)
            connection.send(answer(200, b"{}"))

    with Wire(talk) as wire:
        first = threading.Thread(target=transport.send, args=("GET", wire.url))
        first.start()
        assert asked.wait(10)
        with pytest.raises(DeadlineExceeded, match="no connection became free") as caught:
            transport.send("GET", wire.url, timeout=0.1)
        assert "maxConcurrency" in str(caught.value)
        done.set()
        first.join()
    transport.close()


# Never sent


@pytest.mark.parametrize(("method", "content"), [GET, POST])
def test_a_refused_connection_is_not_sent(transport: Transport, method: str, content: bytes | None) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(NotSent) as caught:
        transport.send(method, f"{url}/v1/customers", content=content)
    assert str(caught.value).startswith(f"{url} could not be reached")
    assert "HTTPS_PROXY" in caught.value.remedy


def test_an_unknown_host_is_not_sent(transport: Transport) -> None:
    with pytest.raises(NotSent, match=r"https://nowhere\.invalid could not be reached"):
        transport.send("POST", "https://nowhere.invalid/v1", content=b"{}", timeout=10)


def test_a_host_that_never_accepts_is_not_sent(transport: Transport) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        with pytest.raises(NotSent):
            transport.send("POST", f"http://127.0.0.1:{full.getsockname()[1]}", content=b"{}", timeout=0.3)
        for sock in waiting:
            sock.close()


@pytest.mark.parametrize("url", ["http://api.partnercenter.microsoft.com/v1", "http://10.0.0.1", "ftp://x", "x"])
def test_plain_http_goes_to_this_machine_only(transport: Transport, url: str) -> None:
    with pytest.raises(InvalidInput, match="plain http is only for this machine") as caught:
        transport.send("GET", url)
    assert caught.value.field == "endpoint"


@pytest.mark.parametrize("value", [f"Bearer canary{character}" for character in "\n\x00é\udc80"])
def test_a_header_that_cannot_be_sent_is_not_sent_and_not_shown(transport: Transport, value: str) -> None:
    with serving(answer(200, b"{}")) as (wire, received):
        with pytest.raises(NotSent) as caught:
            transport.send("POST", wire.url, headers={"Authorization": value}, content=b"{}")
        assert transport.send("GET", wire.url).status == 200
    assert [request.method for request in received] == ["GET"]
    assert "canary" not in str(caught.value) + repr(caught.value)


def test_an_address_that_is_none_is_not_sent(transport: Transport) -> None:
    with pytest.raises(NotSent):
        transport.send("GET", "http://127.0.0.1:8/\x00")


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path) -> Iterator[Transport]:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    transport = Transport(ca_bundle=str(tmp_path / "ca.pem"))
    yield transport
    transport.close()


def test_a_trusted_certificate_is_accepted(authority: trustme.CA, trusting: Transport) -> None:
    with serving(answer(200, b"{}"), tls=certificate(authority, "127.0.0.1")) as (wire, _):
        assert trusting.send("GET", wire.url).body == b"{}"


def _another_authority(authority: trustme.CA) -> ssl.SSLContext:
    return certificate(trustme.CA(), "127.0.0.1")


def _another_host(authority: trustme.CA) -> ssl.SSLContext:
    return certificate(authority, "elsewhere.example")


def _expired(authority: trustme.CA) -> ssl.SSLContext:
    past = datetime.datetime(2001, 1, 1)
    return certificate(authority, "127.0.0.1", not_before=past, not_after=past + datetime.timedelta(days=1))


@pytest.mark.parametrize("wrong", [_another_authority, _another_host, _expired])
def test_a_wrong_certificate_is_not_sent(
    authority: trustme.CA, trusting: Transport, wrong: Callable[[trustme.CA], ssl.SSLContext]
) -> None:
    with (
        serving(answer(200, b"{}"), tls=wrong(authority)) as (wire, received),
        pytest.raises(NotSent, match="certificate") as caught,
    ):
        trusting.send("POST", wire.url, headers={"Authorization": "Bearer t"}, content=b"{}")
    assert received == []
    assert "partnercenter:caBundle" in caught.value.remedy


def test_a_host_that_speaks_no_tls_is_not_sent(trusting: Transport) -> None:
    def talk(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Wire(talk) as wire, pytest.raises(NotSent):
        trusting.send("POST", wire.url.replace("http:", "https:"), content=b"{}", timeout=5)


def test_a_handshake_that_never_ends_is_not_sent(trusting: Transport) -> None:
    with Wire(lambda connection: time.sleep(0.4)) as wire, pytest.raises(NotSent):
        trusting.send("POST", wire.url.replace("http:", "https:"), content=b"{}", timeout=0.2)


@pytest.mark.parametrize("bundle", ["missing.pem", "empty.pem"])
def test_an_unusable_bundle_names_its_key(tmp_path: Path, bundle: str) -> None:
    (tmp_path / "empty.pem").write_text("")
    transport = Transport(ca_bundle=str(tmp_path / bundle))
    with pytest.raises(InvalidInput, match=bundle) as caught:
        transport.send("GET", "https://127.0.0.1:9")
    assert caught.value.field == "caBundle"


# Sent, and the answer lost


def _closes(connection: Connection) -> None:
    connection.request()


def _resets(connection: Connection) -> None:
    connection.request()
    connection.reset()


def _resets_before_the_end(connection: Connection) -> None:
    connection.request()
    connection.send(head(200, {"Content-Length": "10"}) + b"{")
    time.sleep(0.05)
    connection.reset()


def _truncates(connection: Connection) -> None:
    connection.request()
    connection.send(head(200, {"Content-Length": "10"}) + b"{")


def _truncates_chunks(connection: Connection) -> None:
    connection.request()
    connection.send(head(200, {"Transfer-Encoding": "chunked"}) + b"a\r\n{")


def _garbage_chunks(connection: Connection) -> None:
    connection.request()
    connection.send(head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n{}\r\n0\r\n\r\n")


def _garbage(connection: Connection) -> None:
    connection.request()
    connection.send(b"\x16\x03\x01\x00 this is not HTTP\r\n\r\n")


def _silent(connection: Connection) -> None:
    connection.request()
    connection.request()  # which never comes


def _drips_headers(connection: Connection) -> None:
    connection.request()
    connection.drip(head(200, {"X-Long": "x" * 100}), 0.05)


def _continues_for_ever(connection: Connection) -> None:
    connection.request()
    for _ in range(200):
        connection.send(head(100))
        time.sleep(0.02)


def _drips_body(connection: Connection) -> None:
    connection.request()
    connection.send(head(200, {"Content-Length": "1000"}))
    connection.drip(b"x" * 1000, 0.05)


def _endless_headers(connection: Connection) -> None:
    connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\n")
    for _ in range(4000):
        connection.send(b"X-Many: " + b"x" * 1000 + b"\r\n")


def _endless_body(connection: Connection) -> None:
    connection.request()
    connection.send(head(200))
    while True:
        connection.send(b"x" * 65536)


LOST = [
    _closes,
    _resets,
    _resets_before_the_end,
    _truncates,
    _truncates_chunks,
    _garbage_chunks,
    _garbage,
    _silent,
    _drips_headers,
    _continues_for_ever,
    _drips_body,
    _endless_headers,
    _endless_body,
]


@pytest.mark.parametrize("lost", LOST)
def test_whatever_happens_after_the_bytes_left_is_not_known(
    transport: Transport, lost: Callable[[Connection], None]
) -> None:
    with Wire(lost) as wire:
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown) as caught:
            transport.send("POST", wire.url, content=b"{}", timeout=0.5, max_bytes=1_000_000)
        assert time.monotonic() - started < 1.5
        assert wire.url in str(caught.value)
        assert str(caught.value).isprintable()


def test_a_kept_connection_that_closes_under_the_request_is_not_known(transport: Transport) -> None:
    def talk(connection: Connection) -> None:
        connection.request()
        connection.send(answer(200, b"{}"))
        connection.request()  # read, and then closed as an idle connection would be

    with Wire(talk) as wire:
        transport.send("GET", wire.url)
        with pytest.raises(OutcomeUnknown, match=r"the connection to .* was lost before the whole answer came"):
            transport.send("POST", wire.url, content=b"{}")


def test_a_request_that_nobody_reads_is_not_known(transport: Transport) -> None:
    with Wire(lambda connection: time.sleep(0.6)) as wire, pytest.raises(OutcomeUnknown):
        transport.send("POST", wire.url, content=b"x" * 50_000_000, timeout=0.3)


def test_a_lost_answer_leaves_nothing_behind(transport: Transport) -> None:
    """More lost answers than there are slots and connections in a pool: the next request must still be sent."""
    told = [_truncates] * 80

    def talk(connection: Connection) -> None:
        if told:
            told.pop()(connection)
        elif connection.request():
            connection.send(answer(200, b"{}"))

    with Wire(talk) as wire:
        for _ in range(80):
            with pytest.raises(OutcomeUnknown):
                transport.send("POST", wire.url, content=b"{}")
        assert transport.send("GET", wire.url, timeout=5).status == 200


# Untrusted answers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(transport: Transport, status: int) -> None:
    with (
        serving(answer(200, b"{}")) as (elsewhere, stolen),
        serving(answer(status, location=f"{elsewhere.url}/v1")) as (wire, received),
    ):
        got = transport.send("POST", wire.url, headers={"Authorization": "Bearer t"}, content=b"{}")
    assert (got.status, len(received), stolen) == (status, 1, [])


def test_a_compressed_body_is_never_expanded(transport: Transport) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with serving(answer(200, bomb, content_encoding="gzip")) as (wire, _):
        assert transport.send("GET", wire.url).body == bomb


def test_an_oversized_error_is_cut_and_an_oversized_success_is_not_known(transport: Transport) -> None:
    with serving(lambda request: answer(int(request.target[1:]), b"x" * 5000)) as (wire, _):
        got = transport.send("GET", f"{wire.url}/502", max_bytes=1000)
        assert (got.status, len(got.body)) == (502, 1000)
        with pytest.raises(OutcomeUnknown, match="larger than 1000 bytes"):
            transport.send("GET", f"{wire.url}/200", max_bytes=1000)


def test_no_cookie_is_kept(transport: Transport) -> None:
    with serving(answer(200, b"{}", set_cookie="session=1; Path=/")) as (wire, received):
        transport.send("GET", wire.url)
        transport.send("GET", wire.url)
    assert all("cookie" not in request.headers for request in received)


def test_nothing_secret_is_logged(transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answer(200, b'"canary-1"')) as (wire, _):
        transport.send("POST", wire.url, headers={"Authorization": "Bearer canary-2"}, content=b"canary-3")
    with Wire(_closes) as wire, pytest.raises(OutcomeUnknown):
        transport.send("POST", wire.url, headers={"Authorization": "Bearer canary-2"}, content=b"canary-3")
    assert caplog.records
    assert "canary" not in caplog.text


# Proxies


def test_a_proxy_of_the_environment_is_used_and_never_towards_this_machine(
    monkeypatch: pytest.MonkeyPatch, trusting: Transport
) -> None:
    with serving(answer(407)) as (proxy, asked):
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with pytest.raises(NotSent):
            trusting.send("POST", "https://api.partnercenter.example/v1", headers={"Authorization": "Bearer t"})
        [request] = asked
        assert (request.method, request.target) == ("CONNECT", "api.partnercenter.example:443")
        assert "authorization" not in request.headers
        with serving(answer(200, b"{}")) as (wire, _):
            assert trusting.send("GET", wire.url).status == 200
        assert len(asked) == 1


def test_a_proxy_that_is_no_address_is_not_sent(monkeypatch: pytest.MonkeyPatch, trusting: Transport) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "carrier-pigeon://roof")
    with pytest.raises(NotSent):
        trusting.send("GET", "https://api.partnercenter.example/v1")


# Addresses


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1", True),
        ("http://LOCALHOST.", True),
        ("http://127.0.0.1", True),
        ("http://127.9.9.9:80/x", True),
        ("http://[::1]:80", True),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://127.0.0.1@evil.example", False),
        ("http://evil.example/127.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(url: str, local: bool) -> None:
    assert is_loopback(url) is local


def test_only_the_origin_of_an_address_is_shown() -> None:
    assert origin("https://user:canary@host.example:8443/v1?token=canary#canary") == "https://host.example:8443"
