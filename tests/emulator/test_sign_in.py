"""Every sign-in a partner may use, by unmodified msal over TLS, and what the API demands of a token."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import msal
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msal.oauth2cli.authcode import AuthCodeReceiver

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CLIENT_ID, CLIENT_SECRET, CUSTOMER_ID, REFRESH_TOKEN, TENANT_ID
from tests.emulator.conftest import Client, codes

SCOPES = ["https://api.partnercenter.microsoft.com/.default"]
APP = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def secure() -> Iterator[Emulator]:
    with Emulator(tls=True) as emulator:
        yield emulator


@pytest.fixture
def api(secure: Emulator) -> Iterator[Client]:
    with Client(secure) as client:
        client.post("/_emulator/reset")
        yield client


@pytest.fixture
def web(secure: Emulator) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.verify = secure.ca_bundle or True
        # With it, an environment's own bundle would be trusted instead.
        session.trust_env = False
        yield session


class Msal:
    """Makes msal's clients against the emulator."""

    def __init__(self, secure: Emulator, web: requests.Session) -> None:
        self._common: dict[str, Any] = {"http_client": web, "instance_discovery": False}
        self._url = secure.url

    def confidential(self, credential: Any, client: str = CLIENT_ID, tenant: str = TENANT_ID) -> Any:
        return msal.ConfidentialClientApplication(
            client, client_credential=credential, authority=f"{self._url}/{tenant}", **self._common
        )

    def public(self, client: str = CLIENT_ID) -> Any:
        return msal.PublicClientApplication(client, authority=f"{self._url}/{TENANT_ID}", **self._common)


@pytest.fixture
def apps(secure: Emulator, web: requests.Session, api: Client) -> Msal:
    return Msal(secure, web)


def claims(token: str) -> dict[str, Any]:
    text = token.split(".")[1]
    tree: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return tree


