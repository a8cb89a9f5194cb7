"""
What an answer shows of its request, nothing shows again: services here put all that they were sent into what they say.

The runs on the real engine, for every way to sign in, are among the tests of signing in.
"""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pc_provider.partner_center import errors
from pc_provider.partner_center.client import OfferedUpgrade, PartnerCenter
from pc_provider.partner_center.models import Upgrade
from pc_provider.partner_center.transport import Transport
from pc_provider.provider import SubscriptionUpgradeProvider
from pc_provider.settings import Settings, connect

from .partner_center.clock import HandClock
from .partner_center.wire import Received, answer, serving

CUSTOMER = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
SOURCE = "a356ac8c-e310-44f4-bf85-c7f29044af99"
CANARY = "canary-4e61/+=&"
TOKEN = "eyJ0eXAi.canary-4e61.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every line logged by the test, by anybody, at any level: none may have a secret."""
    caplog.set_level(logging.DEBUG)
    yield
    lines = [record.getMessage() for record in caplog.get_records("call")]
    # httpcore logs the headers of answers at DEBUG, as they came.
    lines = [line for line in lines if not line.startswith("receive_response_headers.complete")]
    assert not [line for line in lines if "canary" in line]


def harmless(value: object) -> None:
    """Nothing that shows, prints or describes *value* has a secret."""
    shown = [str(value), repr(value)]
    if isinstance(value, BaseException):
        shown += [repr(vars(value)), repr(value.args), repr(value.__context__ and vars(value.__context__))]
    assert all("canary" not in text for text in shown), shown


def shown(request: Received) -> str:
    return f"{request.method} {request.target} {dict(request.headers)} {request.body.decode()}"


def reflecting(kind: str, status: int, request: Received) -> bytes:
    seen = shown(request)
    if kind == "fault":
        return answer(status, json.dumps({"code": seen[:2000], "description": seen, "data": [seen]}).encode())
    if kind == "fields":
        token = request.headers["authorization"]
        return answer(status, json.dumps({"totalCount": token, "items": token, "upgradeErrors": token}).encode())
    if kind == "page":
        page = f"<html><title>{request.headers['authorization']}</title>{seen}</html>"
        return answer(status, page.encode(), "text/html")
    if kind == "text":
        return answer(status, request.headers["authorization"].encode(), "text/plain")
    token = request.headers["authorization"]
    return answer(status, b"{}", MS_CV=token, MS_ServerId=token, MS_RequestId=token, Location=token, Retry_After=token)


class GivenToken:
    def token(self, *, rejected: str | None = None) -> str:
        return TOKEN


@pytest.mark.parametrize("kind", ["fault", "fields", "page", "text", "headers"])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 409, 500])
def test_an_answer_that_shows_the_token_again(kind: str, status: int) -> None:
    transport, clock = Transport(), HandClock()
    with serving(lambda request: reflecting(kind, status, request)) as (wire, received):
        partner_center = PartnerCenter(wire.url, transport, GivenToken(), clock=clock, pace=clock.pace())
        offered = OfferedUpgrade(Upgrade(), {})
        for ask in (
            lambda: partner_center.upgrades(CUSTOMER, SOURCE),
            lambda: partner_center.subscriptions(CUSTOMER),
            lambda: partner_center.upgrade(CUSTOMER, SOURCE, offered, request_id="i"),
        ):
            try:
                harmless(ask())
            except errors.PartnerCenterError as error:
                harmless(error)
    transport.close()
    assert received[0].headers["authorization"] == f"Bearer {TOKEN}"


WAYS: list[dict[str, Any]] = [
    {"clientSecret": CANARY},
    {"oidcToken": "eyJhbGciOiJub25lIn0.canary-4e61.c2ln"},
    {"refreshToken": CANARY},
    {"refreshToken": CANARY, "clientSecret": f"{CANARY}2"},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(way))
@pytest.mark.parametrize("kind", ["entra", "page", "text"])
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_sign_in_service_that_shows_the_secrets_again(way: dict[str, str], kind: str, status: int) -> None:
    def reply(request: Received) -> bytes:
        host = f"https://{request.headers['host']}/t"
        if "openid-configuration" in request.target:
            addresses = {"token_endpoint": f"{host}/token", "authorization_endpoint": f"{host}/a", "issuer": host}
            return answer(200, json.dumps(addresses).encode())
        decoded = " ".join(value for values in parse_qs(request.body.decode()).values() for value in values)
        if kind == "entra":
            told = {
                "error": "invalid_client",
                "error_description": f"AADSTS7000215: {decoded}",
                "error_codes": [7000215],
            }
            return answer(status, json.dumps({**told, "claims": decoded, "suberror": decoded}).encode())
        if kind == "page":
            return answer(status, f"<html><title>{decoded}</title></html>".encode(), "text/html")
        return answer(status, request.body, "text/plain")

    with serving(reply) as (wire, received):
        values = {"endpoint": wire.url, "tenantId": CUSTOMER, "clientId": SOURCE, "requestTimeout": "5", **way}
        settings = Settings.load(values.get, {})
        partner_center = connect(settings)
        with pytest.raises(errors.SignInError) as caught:
            partner_center.customer(CUSTOMER)
        partner_center.close()
    assert "canary" in received[-1].body.decode()
    for value in (caught.value, settings, settings.sign_in, partner_center, vars(partner_center)):
        harmless(value)


def test_settings_show_no_secret_wherever_it_is_configured() -> None:
    partners = {"emea": {"clientSecret": "canary-in-a-partner", "tenantId": CUSTOMER, "clientId": SOURCE}}
    values = {
        "tenantId": CUSTOMER,
        "clientId": SOURCE,
        "clientSecret": "canary-secret",
        "partners": json.dumps(partners),
    }
    settings = Settings.load(values.get, {})
    for value in (settings, copy.copy(settings), settings.partners, settings.for_partner("emea").sign_in):
        harmless(value)
    for key in (
        "clientCertificate",
        "clientCertificatePassword",
        "refreshToken",
        "oidcToken",
        "accessToken",
        "partners",
    ):
        try:
            harmless(Settings.load({**values, key: "canary, which is none"}.get, {}))
        except errors.PartnerCenterError as error:
            harmless(error)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    for key in ("endpoint", "authority"):
        with pytest.raises(errors.PartnerCenterError) as caught:
            Settings.load({key: "https://user:canary@partner.example"}.get, {})
        assert f"partnercenter:{key}" in str(caught.value)
        harmless(caught.value)
    assert urlsplit("https://user:canary@partner.example").password == "canary"


def test_the_provider_that_pulumi_stores_holds_nothing() -> None:
    assert b"canary" not in pickle.dumps(SubscriptionUpgradeProvider())
    assert vars(SubscriptionUpgradeProvider()) == {}
