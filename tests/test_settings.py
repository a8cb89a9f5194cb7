"""What is configured becomes one value, or one message that names every key that is wrong."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pc_provider.emulator import registration
from pc_provider.partner_center.credentials.ways import (
    AccessToken,
    AppUser,
    AzureDevOps,
    ClientCertificate,
    ClientSecret,
    GitHubActions,
    ManagedIdentity,
    OidcToken,
    OidcTokenFile,
    WorkloadIdentity,
)
from pc_provider.partner_center.errors import InvalidInput
from pc_provider.partner_center.gate import RateLimit
from pc_provider.settings import (
    KEYS,
    Settings,
    SettingsError,
    environment_name,
    misspelt,
    plain_secrets,
)

TENANT = "11111111-2222-3333-4444-555555555555"
APP = "66666666-7777-8888-9999-aaaaaaaaaaaa"
OTHER_APP = "bbbbbbbb-7777-8888-9999-aaaaaaaaaaaa"
CANARY = "canary-7f3a"
IDS = {"tenantId": TENANT, "clientId": APP}
GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/x?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": CANARY}
DEVOPS = {"SYSTEM_OIDCREQUESTURI": "https://dev.example/oidctoken", "SYSTEM_ACCESSTOKEN": CANARY}


def load(values: Mapping[str, str] = {}, environ: Mapping[str, str] = {}) -> Settings:
    return Settings.load(values.get, environ)


def problems(values: Mapping[str, str] = {}, environ: Mapping[str, str] = {}) -> str:
    with pytest.raises(SettingsError) as caught:
        load(values, environ)
    return str(caught.value)


def test_nothing_configured_is_the_global_cloud_without_a_way_to_sign_in() -> None:
    settings = load()
    assert settings.endpoint == "https://api.partnercenter.microsoft.com"
    assert settings.authority == "https://login.microsoftonline.com"
    assert settings.scope == "https://api.partnercenter.microsoft.com/.default"
    assert settings.sign_in is None
    assert settings.check_eligibility
    assert (settings.max_concurrency, settings.rate_limit) == (64, None)
    assert (settings.request_timeout, settings.upgrade_timeout) == (60.0, 1200.0)


@pytest.mark.parametrize(
    ("cloud", "base", "authority"),
    [
        ("global", "https://api.partnercenter.microsoft.com", "https://login.microsoftonline.com"),
        ("usgov", "https://api.partnercenter.microsoft.com", "https://login.microsoftonline.us"),
        ("China", "https://partner.partnercenterapi.microsoftonline.cn", "https://login.chinacloudapi.cn"),
    ],
)
def test_a_cloud_is_base_authority_and_audience_together(cloud: str, base: str, authority: str) -> None:
    settings = load({"cloud": cloud})
    assert (settings.endpoint, settings.authority, settings.scope) == (base, authority, f"{base}/.default")


def test_own_endpoint_and_authority_keep_the_clouds_audience() -> None:
    settings = load({"cloud": "china", "endpoint": "https://proxy.example/pc/", "authority": "https://login.example"})
    assert settings.endpoint == "https://proxy.example/pc"
    assert settings.authority == "https://login.example"
    assert settings.scope == "https://partner.partnercenterapi.microsoftonline.cn/.default"


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_a_name_in_the_environment(key: str) -> None:
    name = environment_name(key)
    assert name == name.upper()
    assert name.removeprefix("PARTNERCENTER_").replace("_", "").lower() == key.lower()


def test_the_stack_wins_over_the_environment() -> None:
    environ = {"PARTNERCENTER_REQUEST_TIMEOUT": "7", "PARTNERCENTER_UPGRADE_TIMEOUT": "70"}
    settings = load({"requestTimeout": "8"}, environ)
    assert (settings.request_timeout, settings.upgrade_timeout) == (8.0, 70.0)


def test_an_empty_value_is_no_value() -> None:
    assert load({"clientSecret": " ", "cloud": ""}, {"PARTNERCENTER_TENANT_ID": ""}).sign_in is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100/10s", RateLimit(100, 10.0)),
        ("500/1m", RateLimit(500, 60.0)),
        ("5/s", RateLimit(5, 1.0)),
        ("1 / 2.5 s", RateLimit(1, 2.5)),
    ],
)
def test_a_rate_limit(text: str, wanted: RateLimit) -> None:
    assert load({"rateLimit": text}).rate_limit == wanted


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rateLimit", "fast"),
        ("rateLimit", "0/10s"),
        ("rateLimit", "10/0s"),
        ("maxConcurrency", "0"),
        ("maxConcurrency", "1.5"),
        ("maxConcurrency", "nan"),
        ("requestTimeout", "-1"),
        ("requestTimeout", "soon"),
        ("upgradeTimeout", "inf"),
        ("mediaType", "text/plain"),
        ("checkEligibility", "maybe"),
        ("cloud", "mars"),
        ("caBundle", "/no/such/file.pem"),
        ("endpoint", "http://partner.example"),
        ("endpoint", "ftp://partner.example"),
        ("endpoint", "https://user:secret@partner.example"),
        ("endpoint", "https://partner.example?x=1"),
        ("endpoint", "https://[::1"),
        ("authority", "https://login.example/tenant"),
        ("partners", "[]"),
        ("partners", "{"),
        ("useManagedIdentity", "perhaps"),
    ],
)
def test_a_wrong_value_is_named_by_the_name_it_was_typed_under(key: str, value: str) -> None:
    assert f"partnercenter:{key} " in problems({key: value})
    assert f"{environment_name(key)} " in problems({}, {environment_name(key): value})


def test_all_problems_come_in_one_message() -> None:
    text = problems({"cloud": "mars", "rateLimit": "x", "clientSecret": CANARY})
    for key in ("cloud", "rateLimit", "tenantId", "clientId"):
        assert f"partnercenter:{key}" in text
    assert CANARY not in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:8787", "http://localhost:8787/", "http://[::1]:8787"])
def test_a_local_endpoint_signs_in_to_itself_as_the_emulators_app(url: str) -> None:
    ambient = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": APP, "AZURE_CLIENT_SECRET": CANARY}
    settings = load({"endpoint": url}, ambient)
    assert settings.authority == settings.endpoint == url.rstrip("/")
    assert settings.sign_in == ClientSecret(
        registration.TENANT_ID, registration.CLIENT_ID, registration.CLIENT_SECRET, "the emulator's own app"
    )
    assert settings.is_local


def test_emulator_is_an_endpoint() -> None:
    assert load({}, {"PARTNERCENTER_ENDPOINT": "Emulator"}).endpoint == "emulator"
    assert isinstance(load({"endpoint": "emulator", "accessToken": "x"}).sign_in, AccessToken)


# Which way to sign in


def test_each_way_by_its_settings(tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----"
    assert load({**IDS, "clientSecret": "s"}).sign_in == ClientSecret(TENANT, APP, "s")
    assert load({**IDS, "clientCertificate": pem, "clientCertificatePassword": "p"}).sign_in == ClientCertificate(
        TENANT, APP, pem, "p"
    )
    assert load({**IDS, "oidcToken": "t"}).sign_in == WorkloadIdentity(TENANT, APP, OidcToken("t"))
    assert load({**IDS, "oidcTokenFile": "/f"}).sign_in == WorkloadIdentity(
        TENANT, APP, OidcTokenFile("/f"), "partnercenter:oidcTokenFile"
    )
    assert load({"useManagedIdentity": "true"}).sign_in == ManagedIdentity()
    assert load({"useManagedIdentity": "true", "clientId": APP}).sign_in == ManagedIdentity(APP)
    assert load({"accessToken": "t"}).sign_in == AccessToken("t")
    assert load({**IDS, "refreshToken": "r"}).sign_in == AppUser(TENANT, APP, "r")
    assert load({**IDS, "refreshTokenFile": "/f"}).sign_in == AppUser(
        TENANT, APP, file="/f", origin="partnercenter:refreshTokenFile"
    )
    assert load(
        {**IDS, "refreshToken": "r", "clientSecret": "s", "refreshTokenCommand": "store 'a b' --in -"}
    ).sign_in == AppUser(TENANT, APP, "r", ClientSecret(TENANT, APP, "s"), ("store", "a b", "--in", "-"))


def test_pipelines_give_tokens_to_a_configured_app() -> None:
    audience = "api://AzureADTokenExchange"
    assert load(IDS, GITHUB).sign_in == WorkloadIdentity(
        TENANT, APP, GitHubActions("https://token.example/x?v=1", CANARY, audience), "partnercenter:clientId"
    )
    china = load({**IDS, "cloud": "china"}, GITHUB).sign_in
    assert isinstance(china, WorkloadIdentity)
    assert isinstance(china.source, GitHubActions)
    assert china.source.audience == "api://AzureADTokenExchangeChina"
    devops = load({**IDS, "serviceConnectionId": "c"}, DEVOPS).sign_in
    assert devops == WorkloadIdentity(
        TENANT, APP, AzureDevOps("https://dev.example/oidctoken", CANARY, "c"), "partnercenter:clientId"
    )
    environ = {
        **DEVOPS,
        "AZURESUBSCRIPTION_TENANT_ID": TENANT,
        "AZURESUBSCRIPTION_CLIENT_ID": APP,
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "c",
    }
    task = load({}, environ).sign_in
    assert isinstance(task, WorkloadIdentity)
    assert (task.client_id, task.origin) == (APP, "AZURESUBSCRIPTION_CLIENT_ID")


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"GITHUB_ACTIONS": "true"}, "id-token: write"),
        ({"SYSTEM_OIDCREQUESTURI": "https://dev.example"}, "SYSTEM_ACCESSTOKEN: $(System.AccessToken)"),
        (DEVOPS, "partnercenter:serviceConnectionId"),
        ({}, "nothing that proves it"),
    ],
)
def test_an_app_without_proof_is_no_error_yet_and_says_what_is_missing(environ: dict[str, str], missing: str) -> None:
    settings = load(IDS, environ)
    assert settings.sign_in is None
    assert missing in settings.no_sign_in
    assert (settings.tenant_id, settings.client_id) == (TENANT, APP)


def test_a_token_service_without_an_app_says_so() -> None:
    assert "partnercenter:tenantId and partnercenter:clientId are not set" in load({}, GITHUB).no_sign_in
    assert "partnercenter:clientId is not set" in load({"tenantId": TENANT}, GITHUB).no_sign_in


@pytest.mark.parametrize("prefix", ["ARM", "AZURE"])
def test_the_azure_tools_names_are_used_after_ours(prefix: str) -> None:
    environ = {f"{prefix}_TENANT_ID": TENANT, f"{prefix}_CLIENT_ID": APP, f"{prefix}_CLIENT_SECRET": "s"}
    assert load({}, environ).sign_in == ClientSecret(TENANT, APP, "s", f"{prefix}_CLIENT_SECRET")
    ours = {"PARTNERCENTER_CLIENT_SECRET": "ours"}
    assert load({}, {**environ, **ours}).sign_in == ClientSecret(TENANT, APP, "ours", "PARTNERCENTER_CLIENT_SECRET")


def test_arm_comes_before_azure() -> None:
    environ = {
        "AZURE_CLIENT_SECRET": "azure",
        "ARM_CLIENT_SECRET": "arm",
        "ARM_TENANT_ID": TENANT,
        "ARM_CLIENT_ID": APP,
    }
    assert load({}, environ).sign_in == ClientSecret(TENANT, APP, "arm", "ARM_CLIENT_SECRET")


def test_the_secret_of_another_app_is_passed_over() -> None:
    environ = {"ARM_CLIENT_ID": OTHER_APP, "ARM_CLIENT_SECRET": "s", **GITHUB}
    chosen = load(IDS, environ).sign_in
    assert isinstance(chosen, WorkloadIdentity)
    assert chosen.client_id == APP


def test_kubernetes_workload_identity() -> None:
    environ = {
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": APP,
        "AZURE_FEDERATED_TOKEN_FILE": "/var/run/token",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/",
    }
    settings = load({}, environ)
    assert settings.sign_in == WorkloadIdentity(
        TENANT, APP, OidcTokenFile("/var/run/token"), "AZURE_FEDERATED_TOKEN_FILE"
    )
    assert (settings.cloud, settings.authority) == ("usgov", "https://login.microsoftonline.us")
    assert load({"cloud": "global"}, environ).cloud == "global"


def test_the_azure_tools_cloud_counts_only_for_their_credentials() -> None:
    environ = {"ARM_ENVIRONMENT": "china", "ARM_TENANT_ID": TENANT, "ARM_CLIENT_ID": APP, "ARM_CLIENT_SECRET": "s"}
    assert load({}, environ).cloud == "china"
    assert load({**IDS, "clientSecret": "s"}, environ).cloud == "global"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"clientSecret": CANARY, "clientCertificate": "-----BEGIN"}, ("clientSecret", "clientCertificate")),
        ({"accessToken": CANARY, "clientSecret": CANARY}, ("accessToken", "clientSecret")),
        ({"oidcToken": CANARY, "oidcTokenFile": "f"}, ("oidcToken", "oidcTokenFile")),
        ({"refreshToken": CANARY, "useManagedIdentity": "true"}, ("refreshToken", "useManagedIdentity")),
        ({"refreshToken": CANARY, "accessToken": CANARY}, ("refreshToken", "accessToken")),
    ],
)
def test_two_ways_at_once_are_named_and_refused(values: dict[str, str], named: tuple[str, ...]) -> None:
    text = problems({**IDS, **values})
    assert "exclude each other" in text
    assert all(f"partnercenter:{key}" in text for key in named)
    assert CANARY not in text


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"clientSecret": CANARY}, ("tenantId", "clientId")),
        ({"clientSecret": CANARY, "tenantId": TENANT}, ("clientId",)),
        ({"clientCertificatePassword": CANARY}, ("clientCertificate ", "clientCertificatePassword")),
        ({"refreshTokenCommand": "store"}, ("refreshToken",)),
        ({**IDS, "refreshToken": CANARY, "refreshTokenCommand": "store 'x"}, ("refreshTokenCommand",)),
        ({**IDS, "clientSecret": CANARY, "tenantId": "common"}, ("tenantId",)),
        ({**IDS, "clientSecret": CANARY, "tenantId": "a/../b"}, ("tenantId",)),
        ({**IDS, "clientSecret": CANARY, "clientId": "my app"}, ("clientId",)),
        ({**IDS, "clientCertificate": CANARY}, ("clientCertificate",)),
    ],
)
def test_half_a_way_is_named(values: dict[str, str], named: tuple[str, ...]) -> None:
    text = problems(values)
    assert all(f"partnercenter:{key}" in f"{text} " for key in named), text
    assert CANARY not in text


def test_a_certificate_may_be_a_file_or_text(tmp_path: Path) -> None:
    path = tmp_path / "app.pfx"
    path.write_bytes(b"\x30\x82")
    assert isinstance(load({**IDS, "clientCertificate": str(path)}).sign_in, ClientCertificate)
    text = base64.b64encode(b"\x30\x82" + bytes(400)).decode()
    assert isinstance(load({**IDS, "clientCertificate": text}).sign_in, ClientCertificate)
    assert "absent.pfx" in problems({**IDS, "clientCertificate": str(tmp_path / "absent.pfx")})


# Several partner tenants


def partners(entries: object, values: Mapping[str, str] = {}) -> Settings:
    return load({**IDS, "clientSecret": "own", **values, "partners": json.dumps(entries)})


def test_an_entry_takes_what_it_does_not_say_from_the_stack() -> None:
    settings = partners({"emea": {"tenantId": "emea.example", "maxConcurrency": 8, "checkEligibility": False}})
    emea = settings.for_partner("emea")
    assert emea.sign_in == ClientSecret("emea.example", APP, "own")
    assert (emea.max_concurrency, emea.check_eligibility) == (8, False)
    assert settings.for_partner(None) is settings
    assert settings.for_partner("") is settings


def test_an_entry_with_an_app_of_its_own_does_not_take_the_stacks_secret() -> None:
    assert partners({"emea": {"clientId": OTHER_APP}}).for_partner("emea").sign_in is None


def test_an_entry_with_a_tenant_of_its_own_does_not_take_the_stacks_refresh_token() -> None:
    settings = partners({"emea": {"tenantId": "emea.example"}, "apac": {"refreshToken": "r2"}}, {"refreshToken": "r1"})
    assert settings.sign_in == AppUser(TENANT, APP, "r1", ClientSecret(TENANT, APP, "own"))
    assert settings.for_partner("emea").sign_in == ClientSecret("emea.example", APP, "own")
    assert settings.for_partner("apac").sign_in == AppUser(
        TENANT, APP, "r2", ClientSecret(TENANT, APP, "own"), origin="partnercenter:partners.apac.refreshToken"
    )


def test_an_entry_in_another_cloud_takes_neither_address_nor_proof() -> None:
    settings = partners({"cn": {"cloud": "china"}}, {"endpoint": "https://proxy.example"})
    china = settings.for_partner("cn")
    assert (china.endpoint, china.sign_in) == ("https://partner.partnercenterapi.microsoftonline.cn", None)


def test_unknown_partners_and_keys_are_refused_with_the_known_ones() -> None:
    settings = partners({"emea": {}, "apac": {}})
    with pytest.raises(InvalidInput, match=r"partner: 'emae' is not configured; known: apac, emea"):
        settings.for_partner("emae")
    with pytest.raises(InvalidInput, match="none; set partnercenter:partners"):
        load().for_partner("emea")
    text = problems({"partners": json.dumps({"emea": {"tenant": "x", "cloud": "mars"}})})
    assert "partnercenter:partners.emea has unknown keys: tenant (known: " in text
    assert "partnercenter:partners.emea.cloud" in text


# Nothing leaks


def test_no_secret_in_any_repr_or_text() -> None:
    secrets = {
        "clientSecret": {**IDS},
        "clientCertificate": {**IDS, "clientCertificatePassword": CANARY},
        "oidcToken": {**IDS},
        "refreshToken": {**IDS, "refreshTokenCommand": f"store {CANARY}"},
        "accessToken": {},
    }
    for key, others in secrets.items():
        value = f"-----BEGIN {CANARY}" if key == "clientCertificate" else CANARY
        entry = {key: value, **others}
        settings = load({**entry, "partners": json.dumps({"emea": entry})})
        assert settings.sign_in is not None
        assert CANARY not in f"{settings!r} {settings} {settings.sign_in!r} {settings.for_partner('emea')}"
    for environ in (GITHUB, {**DEVOPS, "PARTNERCENTER_SERVICE_CONNECTION_ID": "c"}):
        settings = load(IDS, environ)
        assert settings.sign_in is not None
        assert CANARY not in repr(settings)


def test_a_path_that_can_not_be_is_a_file_that_is_not_there() -> None:
    assert "names ~nobody-knows/ca.pem" in problems({"caBundle": "~nobody-knows/ca.pem"})
    assert "which is not a file that can be read" in problems({"caBundle": "x" * 5000})
    assert load({"oidcTokenFile": "~nobody-knows/token", **IDS}).sign_in is not None
    assert "clientCertificate" in problems({"clientCertificate": "~nobody-knows/app.pem", **IDS})


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=30), max_size=8))
def test_any_text_in_any_key_is_settings_or_settings_error(values: dict[str, str]) -> None:
    values = {key: f"{text}{CANARY}" if "ecret" in key or "oken" in key else text for key, text in values.items()}
    unprintable: list[str] = []
    try:
        settings = load(values)
        message = repr(settings)
        hash(settings)
    except SettingsError as error:
        message = str(error)
        unprintable = [problem for problem in error.problems if not problem.isprintable()]
    assert unprintable == []
    assert CANARY not in message or CANARY in values.get("oidcTokenFile", "") + values.get("refreshTokenFile", "")


def test_reading_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pc_provider.settings import Settings; "
        "Settings.load({'endpoint': 'https://x.example'}.get, {}); "
        "print([m for m in ('httpx', 'msal', 'click', 'rich', 'cryptography', 'ssl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("keys", "environ", "meant"),
    [
        (
            ["tenantID"],
            {},
            "partnercenter:tenantID is not a setting and has no effect; is partnercenter:tenantId",
        ),
        (["rateLimits"], {}, "partnercenter:rateLimit meant"),
        (["checkEligibilty"], {}, "partnercenter:checkEligibility meant"),
        ([], {"PARTNERCENTER_TENANTID": "x"}, "is PARTNERCENTER_TENANT_ID meant?"),
        ([], {"PARTNERCENTER_UPGRADE_TIMOUT": "x"}, "is PARTNERCENTER_UPGRADE_TIMEOUT meant?"),
    ],
)
def test_a_name_that_is_nearly_a_setting_is_told(keys: list[str], environ: dict[str, str], meant: str) -> None:
    (line,) = misspelt(keys, environ)
    assert meant in line


def test_settings_and_names_of_a_projects_own_are_not_told() -> None:
    environ = {environment_name(key): "x" for key in KEYS}
    assert misspelt([*KEYS, "region", "costCenter"], {**environ, "PATH": "x", "PARTNERCENTER_TEAM": "x"}) == []


def test_a_secret_that_the_stack_does_not_encrypt_is_found() -> None:
    values = {"tenantId": TENANT, "clientSecret": "x", "partners": '{"emea": {"clientSecret": "x"}}'}
    assert plain_secrets(values, lambda key: False) == ["clientSecret", "partners"]
    assert plain_secrets(values, lambda key: key == "partners") == ["clientSecret"]
    assert plain_secrets({"partners": '{"emea": {"tenantId": "x"}}'}, lambda key: False) == []