def call(api: Client, token: str, **headers: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", **headers}
    return api.get(f"/v1/customers/{CUSTOMER_ID}/subscriptions", headers=headers)


def outcome(answer: httpx.Response) -> tuple[int, int | None]:
    return answer.status_code, None if answer.status_code == 200 else answer.json()["code"]


class Certificate:
    """A certificate with its key, in PEM."""

    def __init__(self, days: int = 1) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pipeline")])
        now = datetime.now(timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


# Applications on their own


def test_a_client_secret(apps: Msal, api: Client) -> None:
    token = apps.confidential(CLIENT_SECRET).acquire_token_for_client(SCOPES)["access_token"]
    assert claims(token)["aud"] == "https://api.partnercenter.microsoft.com"
    assert (claims(token)["idtyp"], claims(token)["tid"]) == ("app", TENANT_ID)
    assert outcome(call(api, token)) == (200, None)


@pytest.mark.parametrize(
    ("client", "secret", "code"),
    [(CLIENT_ID, "wrong", 7000215), (CLIENT_ID, "old", 7000222), (CLIENT_ID, "", 7000218), (APP, "x", 700016)],
)
def test_refused_secrets(api: Client, client: str, secret: str, code: int) -> None:
    api.control("applications", {"clientId": CLIENT_ID, "expiredSecrets": ["old"]})
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": SCOPES[0]}
    answer = api.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form).json()
    assert answer["error_codes"] == [code]
    assert answer["error_description"].startswith(f"AADSTS{code}: ")


@pytest.mark.parametrize("tenant", ["contoso.onmicrosoft.com", "%00"])
def test_an_unknown_tenant(api: Client, tenant: str) -> None:
    answer = api.get(f"/{tenant}/v2.0/.well-known/openid-configuration")
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def test_a_tenant_without_registrations_lets_every_application_in(apps: Msal, api: Client) -> None:
    tenant = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    app = apps.confidential("any secret", APP, tenant)
    token = app.acquire_token_for_client(SCOPES)["access_token"]
    assert (claims(token)["tid"], claims(token)["appid"]) == (tenant, APP)
    assert outcome(call(api, token)) == (200, None)
    assert claims(app.acquire_token_by_refresh_token("any token", SCOPES)["access_token"])["idtyp"] == "user"
    form = {"grant_type": "client_credentials", "client_id": APP, "scope": SCOPES[0]}
    assert api.post(f"/{tenant}/oauth2/v2.0/token", data=form).json()["error_codes"] == [7000218]
    api.control("sign-in", {"openTenants": False})
    form["client_secret"] = "any secret"
    assert api.post(f"/{tenant}/oauth2/v2.0/token", data=form).json()["error_codes"] == [90002]


def test_msal_reports_an_unknown_tenant(apps: Msal, api: Client) -> None:
    api.control("sign-in", {"openTenants": False})
    with pytest.raises(ValueError, match="tenant name or GUID"):
        apps.confidential(CLIENT_SECRET, tenant=APP)


def test_a_certificate(apps: Msal, api: Client, certificate: Certificate) -> None:
    credential = {"private_key": certificate.key, "public_certificate": certificate.pem}
    assert apps.confidential(credential).acquire_token_for_client(SCOPES)["error_codes"] == [700027]
    api.control("applications", {"clientId": APP, "certificates": [certificate.pem]})
    by_thumbprint = {
        "private_key": certificate.key,
        "thumbprint": certificate.certificate.fingerprint(hashes.SHA1()).hex(),
    }
    for known in (credential, by_thumbprint):
        token = apps.confidential(known, APP).acquire_token_for_client(SCOPES)["access_token"]
        assert claims(token)["appidacr"] == "2"


def test_a_certificate_signed_by_another_key(apps: Msal, api: Client, certificate: Certificate) -> None:
    api.control("applications", {"clientId": APP, "certificates": [certificate.pem]})
    stolen = {"private_key": Certificate().key, "public_certificate": certificate.pem}
    assert apps.confidential(stolen, APP).acquire_token_for_client(SCOPES)["error_codes"] == [700027]


def test_an_expired_certificate(apps: Msal, api: Client) -> None:
    expired = Certificate(days=-1)
    api.control("applications", {"clientId": APP, "certificates": [expired.pem]})
    credential = {"private_key": expired.key, "public_certificate": expired.pem}
    assert apps.confidential(credential, APP).acquire_token_for_client(SCOPES)["error_codes"] == [1000502]


def test_github_actions(apps: Msal, api: Client) -> None:
    path = "/_emulator/oidc/github?api-version=2.0&audience=api://AzureADTokenExchange"
    token = api.get(path, headers={"Authorization": "Bearer request-token"}).json()["value"]
    app = apps.confidential({"client_assertion": lambda: token})
    assert outcome(call(api, app.acquire_token_for_client(SCOPES)["access_token"])) == (200, None)
    assert api.get(path, headers={"Authorization": ""}).status_code == 401


def test_azure_devops(apps: Msal, api: Client) -> None:
    path = "/_emulator/oidc/azure-devops?api-version=7.1"
    assert api.post(path).status_code == 400
    token = api.post(f"{path}&serviceConnectionId={APP}").json()["oidcToken"]
    app = apps.confidential({"client_assertion": lambda: token})
    assert "access_token" in app.acquire_token_for_client(SCOPES)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"issuer": "https://elsewhere"}, 700211),
        ({"audience": "api://other"}, 700212),
        ({"subject": "repo:contoso/other"}, 700213),
        ({"lifetime": -600}, 700024),
    ],
)
def test_tokens_of_an_issuer_that_do_not_fit(apps: Msal, api: Client, told: dict[str, Any], code: int) -> None:
    token = api.control("oidc/token", told)["token"]
    app = apps.confidential({"client_assertion": lambda: token})
    assert app.acquire_token_for_client(SCOPES)["error_codes"] == [code]


def test_an_issuer_of_ones_own(apps: Msal, api: Client) -> None:
    made = api.control("oidc/token", {"issuer": "https://ci.example", "subject": "job"})
    trusted = {"issuer": "https://ci.example", "subject": "job", "publicKey": made["publicKey"]}
    api.control("applications", {"clientId": APP, "federatedCredentials": [trusted]})
    app = apps.confidential({"client_assertion": lambda: made["token"]}, APP)
    assert "access_token" in app.acquire_token_for_client(SCOPES)


@pytest.mark.parametrize(
    "service", [{"AZURE_POD_IDENTITY_AUTHORITY_HOST": ""}, {"IDENTITY_ENDPOINT": "/metadata/identity/oauth2/token"}]
)
def test_a_managed_identity(
    secure: Emulator, web: requests.Session, api: Client, monkeypatch: pytest.MonkeyPatch, service: dict[str, str]
) -> None:
    for name in [name for name in os.environ if name.startswith(("IDENTITY_", "IMDS_", "MSI_"))]:
        monkeypatch.delenv(name)
    for name, path in service.items():
        monkeypatch.setenv(name, secure.url + path)
        monkeypatch.setenv("IDENTITY_HEADER", "secret") if path else None
    resource = SCOPES[0].removesuffix("/.default")
    client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=web)
    token = client.acquire_token_for_client(resource=resource)["access_token"]
    assert outcome(call(api, token)) == (200, None)
    named = msal.ManagedIdentityClient(msal.UserAssignedManagedIdentity(client_id=APP), http_client=web)
    assert "error" in named.acquire_token_for_client(resource=resource)
    api.control("applications", {"clientId": APP, "managedIdentity": True})
    assert claims(named.acquire_token_for_client(resource=resource)["access_token"])["appid"] == APP


