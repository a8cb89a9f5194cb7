"""An app proves itself with a token of another issuer, fetched from where each system keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from pc_provider.partner_center.credentials import Credential, credential
from pc_provider.partner_center.errors import SignInError
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings

from .authorities import form_of, issuing
from .conftest import APP, TENANT, Answer, Answering, Asked, as_json

Serve = Callable[[Callable[[Asked], Answer]], Answering]
IDS = {"tenantId": TENANT, "clientId": APP}
REQUEST_TOKEN = "canary-request-token"
ASSERTION = "canary-assertion"


class Entra(NamedTuple):
    """A sign-in service that believes every assertion, and the client's way to it."""

    url: str
    asked: list[Asked]
    transport: Transport


@pytest.fixture
def entra(answering: Serve, transport: Transport) -> Entra:
    return Entra(*answering(issuing()), transport)


def made(entra: Entra, values: Mapping[str, str], environ: Mapping[str, str] = {}) -> Credential:
    # Another address than this machine's, as far as the settings know, so that the pipeline's variables count.
    settings = Settings.load({**IDS, "authority": entra.url, **values}.get, environ)
    return credential(settings, entra.transport)


def assertions(entra: Entra) -> list[str]:
    return [form_of(asked)["client_assertion"] for asked in entra.asked if asked.method == "POST"]


def refusal(entra: Entra, values: Mapping[str, str], environ: Mapping[str, str] = {}) -> SignInError:
    with pytest.raises(SignInError) as caught:
        made(entra, values, environ).token()
    assert "canary" not in str(caught.value)
    assert assertions(entra) == []
    return caught.value


def test_a_token_given_as_text(entra: Entra) -> None:
    assert made(entra, {"oidcToken": ASSERTION}).token() == "t"
    assert assertions(entra) == [ASSERTION]


@pytest.mark.parametrize("key", ["oidcTokenFile", "AZURE_FEDERATED_TOKEN_FILE", "ARM_OIDC_TOKEN_FILE_PATH"])
def test_a_file_is_read_again_at_each_renewal(entra: Entra, tmp_path: Path, key: str) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    values, environ = ({key: str(path)}, {}) if key.startswith("oidc") else ({}, {key: str(path)})
    source = made(entra, values, environ)
    token = source.token()
    path.write_text("second")
    source.token(rejected=token)
    assert assertions(entra) == ["first", "second"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "can't be read"), (b"", "is not a token"), (b"a b", "not a token"), (b"\xff", "not a token")],
)
def test_a_file_without_a_token_is_named(entra: Entra, tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    error = refusal(entra, {"oidcTokenFile": str(path)})
    assert reason in str(error)
    assert str(path) in str(error)


def test_github_actions(entra: Entra, answering: Serve) -> None:
    github = answering(lambda _: as_json({"value": ASSERTION}))
    environ = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
    }
    source = made(entra, {}, environ)
    token = source.token()
    source.token(rejected=token)
    assert assertions(entra) == [ASSERTION, ASSERTION]
    assert len(github.asked) == 2
    asked = github.asked[0]
    assert asked.method == "GET"
    assert asked.headers["authorization"] == f"Bearer {REQUEST_TOKEN}"
    query = parse_qs(urlsplit(asked.path).query)
    assert query == {"api-version": ["2.0"], "audience": ["api://AzureADTokenExchange"]}


def test_azure_devops(entra: Entra, answering: Serve) -> None:
    devops = answering(lambda _: as_json({"oidcToken": ASSERTION}))
    environ = {"SYSTEM_OIDCREQUESTURI": f"{devops.url}/oidctoken", "SYSTEM_ACCESSTOKEN": REQUEST_TOKEN}
    assert made(entra, {"serviceConnectionId": "c 1"}, environ).token() == "t"
    assert assertions(entra) == [ASSERTION]
    asked = devops.asked[0]
    assert asked.method == "POST"
    assert asked.headers["authorization"] == f"Bearer {REQUEST_TOKEN}"
    assert asked.headers["content-type"] == "application/json"
    assert parse_qs(urlsplit(asked.path).query) == {"api-version": ["7.1"], "serviceConnectionId": ["c 1"]}


@pytest.mark.parametrize(
    "answer",
    [
        as_json({"message": f"no {REQUEST_TOKEN}"}, 403),
        as_json({}),
        as_json({"value": 5, "oidcToken": ""}),
        (302, {"Location": "https://evil.example"}, b"{}"),
        (200, {}, b"<html>sign in</html>"),
    ],
)
def test_a_pipeline_that_gives_no_token_is_named(entra: Entra, answering: Serve, answer: Answer) -> None:
    server = answering(lambda _: answer)
    github = {"ACTIONS_ID_TOKEN_REQUEST_URL": server.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN}
    devops = {"SYSTEM_OIDCREQUESTURI": server.url, "SYSTEM_ACCESSTOKEN": REQUEST_TOKEN}
    first = refusal(entra, {}, github)
    second = refusal(entra, {"serviceConnectionId": "c"}, devops)
    assert first.remedy
    assert second.remedy
    if answer[0] == 403:
        assert "id-token: write" in first.remedy
        assert "serviceConnectionId" in second.remedy


def test_a_token_service_without_tls_on_another_machine_is_not_asked(entra: Entra) -> None:
    environ = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://far.example/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN}
    with pytest.raises(SignInError, match=r"http://far\.example needs https") as caught:
        made(entra, {}, environ).token()
    assert "with https" in caught.value.remedy


def test_an_app_that_does_not_trust_the_issuer_is_told_where_to_look(answering: Serve, transport: Transport) -> None:
    text = "AADSTS700213: No matching federated identity record found for presented assertion subject 'repo:x'."
    refuse = issuing(lambda form: {"error": "invalid_client", "error_description": text, "error_codes": [700213]})
    entra = Entra(*answering(refuse), transport)
    with pytest.raises(SignInError, match="repo:x") as caught:
        made(entra, {"oidcToken": ASSERTION}).token()
    assert "Federated credentials" in caught.value.remedy


def test_no_token_is_logged(entra: Entra, answering: Serve, everything_logged: pytest.LogCaptureFixture) -> None:
    github = answering(lambda _: as_json({"value": ASSERTION}))
    environ = {"ACTIONS_ID_TOKEN_REQUEST_URL": github.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN}
    source = made(entra, {}, environ)
    source.token()
    assert "canary" not in everything_logged.text + repr(source)
