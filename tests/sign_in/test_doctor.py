"""The doctor finds what is wrong, says what to do about it, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pc_provider.doctor import Check, examine
from pc_provider.emulator.registration import REFRESH_TOKEN

from .conftest import Desk

CANARY = "canary-0e77"

Examine = Callable[..., dict[str, Check]]


@pytest.fixture
def examined(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Examine:
    """Examines what the environment configures, in a folder without a project."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setenv("PARTNERCENTER_ENDPOINT", desk.url)
    monkeypatch.setenv("PARTNERCENTER_CA_BUNDLE", str(desk.emulator.ca_bundle))

    def run(**environ: str) -> dict[str, Check]:
        for name, value in environ.items():
            monkeypatch.setenv(f"PARTNERCENTER_{name}", value)
        rows = list(examine())
        assert CANARY not in repr(rows)
        assert all(row.remedy for row in rows if row.state == "failed"), rows
        return {row.check: row for row in rows}

    return run


def failed(rows: dict[str, Check]) -> list[str]:
    return [row.check for row in rows.values() if row.state == "failed"]


def test_all_is_well_with_an_app(examined: Examine, desk: Desk) -> None:
    rows = examined()
    assert failed(rows) == []
    assert rows["audience"].detail == "https://api.partnercenter.microsoft.com"
    assert rows["call"].detail == "Listing one customer: answered 200"
    assert "environment only" in rows["configuration"].detail
    assert {entry["method"] for entry in desk.control("GET", "journal")} == {"GET"}


def test_all_is_well_with_a_person(examined: Examine) -> None:
    rows = examined(REFRESH_TOKEN=REFRESH_TOKEN, REFRESH_TOKEN_COMMAND="true")
    assert failed(rows) == []
    assert (rows["MFA"].state, rows["scopes"].detail) == ("ok", "user_impersonation")
    assert "admin@emulator.onmicrosoft.com" in rows["identity"].detail


def test_a_refresh_token_that_will_die_is_a_warning(examined: Examine) -> None:
    row = examined(REFRESH_TOKEN=REFRESH_TOKEN)["way to sign in"]
    assert row.state == "warning"
    assert "refreshTokenCommand" in row.remedy


def test_a_person_without_mfa(examined: Examine, desk: Desk) -> None:
    token = desk.control("POST", "refresh-tokens", {"mfa": False})["refreshToken"]
    rows = examined(REFRESH_TOKEN=token)
    assert failed(rows) == ["MFA", "call"]
    assert "900421" in rows["call"].detail
    assert "pc-provider login" in rows["MFA"].remedy


def test_what_is_configured_wrongly(examined: Examine) -> None:
    rows = examined(CLIENT_CERTIFICATE=CANARY, RATE_LIMIT="often")
    assert list(rows) == ["configuration"]


def test_a_wrong_secret(examined: Examine) -> None:
    rows = examined(CLIENT_SECRET=CANARY)
    assert failed(rows) == ["sign-in"]
    assert "PARTNERCENTER_CLIENT_SECRET" in rows["sign-in"].remedy
    assert (rows["token"].state, rows["call"].state) == ("skipped", "skipped")


def test_a_service_that_cannot_be_reached(examined: Examine) -> None:
    rows = examined(ENDPOINT="http://127.0.0.1:9", ACCESS_TOKEN=CANARY)
    assert failed(rows) == ["Partner Center", "call"]


def test_a_token_for_another_audience(examined: Examine, desk: Desk) -> None:
    asked = f"grant_type=client_credentials&client_id={desk.settings().client_id}&client_secret=emulator-client-secret"
    answer = desk.transport.send(
        "POST",
        f"{desk.url}/{desk.settings().tenant_id}/oauth2/v2.0/token",
        content=f"{asked}&scope=https://graph.windows.net/.default".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    token = answer.body.decode().split('"access_token":"')[1].split('"')[0]
    rows = examined(ACCESS_TOKEN=token)
    assert failed(rows) == ["audience", "call"]
    assert "900420" in rows["audience"].detail
    assert rows["way to sign in"].state == "warning"


def test_app_only_that_is_refused(examined: Examine, desk: Desk) -> None:
    desk.rules(appOnly=False)
    rows = examined()
    assert failed(rows) == ["call"]
    assert "900329" in rows["call"].detail
    assert "pc-provider login" in rows["call"].remedy


def test_a_token_that_is_about_to_end(examined: Examine, desk: Desk) -> None:
    desk.rules(tokenLifetime=100)
    assert examined()["expiry"].state == "warning"


def test_a_tenant_that_is_not_the_partners(examined: Examine, desk: Desk) -> None:
    token = desk.credential().token()
    rows = examined(ACCESS_TOKEN=token, TENANT_ID="99999999-2222-3333-4444-555555555555")
    assert failed(rows) == ["tenant"]


def test_an_opaque_token_says_nothing(examined: Examine) -> None:
    rows = examined(ACCESS_TOKEN="emulator")
    assert (rows["token"].state, failed(rows)) == ("warning", [])