# Applications on behalf of a person


def test_a_refresh_token_is_rotated(apps: Msal, api: Client) -> None:
    app = apps.confidential(CLIENT_SECRET)
    first = app.acquire_token_by_refresh_token(REFRESH_TOKEN, SCOPES)
    assert first["refresh_token"] != REFRESH_TOKEN
    assert claims(first["access_token"])["amr"] == ["pwd", "mfa"]
    assert outcome(call(api, first["access_token"])) == (200, None)
    assert "access_token" in app.acquire_token_by_refresh_token(first["refresh_token"], SCOPES)
    assert "access_token" in app.acquire_token_by_refresh_token(REFRESH_TOKEN, SCOPES)


def test_a_used_refresh_token_can_be_told_to_end(apps: Msal, api: Client) -> None:
    api.control("applications", {"clientId": APP, "revokeUsedRefreshTokens": True})
    old = api.control("refresh-tokens", {"clientId": APP})["refreshToken"]
    app = apps.public(APP)
    assert "access_token" in app.acquire_token_by_refresh_token(old, SCOPES)
    assert app.acquire_token_by_refresh_token(old, SCOPES)["error_codes"] == [9002313]


def test_a_refresh_token_expires(apps: Msal, api: Client) -> None:
    old = api.control("refresh-tokens", {"expiresIn": -5})["refreshToken"]
    refused = apps.public().acquire_token_by_refresh_token(old, SCOPES)
    assert (refused["error"], refused["error_codes"]) == ("invalid_grant", [700082])


def test_a_wrong_secret_with_a_good_refresh_token(apps: Msal) -> None:
    refused = apps.confidential("wrong").acquire_token_by_refresh_token(REFRESH_TOKEN, SCOPES)
    assert refused["error_codes"] == [7000215]


@pytest.mark.parametrize("code", [50076, 50078, 65001])
def test_a_registration_can_be_told_to_refuse(apps: Msal, api: Client, code: int) -> None:
    held = api.control("refresh-tokens", {})["refreshToken"]
    api.control("applications", {"clientId": CLIENT_ID, "refuse": code})
    refused = apps.public().acquire_token_by_refresh_token(held, SCOPES)
    assert (refused["error"], refused["error_codes"]) == ("invalid_grant", [code])


def test_a_device_code(apps: Msal, api: Client) -> None:
    app = apps.public()
    flow = app.initiate_device_flow(SCOPES)
    assert flow["user_code"] in flow["message"]
    once = {**flow, "expires_at": 0}
    assert app.acquire_token_by_device_flow(once)["error"] == "authorization_pending"
    assert api.get("/devicelogin").status_code == 200
    assert api.post("/devicelogin", data={"code": "NOSUCHONE"}).status_code == 400
    assert api.post("/devicelogin", data={"code": flow["user_code"]}).status_code == 200
    result = app.acquire_token_by_device_flow(flow)
    assert result["id_token_claims"]["preferred_username"]
    assert result["refresh_token"]
    assert outcome(call(api, result["access_token"])) == (200, None)


def test_a_declined_device_code(apps: Msal, api: Client) -> None:
    app = apps.public()
    flow = app.initiate_device_flow(SCOPES)
    api.control("device-codes", {"userCode": flow["user_code"], "answer": "deny"})
    assert app.acquire_token_by_device_flow(flow)["error"] == "authorization_declined"


def browse(secure: Emulator, address: str) -> None:
    """What a browser does with the authorization address: run the page, whose form posts itself."""
    with httpx.Client(verify=ssl.create_default_context(cafile=secure.ca_bundle), trust_env=False) as browser:
        page = browser.get(address).text
        target = html.unescape(re.findall(r'action="([^"]*)"', page)[0])
        fields = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', page)}
        browser.post(target, data=fields)


