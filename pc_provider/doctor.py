"""
``pc-provider doctor``: what is wrong with the sign-in, and what to do about it, before the first upgrade.

It asks for a token as the provider would, reads what the token says of itself, and makes one call that changes
nothing. Neither the token nor a secret is shown.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pc_provider.partner_center import answers
from pc_provider.partner_center.credentials import credential
from pc_provider.partner_center.credentials.token import claims
from pc_provider.partner_center.credentials.ways import AccessToken, AppUser, ManagedIdentity, OidcToken
from pc_provider.partner_center.errors import PartnerCenterError, printable
from pc_provider.partner_center.transport import Transport, origin
from pc_provider.settings import Settings, SettingsError, misspelt, reachable
from pc_provider.stack import read_stack

__all__ = ["Check", "examine", "run"]

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"
# Partner Center's application id in Microsoft Entra: the audience of its version 1.0 tokens.
PARTNER_CENTER_APP = "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd"
RETIRED_AUDIENCES = ("https://graph.windows.net", "00000002-0000-0000-c000-000000000000")
SOON = 300
# Of the table where it is not shown on a terminal.
WIDTH = 140


@dataclass(frozen=True)
class Check:
    """One row: *state* is ok, warning, failed or skipped; *remedy* what to do when it is not ok."""

    check: str
    state: str
    detail: str
    remedy: str = ""


def run(*, stack: str | None, partner: str | None, as_json: bool) -> bool:
    """Examines and prints; whether nothing has failed."""
    rows = list(examine(stack=stack, partner=partner))
    well = all(row.state != FAILED for row in rows)
    if as_json:
        sys.stdout.write(json.dumps({"ok": well, "checks": [asdict(row) for row in rows]}, indent=2) + "\n")
    else:
        _show(rows)
    return well


def examine(*, stack: str | None = None, partner: str | None = None) -> Iterator[Check]:
    """The checks, each made when it is asked for; what depends on a failed one is skipped."""
    try:
        found = read_stack(stack)
    except PartnerCenterError as error:
        yield _failed("configuration", error)
        return
    for line in misspelt(found.values, os.environ):
        yield Check("configuration", WARNING, line, "Correct the name, or remove it.")
    for key in found.plain_secrets:
        yield Check(
            "configuration",
            WARNING,
            f"partnercenter:{key} is stored in plain text",
            f"Set it again with `pulumi config set --secret partnercenter:{key}`.",
        )
    try:
        settings = Settings.load(found.values.get, os.environ).for_partner(partner)
    except SettingsError as error:
        for problem in error.problems:
            yield Check("configuration", FAILED, problem, "Correct the setting; docs/sign-in.md lists them all.")
        return
    except PartnerCenterError as error:
        yield _failed("configuration", error)
        return
    yield Check("configuration", OK, f"read from {found.source}; cloud {settings.cloud}")
    settings = reachable(settings)
    transport = Transport(ca_bundle=settings.ca_bundle, max_connections=4)
    try:
        yield from _with_network(settings, transport)
    finally:
        transport.close()


def _with_network(settings: Settings, transport: Transport) -> Iterator[Check]:
    network = [_reach("Partner Center", settings.endpoint, settings, transport)]
    if settings.sign_in is not None and not isinstance(settings.sign_in, AccessToken | ManagedIdentity):
        network.append(_reach("sign-in service", settings.authority, settings, transport))
    yield from network
    yield _way(settings)
    if settings.sign_in is None:
        yield from (Check(name, SKIPPED, "there is no way to sign in") for name in ("sign-in", "token", "call"))
        return
    try:
        token = credential(settings, transport).token()
    except PartnerCenterError as error:
        yield _failed("sign-in", error)
        yield from (Check(name, SKIPPED, "there is no token") for name in ("token", "call"))
        return
    yield Check("sign-in", OK, "a token was given")
    yield from _claims(settings, token)
    yield _call(settings, transport, token)


def _failed(check: str, error: PartnerCenterError) -> Check:
    return Check(check, FAILED, error.known, error.remedy)


def _reach(name: str, url: str, settings: Settings, transport: Transport) -> Check:
    """Any answer counts: it shows that name, network, proxy and TLS are in order."""
    try:
        answer = transport.send("GET", url, timeout=min(20.0, settings.request_timeout), max_bytes=64 * 1024)
    except PartnerCenterError as error:
        if url == settings.authority != settings.endpoint:
            error.remedy = error.remedy.replace("partnercenter:endpoint", "partnercenter:authority")
        return _failed(name, error)
    return Check(name, OK, f"{origin(url)} answers ({answer.status})")


def _way(settings: Settings) -> Check:
    way = settings.sign_in
    if way is None:
        return Check(
            "way to sign in",
            FAILED,
            settings.no_sign_in or "none is configured",
            "Configure one of those in docs/sign-in.md, or run `pc-provider login`.",
        )
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type(way).__name__).strip()
    detail = f"{words.replace('app user', 'App+User')}, by {way.origin}"
    if isinstance(way, AppUser) and not way.command and way.file is None:
        return Check(
            "way to sign in",
            WARNING,
            f"{detail}; renewed refresh tokens are not stored",
            "Set partnercenter:refreshTokenCommand or refreshTokenFile, or the stored token dies 90 days after login.",
        )
    if isinstance(way, AccessToken) or isinstance(getattr(way, "source", None), OidcToken):
        return Check("way to sign in", WARNING, f"{detail}; it can't be renewed", "Prefer a way that renews itself.")
    return Check("way to sign in", OK, detail)


def _claims(settings: Settings, token: str) -> Iterator[Check]:
    said = claims(token)
    if not said:
        yield Check("token", WARNING, "it is not a JWT, so it says nothing of itself")
        return
    yield _audience(settings, said)
    yield _tenant(settings, said)
    yield from _identity(said)
    yield _expiry(said)


def _audience(settings: Settings, said: dict[str, Any]) -> Check:
    audience = printable(said.get("aud", ""), 120)
    wanted = settings.scope.removesuffix("/.default")
    if audience.rstrip("/").lower() in (wanted, PARTNER_CENTER_APP):
        return Check("audience", OK, audience)
    retired = " (retired: Partner Center answers 401, code 900420)" if audience in RETIRED_AUDIENCES else ""
    return Check(
        "audience",
        FAILED,
        f"{audience or 'none'}{retired}",
        f"The token must be for {wanted}. Check partnercenter:cloud, or where the access token comes from.",
    )


def _tenant(settings: Settings, said: dict[str, Any]) -> Check:
    tenant, wanted = printable(said.get("tid", ""), 80), settings.tenant_id
    if wanted is None or "." in wanted or tenant.lower() == wanted.lower():
        return Check("tenant", OK, tenant or "not said")
    return Check(
        "tenant",
        FAILED,
        f"{tenant or 'not said'}, and not {printable(wanted, 80)}",
        "Check partnercenter:tenantId: it must be the partner's tenant.",
    )


def _identity(said: dict[str, Any]) -> Iterator[Check]:
    app = printable(said.get("appid") or said.get("azp") or "", 80)
    is_app = said.get("idtyp") == "app" or ("scp" not in said and "upn" not in said)
    if is_app:
        yield Check("identity", OK, f"app {app}")
        roles = _words(said.get("roles"))
        yield Check(
            "roles",
            OK if roles else WARNING,
            ", ".join(roles) or "none",
            ""
            if roles
            else "If calls are refused with 403, add the app to Partner Center (Account settings > User management > "
            "App) and give it the GDAP roles that upgrades need.",
        )
        return
    person = printable(said.get("upn") or said.get("unique_name") or said.get("name") or said.get("oid") or "?", 120)
    yield Check("identity", OK, f"{person} by app {app}")
    scopes = _words(said.get("scp"))
    yield Check(
        "scopes",
        OK if scopes else FAILED,
        ", ".join(scopes) or "none",
        "" if scopes else "Give the app the delegated permission user_impersonation of the Partner Center API.",
    )
    mfa = "mfa" in _words(said.get("amr"))
    yield Check(
        "MFA",
        OK if mfa else FAILED,
        "done" if mfa else "the sign-in was made without it: Partner Center answers 401, code 900421",
        "" if mfa else "Require MFA for the account, then run `pc-provider login`.",
    )


def _expiry(said: dict[str, Any]) -> Check:
    expires = said.get("exp")
    if not isinstance(expires, int | float):
        return Check("expiry", WARNING, "not said")
    left = int(expires - time.time())
    if left <= 0:
        return Check("expiry", FAILED, f"expired {-left} s ago", "Check this machine's clock; get a new access token.")
    state = WARNING if left < SOON else OK
    return Check("expiry", state, f"in {left // 60} min {left % 60} s", "" if state == OK else "It ends very soon.")


def _call(settings: Settings, transport: Transport, token: str) -> Check:
    """The first customer of the list: the smallest call that a partner's identity may make."""
    request_id = str(uuid.uuid4())
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "MS-RequestId": request_id,
        "MS-CorrelationId": request_id,
        "MS-Contract-Version": "v1",
        "ValidateMfa": "true",
    }
    what = "Listing one customer"
    try:
        answer = transport.send(
            "GET", f"{settings.endpoint}/v1/customers?size=1", headers=headers, timeout=settings.request_timeout
        )
        answers.raise_for_status(answer, what)
    except PartnerCenterError as error:
        return Check("call", FAILED, f"{what}: {error.known}; request id {request_id}", error.remedy)
    # Said of a person's token; an app can't do MFA and is let in without.
    if "scp" in claims(token) and (answer.headers.get("isMfaCompliant") or "").lower() == "false":
        return Check("call", FAILED, f"{what}: Partner Center sees no MFA", "Run `pc-provider login` with MFA.")
    return Check("call", OK, f"{what}: answered {answer.status}")


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return printable(value, 300).split()
    return [printable(each, 80) for each in value[:20]] if isinstance(value, list) else []


def _show(rows: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    marks = {
        OK: ("ok", "green"),
        WARNING: ("warning", "yellow"),
        FAILED: ("failed", "red"),
        SKIPPED: ("skipped", "dim"),
    }
    table = Table(show_edge=False, pad_edge=False)
    for title in ("Check", "Result", "Detail", "What to do"):
        table.add_column(title, overflow="fold")
    for row in rows:
        mark, style = marks[row.state]
        # Text, not markup: what an answer says is never taken for a style.
        table.add_row(Text(row.check), Text(mark, style), Text(row.detail), Text(row.remedy))
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(table)
