"""Every way to sign in, with msal as it is, over real TLS, against a service that verifies each proof."""

from __future__ import annotations

import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pc_provider.emulator.registration import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TENANT_ID
from pc_provider.partner_center.credentials import Credential, credential
from pc_provider.partner_center.credentials.remedies import REMEDIES
from pc_provider.partner_center.credentials.token import claims
from pc_provider.partner_center.errors import SignInError
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings

from .authorities import Certificate
from .conftest import Desk

IDS = {"tenantId": TENANT_ID, "clientId": CLIENT_ID}


def elsewhere(desk: Desk, values: Mapping[str, str], environ: Mapping[str, str] = {}) -> Credential:
    """A credential of someone whose Partner Center is not on this machine, so that all variables count."""
    own = {"authority": desk.url, "caBundle": str(desk.emulator.ca_bundle), **IDS}
    return credential(Settings.load({**own, **values}.get, environ), desk.transport)


def refusal(made: Credential) -> SignInError:
    with pytest.raises(SignInError) as caught:
        made.token()
    assert "canary" not in str(caught.value)
    return caught.value


def new_app(desk: Desk, **told: object) -> dict[str, str]:
    document: dict[str, str] = desk.control("POST", "applications", told)
    return {"tenantId": document["tenantId"], "clientId": document["clientId"]}


def test_a_client_secret(desk: Desk) -> None:
    token = desk.credential().token()
    assert desk.call(token) == 200
    assert claims(token)["aud"] == "https://api.partnercenter.microsoft.com"
    assert [asked["grantType"] for asked in desk.asked()] == ["client_credentials"]
    assert desk.asked()[0]["scope"] == "https://api.partnercenter.microsoft.com/.default"


def test_the_chinese_cloud_has_an_audience_of_its_own(desk: Desk) -> None:
    token = desk.credential({"cloud": "china"}).token()
    assert claims(token)["aud"] == "https://partner.partnercenterapi.microsoftonline.cn"
    assert desk.call(token) == 200


def test_an_authority_whose_certificate_is_not_trusted_is_named(desk: Desk, transport: Transport) -> None:
    error = refusal(credential(desk.settings(), transport))
    assert desk.url in str(error)
    assert "partnercenter:caBundle" in error.remedy
    assert desk.asked() == []


def test_a_certificate(desk: Desk) -> None:
    own = Certificate()
    ids = new_app(desk, certificates=[own.pem()])
    made = desk.credential({**ids, "clientCertificate": own.key_pem() + own.pem()})
    assert desk.call(made.token()) == 200
    other = Certificate()
    error = refusal(desk.credential({**ids, "clientCertificate": other.key_pem() + other.pem()}))
    assert error.codes == (700027,)
    assert "partnercenter:clientCertificate" in error.remedy


def test_github_actions_without_a_secret(desk: Desk) -> None:
    environ = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{desk.url}/_emulator/oidc/github?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary",
    }
    made = elsewhere(desk, {}, environ)
    assert desk.call(made.token()) == 200
    # The authority on this machine stands for each cloud's.
    assert desk.call(elsewhere(desk, {"cloud": "usgov"}, environ).token()) == 200


def test_azure_devops_without_a_secret(desk: Desk) -> None:
    environ = {"SYSTEM_OIDCREQUESTURI": f"{desk.url}/_emulator/oidc/azure-devops", "SYSTEM_ACCESSTOKEN": "canary"}
    assert desk.call(elsewhere(desk, {"serviceConnectionId": "c"}, environ).token()) == 200


def test_a_projected_token_file(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(desk.control("POST", "oidc/token", {})["token"])
    environ = {"AZURE_FEDERATED_TOKEN_FILE": str(path), "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"}
    assert desk.call(elsewhere(desk, {}, environ).token()) == 200


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"issuer": "https://evil.example"}, 700211),
        ({"subject": "repo:evil/fork:pull_request"}, 700213),
        ({"audience": "https://evil.example"}, 700212),
        ({"lifetime": -4000}, 700024),
    ],
)
def test_a_token_that_the_app_does_not_trust(desk: Desk, told: dict[str, object], code: int) -> None:
    token = desk.control("POST", "oidc/token", told)["token"]
    error = refusal(desk.credential({"oidcToken": token}))
    assert error.codes == (code,)
    assert error.remedy == REMEDIES[code]
    assert token not in str(error)