def test_an_authorization_code_by_loopback(secure: Emulator, apps: Msal, api: Client) -> None:
    app = apps.public()
    with AuthCodeReceiver(port=0) as receiver:
        redirect = f"http://localhost:{receiver.get_port()}"
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=redirect, response_mode="form_post")
        browser = threading.Thread(target=browse, args=(secure, flow["auth_uri"]))
        browser.start()
        answer = receiver.get_auth_response(state=flow["state"], timeout=20)
        browser.join()
    result = app.acquire_token_by_auth_code_flow(flow, answer)
    assert outcome(call(api, result["access_token"])) == (200, None)


def code_in_address(api: Client, **query: str) -> dict[str, str]:
    """The answer a client gets that asks for it in the redirect's address, as older ones do."""
    query = {"client_id": CLIENT_ID, "response_type": "code", "scope": SCOPES[0], **query}
    answer = api.get(f"/{TENANT_ID}/oauth2/v2.0/authorize", params={"redirect_uri": "http://localhost:9", **query})
    sent = httpx.URL(answer.headers["Location"])
    assert (sent.host, sent.port) == ("localhost", 9)
    return dict(sent.params)


def test_an_authorization_code_is_good_once(api: Client) -> None:
    answer = code_in_address(api, state="xyz")
    assert answer["state"] == "xyz"
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code": answer["code"],
        "redirect_uri": "http://localhost:9",
    }
    path = f"/{TENANT_ID}/oauth2/v2.0/token"
    assert "refresh_token" in api.post(path, data=form).json()
    assert api.post(path, data=form).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"redirect_uri": "http://localhost:8", "code_verifier": "x" * 43}, 500112),
        ({"code_verifier": "y" * 43}, 501481),
        ({}, 501481),
    ],
)
def test_a_code_needs_its_verifier_and_its_address(api: Client, told: dict[str, str], code: int) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"x" * 43).digest()).rstrip(b"=").decode()
    answer = code_in_address(api, code_challenge=challenge, code_challenge_method="S256")
    form = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "redirect_uri": "http://localhost:9", **told}
    refused = api.post(f"/{TENANT_ID}/oauth2/v2.0/token", data={**form, "code": answer["code"]}).json()
    assert refused["error_codes"] == [code]


def test_a_public_client_needs_a_verifier(api: Client) -> None:
    form = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "redirect_uri": "http://localhost:9"}
    answer = code_in_address(api)
    refused = api.post(f"/{TENANT_ID}/oauth2/v2.0/token", data={**form, "code": answer["code"]}).json()
    assert refused["error_codes"] == [9002327]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "https://nowhere/.default"}, "invalid_resource"),
    ],
)
def test_a_refused_authorization_goes_back_to_the_client(api: Client, query: dict[str, str], error: str) -> None:
    assert code_in_address(api, **query)["error"] == error


def test_no_code_is_sent_to_a_strange_address(api: Client) -> None:
    query = {"client_id": CLIENT_ID, "response_type": "code", "scope": SCOPES[0], "redirect_uri": "https://elsewhere/"}
    answer = api.get(f"/{TENANT_ID}/oauth2/v2.0/authorize", params=query)
    assert answer.status_code == 400
    assert "AADSTS50011" in answer.text


# What the API demands of a token


def token_for(api: Client, scope: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": scope}
    text: str = api.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form).json()["access_token"]
    return text


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("https://api.partnercenter.microsoft.com/.default", (200, None)),
        ("https://partner.partnercenterapi.microsoftonline.cn/.default", (200, None)),
        ("https://graph.windows.net/.default", (401, 900420)),
        ("https://graph.microsoft.com/.default", (401, 400)),
    ],
)
def test_audiences(api: Client, scope: str, expected: tuple[int, int | None]) -> None:
    assert outcome(call(api, token_for(api, scope))) == expected


def test_the_emulators_own_address_is_an_audience(secure: Emulator, api: Client) -> None:
    assert outcome(call(api, token_for(api, f"{secure.url}/.default"))) == (200, None)


def test_a_resource_nobody_knows(api: Client) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    path = f"/{TENANT_ID}/oauth2/v2.0/token"
    for scope, code in (("https://nowhere/.default", 500011), ("openid", 900144), (SCOPES[0][:-8] + "x", 1002012)):
        assert api.post(path, data={**form, "scope": scope}).json()["error_codes"] == [code]


@pytest.mark.parametrize("header", ["", "Bearer", "Basic emulator"])
def test_a_missing_token(api: Client, header: str) -> None:
    answer = api.get("/v1/customers", headers={"Authorization": header})
    assert outcome(answer) == (401, 800001)
    assert "realm" in answer.headers["WWW-Authenticate"]


