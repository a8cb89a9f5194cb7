"""Faults, limits and latency, as the control paths order them."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CLIENT_ID, CLIENT_SECRET, CUSTOMER_ID, SUBSCRIPTION_ID, TENANT_ID
from tests.emulator.conftest import Client, codes

UPGRADES = f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}/upgrades"
HELD = f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}"
BODY = {"targetOffer": {"id": "796B6B5F-613C-4E24-A17C-EBA730D49C02"}, "upgradeType": 1}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["reset", "status", "truncate", "garbage"])
def test_after_means_that_it_was_performed(client: Client, when: str, kind: str) -> None:
    client.control("faults", [{"method": "POST", "path": "/upgrades$", "when": when, "kind": kind, "status": 502}])
    try:
        answer = client.post(UPGRADES, json=BODY)
    except (httpx.ReadError, httpx.RemoteProtocolError):
        assert kind in ("reset", "truncate")
    else:
        assert (kind, answer.status_code) in (("status", 502), ("garbage", 200))
        if kind == "garbage":
            with pytest.raises(ValueError):
                answer.json()
    performed = client.subscription()["status"] == "suspended"
    assert performed == (when == "after")
    [line] = [line for line in client.journal() if line["method"] == "POST"]
    assert line["accepted"] == performed
    assert line["status"] == {"reset": None, "status": 502}.get(kind, 200)
    assert codes(client.upgrade()["upgradeErrors"]) == ([2] if performed else [])


def test_a_reset_is_a_lost_connection(client: Client) -> None:
    client.control("faults", [{"kind": "reset"}])
    with pytest.raises(httpx.ReadError, match="reset"):
        client.get(UPGRADES)


def test_a_truncated_answer_announced_more(client: Client) -> None:
    client.control("faults", [{"kind": "truncate", "when": "after"}])
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get(UPGRADES)


def test_faults_strike_as_often_as_they_are_told(client: Client) -> None:
    client.control("faults", [{"kind": "status", "status": 503, "times": 2, "retryAfter": 3}, {"status": 500}])
    answers = [client.get(UPGRADES) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 500, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert "text/html" in answers[0].headers["Content-Type"]
    assert answers[2].json()["code"] == 800003
    assert [fault["left"] for fault in client.get("/_emulator/faults").json()] == [0, 0]


def test_a_fault_without_end_is_cleared(client: Client) -> None:
    client.control("faults", [{"status": 429, "times": None, "retryAfter": "Wed, 21 Oct 2026 07:28:00 GMT"}])
    answers = [client.get(UPGRADES) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {429}
    assert answers[0].headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    client.delete("/_emulator/faults")
    assert client.get(UPGRADES).status_code == 200


@pytest.mark.parametrize(
    ("fault", "hit", "missed"),
    [
        ({"method": "post"}, ("POST", UPGRADES), ("GET", UPGRADES)),
        ({"path": "/upgrades"}, ("GET", UPGRADES), ("GET", HELD)),
        ({"path": f"(?i){SUBSCRIPTION_ID.upper()}$"}, ("GET", HELD), ("GET", UPGRADES)),
        ({}, ("GET", HELD), ("GET", f"/{TENANT_ID}/v2.0/.well-known/openid-configuration")),
        ({"path": "/token$"}, ("POST", f"/{TENANT_ID}/oauth2/v2.0/token"), ("GET", HELD)),
    ],
)
def test_which_requests_are_meant(
    client: Client, fault: dict[str, Any], hit: tuple[str, str], missed: tuple[str, str]
) -> None:
    client.control("faults", [{**fault, "status": 418}])
    assert client.request(*missed).status_code == 200
    assert client.request(*hit).status_code == 418


def test_a_delay_before_and_after(client: Client) -> None:
    client.control("faults", [{"kind": "delay", "seconds": 0.2}, {"kind": "delay", "when": "after", "seconds": 0.2}])
    for _ in range(2):
        start = time.monotonic()
        assert client.get(UPGRADES).status_code == 200
        assert time.monotonic() - start >= 0.2


def test_an_answer_of_ones_own(client: Client) -> None:
    client.control("faults", [{"status": 200, "body": "<html>proxy</html>", "contentType": "text/html"}])
    answer = client.get(UPGRADES)
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, "<html>proxy</html>", "text/html")


def test_the_token_endpoint_can_fail_too(client: Client) -> None:
    client.control("faults", [{"path": "oauth2", "kind": "reset", "when": "after"}])
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "scope": "https://api.partnercenter.microsoft.com/.default",
    }
    with pytest.raises(httpx.ReadError):
        client.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form)
    assert client.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form).status_code == 200
    assert [line["status"] for line in client.get("/_emulator/sign-ins").json()] == [200, 200]
    assert client.journal() == []


def test_a_limit_answers_like_the_gateway(client: Client) -> None:
    client.control("limits", {"requests": 2, "seconds": 30})
    answers = [client.get(UPGRADES) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    over = answers[2]
    seconds = int(over.headers["Retry-After"])
    assert 28 <= seconds <= 30
    assert over.json() == {"statusCode": 429, "message": f"Rate limit is exceeded. Try again in {seconds} seconds."}
    assert [line["status"] for line in client.journal()] == [200, 200, 429]
    client.delete("/_emulator/limits")
    assert client.get(UPGRADES).status_code == 200


def test_the_window_begins_with_the_first_request_after_the_last(client: Client) -> None:
    client.control("limits", {"requests": 1, "seconds": 0.9})
    assert client.get(UPGRADES).status_code == 200
    assert client.get(UPGRADES).status_code == 429
    time.sleep(1.3)
    assert client.get(UPGRADES).status_code == 200
    answered = time.monotonic()
    assert client.get(UPGRADES).headers["Retry-After"] == "1"
    # A window that had begun with the end of the last one would be over much earlier.
    time.sleep(max(0.0, answered + 0.95 - time.monotonic()))
    assert client.get(UPGRADES).status_code == 200


def test_limits_by_customer_and_by_operation(client: Client, e1: dict[str, Any]) -> None:
    client.control("limits", [{"requests": 1, "seconds": 60, "per": "customer", "method": "GET", "path": "/upgrades$"}])
    other, [held] = client.add(e1)
    assert client.get(UPGRADES).status_code == 200
    assert client.get(f"/v1/customers/{other}/subscriptions/{held}/upgrades").status_code == 200
    assert client.get(UPGRADES).status_code == 429
    assert client.get(HELD).status_code == 200
    assert client.post(UPGRADES, json=BODY).status_code == 200


def test_a_limit_told_again_replaces_itself(client: Client) -> None:
    client.control("limits", {"requests": 1, "seconds": 60})
    assert [client.get(UPGRADES).status_code for _ in range(2)] == [200, 429]
    assert client.control("limits", {"requests": 5, "seconds": 60})[0]["requests"] == 5
    assert client.get(UPGRADES).status_code == 200


def test_latency_holds_many_requests_at_once(client: Client, emulator: Emulator) -> None:
    assert client.control("latency", {"seconds": 0.2}) == [{"seconds": 0.2, "jitter": 0}]
    statuses: list[int] = []

    def one() -> None:
        with Client(emulator) as own:
            statuses.append(own.get(UPGRADES).status_code)

    threads = [threading.Thread(target=one) for _ in range(32)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - start
    assert statuses == [200] * 32
    assert 0.2 <= took < 0.2 * 32 / 2
    client.delete("/_emulator/latency")
    assert client.get("/_emulator/latency").json() == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("faults", {"kind": "explode"}),
        ("faults", {"kind": "status", "status": 99}),
        ("faults", [{"kind": "reset"}, {"times": 0}]),
        ("faults", {"path": "("}),
        ("faults", {"when": "during"}),
        ("faults", {"retryAfter": "later\r\n"}),
        ("faults", {"tymes": 1}),
        ("limits", {"requests": 1}),
        ("limits", {"requests": -1, "seconds": 1}),
        ("limits", {"requests": 1, "seconds": 0}),
        ("limits", {"requests": 1, "seconds": 1, "per": "person"}),
        ("latency", {"seconds": -1}),
        ("latency", "slow"),
    ],
)
def test_orders_that_make_no_sense_are_refused_whole(client: Client, name: str, told: Any) -> None:
    answer = client.post(f"/_emulator/{name}", json=told)
    assert (answer.status_code, answer.json()["code"]) == (400, 800002)
    assert client.get(f"/_emulator/{name}").json() == []