@pytest.mark.parametrize("kind", ["virtual machine", "app service"])
def test_a_managed_identity(desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)
    if kind == "virtual machine":
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", desk.url)
    else:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{desk.url}/metadata/identity/oauth2/token")
        monkeypatch.setenv("IDENTITY_HEADER", "canary")
    assert desk.call(desk.credential({"useManagedIdentity": "true"}).token()) == 200
    ids = new_app(desk, managedIdentity=True)
    assigned = desk.credential({"useManagedIdentity": "true", "clientId": ids["clientId"]}).token()
    assert claims(assigned)["appid"] == ids["clientId"]
    assert desk.call(assigned) == 200
    error = refusal(desk.credential({"useManagedIdentity": "true", "clientId": CLIENT_ID}))
    assert "the managed identity service of this machine refused it" in str(error)
    assert "partnercenter:clientId" in error.remedy


def test_no_managed_identity_service(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    assert "could not be reached" in str(refusal(desk.credential({"useManagedIdentity": "true"})))


# App+User


def test_a_refresh_token_gives_a_persons_token(desk: Desk) -> None:
    for values in ({"refreshToken": REFRESH_TOKEN}, {"refreshToken": REFRESH_TOKEN, "clientSecret": CLIENT_SECRET}):
        said = claims(desk.credential(values).token())
        assert said["scp"] == "user_impersonation"
        assert "mfa" in said["amr"]


def test_the_newest_refresh_token_is_used_for_the_next_renewal(desk: Desk) -> None:
    ids = new_app(desk, revokeUsedRefreshTokens=True)
    first = desk.control("POST", "refresh-tokens", {"clientId": ids["clientId"]})["refreshToken"]
    made = desk.credential({**ids, "refreshToken": first})
    token = made.token()
    assert desk.credential({**ids, "refreshToken": first}).token() == token
    token = made.token(rejected=token)
    assert desk.call(made.token(rejected=token)) == 200
    assert [asked["status"] for asked in desk.asked()] == [200, 200, 200]


def test_the_new_refresh_token_goes_to_the_command_on_standard_input(desk: Desk, tmp_path: Path) -> None:
    kept, arguments = tmp_path / "kept", tmp_path / "arguments"
    script = tmp_path / "store it.py"
    script.write_text(
        "import pathlib, sys\n"
        f"pathlib.Path({str(kept)!r}).write_text(sys.stdin.read())\n"
        f"pathlib.Path({str(arguments)!r}).write_text(repr(sys.argv[1:]))\n"
        "print('loud', sys.stdin.closed)\n"
    )
    command = f"'{sys.executable}' '{script}' --key 'a b; $(touch {tmp_path}/injected)'"
    made = desk.credential({"refreshToken": REFRESH_TOKEN, "refreshTokenCommand": command})
    made.token()
    token = kept.read_text()
    assert token.startswith("0.")
    assert token != REFRESH_TOKEN
    assert arguments.read_text() == repr(["--key", f"a b; $(touch {tmp_path}/injected)"])
    assert not (tmp_path / "injected").exists()
    assert desk.call(desk.credential({"refreshToken": token}).token()) == 200


def test_the_new_refresh_token_goes_to_a_private_file_and_is_read_from_it(desk: Desk, tmp_path: Path) -> None:
    ids = new_app(desk, revokeUsedRefreshTokens=True)
    first = desk.control("POST", "refresh-tokens", {"clientId": ids["clientId"]})["refreshToken"]
    path = tmp_path / "deep" / "refresh-token"
    values = {**ids, "refreshToken": first, "refreshTokenFile": str(path)}
    desk.credential(values).token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["refresh-token"]
    second = path.read_text()
    assert second != first
    # The configured one is used up; the next process starts from the file.
    desk.credential(values).token()
    assert path.read_text() not in (first, second)
    assert [asked["status"] for asked in desk.asked()] == [200, 200]


def test_a_dead_token_in_the_file_gives_way_to_a_newly_configured_one(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "refresh-token"
    path.write_text(desk.control("POST", "refresh-tokens", {"expiresIn": -1})["refreshToken"])
    made = desk.credential({"refreshToken": REFRESH_TOKEN, "refreshTokenFile": str(path)})
    assert desk.call(made.token()) == 200


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (f"'{sys.executable}' -c 'import sys; print(sys.stdin.read()); sys.exit(3)'", "ended with exit code 3"),
        ("/no/such/command --x", "could not be started"),
    ],
)
def test_a_refresh_token_that_nobody_took_is_a_warning_and_still_used(
    desk: Desk,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    command: str,
    reason: str,
) -> None:
    ids = new_app(desk, revokeUsedRefreshTokens=True)
    first = desk.control("POST", "refresh-tokens", {"clientId": ids["clientId"]})["refreshToken"]
    made = desk.credential({**ids, "refreshToken": first, "refreshTokenCommand": command})
    token = made.token()
    assert desk.call(made.token(rejected=token)) == 200
    warnings = [record.getMessage() for record in everything_logged.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert reason in warnings[0]
    assert "The new refresh token was not stored" in warnings[0]
    printed = capfd.readouterr()
    assert "0." not in printed.out + printed.err
    newest = made._held.refresh_tokens.newest
    assert newest is not None
    for secret in (first, newest, token):
        assert secret not in everything_logged.text


def test_a_file_that_cannot_be_written_is_a_warning(desk: Desk, everything_logged: pytest.LogCaptureFixture) -> None:
    made = desk.credential({"refreshToken": REFRESH_TOKEN, "refreshTokenFile": "/proc/refresh-token"})
    assert desk.call(made.token()) == 200
    assert "partnercenter:refreshTokenFile could not be written" in everything_logged.text


def test_a_file_that_cannot_be_read_is_named(desk: Desk, tmp_path: Path) -> None:
    made = desk.credential({"refreshToken": REFRESH_TOKEN, "refreshTokenFile": str(tmp_path)})
    assert "partnercenter:refreshTokenFile" in refusal(made).remedy


def test_no_refresh_token_yet(desk: Desk, tmp_path: Path) -> None:
    assert "pc-provider login" in refusal(desk.credential({"refreshTokenFile": str(tmp_path / "none")})).remedy


# What Entra refuses


@pytest.mark.parametrize("code", [50076, 50078, 50079, 50173, 53003, 65001, 700016, 700082, 7000218, 7000222])
def test_each_refusal_has_a_remedy(desk: Desk, code: int) -> None:
    ids = new_app(desk, refuse=code)
    for values in ({"clientSecret": "canary"}, {"refreshToken": "canary"}):
        error = refusal(desk.credential({**ids, **values}))
        assert error.codes == (code,)
        assert f"AADSTS{code}" in str(error)
        assert error.remedy == REMEDIES[code].replace("{origin}", f"partnercenter:{next(iter(values))}")
        assert error.correlation_id


def test_an_expired_secret_and_an_unknown_tenant(desk: Desk) -> None:
    ids = new_app(desk, expiredSecrets=["canary"])
    assert refusal(desk.credential({**ids, "clientSecret": "canary"})).codes == (7000222,)
    assert refusal(desk.credential({"tenantId": "nowhere.example", "clientSecret": "canary"})).codes == (90002,)


def test_no_secret_of_any_way_is_logged_or_shown(
    desk: Desk, everything_logged: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    own = Certificate()
    ids = new_app(desk, certificates=[own.pem()], clientSecrets=["canary-secret"])
    oidc = desk.control("POST", "oidc/token", {})["token"]
    secrets = ["canary-secret", own.key_pem().splitlines()[1], oidc, REFRESH_TOKEN]
    shown = []
    for values in (
        {**ids, "clientSecret": "canary-secret"},
        {**ids, "clientCertificate": own.key_pem() + own.pem()},
        {"oidcToken": oidc},
        {"refreshToken": REFRESH_TOKEN, "refreshTokenFile": str(tmp_path / "kept")},
    ):
        made = desk.credential(values)
        secrets.append(made.token())
        shown += [repr(made), repr(made.way), repr(made._held), repr(desk.settings(values))]
    secrets.append((tmp_path / "kept").read_text())
    text = everything_logged.text + "".join(shown)
    assert "msal" in text
    assert [secret for secret in secrets if secret in text] == []