def test_tokens_that_are_not_ours(api: Client) -> None:
    good = token_for(api, SCOPES[0])
    head, body, signature = good.split(".")
    other = base64.urlsafe_b64encode(json.dumps({**claims(good), "exp": 9e9}).encode()).rstrip(b"=").decode()
    for token in ("x", "a.b.c", f"{head}.{other}.{signature}", f"{head}.{body}.", good + "x"):
        assert outcome(call(api, token)) == (401, 400)


def test_a_token_expires(api: Client) -> None:
    api.control("sign-in", {"tokenLifetime": 1})
    token = token_for(api, SCOPES[0])
    time.sleep(max(0.0, claims(token)["exp"] - time.time()) + 0.05)
    assert outcome(call(api, token)) == (401, 400)


def test_tokens_can_be_revoked(api: Client) -> None:
    token = token_for(api, SCOPES[0])
    api.control("sign-in", {"revoke": True})
    assert outcome(call(api, token)) == (401, 400)
    assert outcome(call(api, token_for(api, SCOPES[0]))) == (200, None)


def test_app_only_can_be_refused(apps: Msal, api: Client) -> None:
    api.control("sign-in", {"appOnly": False})
    assert outcome(call(api, token_for(api, SCOPES[0]))) == (403, 900329)
    user = apps.public().acquire_token_by_refresh_token(REFRESH_TOKEN, SCOPES)["access_token"]
    assert outcome(call(api, user)) == (200, None)


def test_a_user_without_mfa_is_refused(apps: Msal, api: Client) -> None:
    weak = api.control("refresh-tokens", {"mfa": False})["refreshToken"]
    token = apps.public().acquire_token_by_refresh_token(weak, SCOPES)["access_token"]
    assert outcome(call(api, token)) == (401, 900421)
    api.control("sign-in", {"requireMfa": False})
    answer = call(api, token, ValidateMfa="true")
    assert answer.headers["isMfaCompliant"] == "false"
    assert "isMfaCompliant" not in call(api, token).headers
    assert call(api, "emulator", ValidateMfa="true").headers["isMfaCompliant"] == "true"


def test_a_license_transfer_needs_a_person(apps: Msal, api: Client) -> None:
    app_only = {"Authorization": f"Bearer {token_for(api, SCOPES[0])}"}
    assert [codes(item["upgradeErrors"]) for item in api.upgrades(headers=app_only)["items"]] == [[], [5], [], [5]]
    assert codes(api.upgrade(upgrade_type=2, headers=app_only)["upgradeErrors"]) == [5]
    user = apps.public().acquire_token_by_refresh_token(REFRESH_TOKEN, SCOPES)["access_token"]
    assert api.upgrade(upgrade_type=2, headers={"Authorization": f"Bearer {user}"})["upgradeErrors"] == []


def test_the_list_of_sign_ins_holds_no_secret(apps: Msal, api: Client) -> None:
    apps.confidential(CLIENT_SECRET).acquire_token_for_client(SCOPES)
    apps.confidential("wrong-secret").acquire_token_for_client(SCOPES)
    lines = api.get("/_emulator/sign-ins").json()
    assert [(line["grantType"], line["status"], line["error"]) for line in lines] == [
        ("client_credentials", 200, ""),
        ("client_credentials", 401, "AADSTS7000215"),
    ]
    assert "secret" not in json.dumps(lines)


def test_tokens_outlive_a_reset(api: Client) -> None:
    token = token_for(api, SCOPES[0])
    api.post("/_emulator/reset")
    assert outcome(call(api, token)) == (200, None)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("applications", {"clientId": "x"}),
        ("applications", {"secrets": []}),
        ("applications", {"federatedCredentials": [{"issuer": "x"}]}),
        ("applications", {"clientSecrets": "x"}),
        ("refresh-tokens", {"clientId": APP}),
        ("refresh-tokens", {"expiresIn": "soon"}),
        ("sign-in", {"tokenLifetime": True}),
        ("sign-in", {"tokenLifetime": -1}),
        ("sign-in", {"generation": 5}),
        ("oidc/token", {"lifetime": "long"}),
    ],
)
def test_arrangements_that_make_no_sense_are_refused(api: Client, name: str, told: dict[str, Any]) -> None:
    answer = api.post(f"/_emulator/{name}", json=told)
    assert (answer.status_code, answer.json()["code"]) == (400, 800002)
