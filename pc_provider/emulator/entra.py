"""What Microsoft Entra refuses, and the registrations it knows."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

from pc_provider.emulator import registration
from pc_provider.emulator.documents import Refused, is_guid
from pc_provider.emulator.exchange import Answer, Request, plain
from pc_provider.emulator.store import Store, decode, encode
from pc_provider.emulator.tokens import API_AUDIENCES, OTHER_AUDIENCES, RETIRED_AUDIENCES, own_audience, rules

Tree = dict[str, Any]

ANY_TENANT = ("common", "organizations")
NO_RESOURCE = frozenset({"openid", "profile", "offline_access", "email"})

REFUSALS: dict[int, tuple[int, str, str]] = {
    16000: (400, "interaction_required", "Either multiple user identities are available or none is signed in."),
    50034: (400, "invalid_grant", "The user account does not exist in the directory."),
    50057: (400, "invalid_grant", "The user account is disabled."),
    50076: (
        400,
        "invalid_grant",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must"
        " use multi-factor authentication to access the resource.",
    ),
    50078: (
        400,
        "invalid_grant",
        "Presented multi-factor authentication has expired due to policies configured by your administrator, you must"
        " refresh your multi-factor authentication to access the resource.",
    ),
    50079: (400, "invalid_grant", "You must enroll in multi-factor authentication to access the resource."),
    50173: (
        400,
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
    ),
    53003: (400, "invalid_grant", "Access has been blocked by Conditional Access policies."),
    65001: (
        400,
        "invalid_grant",
        "The user or administrator has not consented to use the application. Send an interactive authorization"
        " request for this user and resource.",
    ),
    90002: (400, "invalid_tenant", "Tenant not found."),
    700016: (400, "unauthorized_client", "The application was not found in the directory."),
    700082: (400, "invalid_grant", "The refresh token has expired due to inactivity."),
    7000215: (401, "invalid_client", "Invalid client secret provided."),
    7000218: (401, "invalid_client", "The request body must contain 'client_assertion' or 'client_secret'."),
    7000222: (401, "invalid_client", "The provided client secret keys for the app are expired."),
}
"""Status, OAuth error and text by Entra's number, for a registration that is told to refuse."""


class Refusal(Exception):
    """An error of Entra: HTTP status, OAuth error, its number (``AADSTS…``; 0 for none) and text."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.number = number
        self.text = text

    def answer(self) -> Answer:
        stamp = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        numbered = f"AADSTS{self.number}: {self.text}" if self.number else self.text
        return plain(
            self.status,
            {
                "error": self.error,
                "error_description": f"{numbered} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
                "error_codes": [self.number] if self.number else [],
                "timestamp": stamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
            },
            (("Cache-Control", "no-store"),),
        )


def seed(store: Store, now: float) -> None:
    """The registration of the first state; call inside a transaction."""
    add_application(
        store,
        {
            "tenantId": registration.TENANT_ID,
            "clientId": registration.CLIENT_ID,
            "clientSecrets": [registration.CLIENT_SECRET],
            "federatedCredentials": [
                {"issuer": GITHUB_ISSUER, "subject": GITHUB_SUBJECT},
                {"issuer": AZURE_DEVOPS_ISSUER, "subject": AZURE_DEVOPS_SUBJECT},
            ],
        },
    )
    keep_grant(
        store,
        registration.REFRESH_TOKEN,
        "refresh_token",
        now + 90 * 86400,
        {"clientId": registration.CLIENT_ID, "tenantId": registration.TENANT_ID, "mfa": True},
    )


GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
GITHUB_SUBJECT = "repo:contoso/partner-center:ref:refs/heads/main"
AZURE_DEVOPS_ISSUER = "https://vstoken.dev.azure.com/7f1d3c2e-0a4b-4f5d-9c6e-1b2a3d4c5e6f"
AZURE_DEVOPS_SUBJECT = "sc://contoso/upgrades/partner-center"
FEDERATION_AUDIENCES = (
    "api://AzureADTokenExchange",
    "api://AzureADTokenExchangeUSGov",
    "api://AzureADTokenExchangeChina",
)

_TEXTS = ("clientSecrets", "expiredSecrets", "certificates", "roles", "redirectUris")
_FLAGS = {"mfa": True, "publicClient": True, "managedIdentity": False, "revokeUsedRefreshTokens": False}


def application(told: object) -> Tree:
    """A registration as it is kept, from what was told. Raises Refused."""
    if not isinstance(told, dict):
        raise Refused("an application must be an object")
    document: Tree = {}
    for name, default in (("tenantId", registration.TENANT_ID), ("clientId", str(uuid.uuid4()))):
        value = told.get(name, default)
        if not is_guid(value):
            raise Refused(f"{name} must be a GUID")
        document[name] = value
    for name, value in told.items():
        if name in _TEXTS:
            if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
                raise Refused(f"{name} must be a list of texts")
            document[name] = value
        elif name in _FLAGS:
            if not isinstance(value, bool):
                raise Refused(f"{name} must be true or false")
            document[name] = value
        elif name == "refuse":
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise Refused("refuse must be the number of an Entra error")
            document[name] = value
        elif name == "federatedCredentials":
            document[name] = [_federated(entry) for entry in value] if isinstance(value, list) else _federated(value)
        elif name not in document:
            known = ("tenantId", "clientId", *_TEXTS, *_FLAGS, "refuse", "federatedCredentials")
            raise Refused(f"unknown: {str(name)[:100]}; known: {', '.join(known)}")
    return document


def _federated(told: object) -> Tree:
    if not isinstance(told, dict) or not all(
        isinstance(value, str) and name in ("issuer", "subject", "audience", "publicKey")
        for name, value in told.items()
    ):
        raise Refused("a federated credential has issuer, subject, audience and publicKey (PEM), all texts")
    if "issuer" not in told or "subject" not in told:
        raise Refused("a federated credential needs issuer and subject")
    return told


def add_application(store: Store, document: Tree) -> None:
    store.run(
        "INSERT OR REPLACE INTO applications VALUES (?, ?, ?)",
        document["clientId"].lower(),
        document["tenantId"].lower(),
        encode(document),
    )


def is_open(store: Store, tenant: str) -> bool:
    """
    Whether the tenant lets every application in, whatever it proves itself by.

    That is so in each that no registration names, so that a configuration made for the real service runs unchanged.
    """
    return (
        is_guid(tenant)
        and store.row("SELECT 1 FROM applications WHERE tenant = ?", tenant) is None
        and bool(rules(store)["openTenants"])
    )


def known_tenant(store: Store, tenant: str) -> None:
    if (
        tenant not in ANY_TENANT
        and store.row("SELECT 1 FROM applications WHERE tenant = ?", tenant) is None
        and not is_open(store, tenant)
    ):
        raise Refusal(
            400,
            "invalid_tenant",
            90002,
            f"Tenant '{tenant[:100]}' not found. Check to make sure you have the correct tenant ID and are signing"
            " into the correct cloud.",
        )


def find_application(store: Store, tenant: str, client: str) -> Tree:
    """The registration of *client* in *tenant* (lower case). Raises Refusal, also where the registration is told to."""
    known_tenant(store, tenant)
    statement = "SELECT document FROM applications WHERE client = ?"
    if tenant in ANY_TENANT:
        row = store.row(statement, client.lower())
    else:
        row = store.row(f"{statement} AND tenant = ?", client.lower(), tenant)
    if row is None and client and is_open(store, tenant):
        return {"tenantId": tenant, "clientId": client[:100], "open": True}
    if row is None:
        raise Refusal(
            400,
            "unauthorized_client",
            700016,
            f"Application with identifier '{client[:100]}' was not found in the directory '{tenant}'.",
        )
    document: Tree = decode(row[0])
    if document.get("refuse"):
        status, error, text = REFUSALS.get(document["refuse"], (400, "invalid_grant", "The sign-in was refused."))
        raise Refusal(status, error, document["refuse"], text)
    return document


def keep_grant(store: Store, value: str, kind: str, expires: float, document: Tree) -> None:
    store.run("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)", value, kind, expires, encode(document))


def grant(store: Store, value: str, kind: str) -> tuple[float, Tree] | None:
    """When a code or refresh token expires, and what it stands for; None if it was never given out."""
    row = store.row("SELECT expires, document FROM grants WHERE value = ? AND kind = ?", value, kind)
    return (row[0], decode(row[1])) if row else None


def drop_grant(store: Store, value: str) -> None:
    store.run("DELETE FROM grants WHERE value = ?", value)


def missing(name: str) -> Refusal:
    return Refusal(400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'.")


def audience_of(request: Request, form: dict[str, str], *, default_only: bool = False) -> str | None:
    """
    The one resource that the scopes (or the older parameter ``resource``) ask for; None if they name none.

    *default_only*: an app on its own may ask for ``/.default`` only. Raises Refusal.
    """
    scopes = [scope for scope in form.get("scope", "").split() if scope.lower() not in NO_RESOURCE]
    if form.get("resource"):
        scopes = [form["resource"].rstrip("/") + "/.default"]
    if not scopes:
        return None
    if default_only and not all(scope.endswith("/.default") for scope in scopes):
        raise Refusal(
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {' '.join(scopes)[:200]} is not valid. Client credential flows must have a"
            " scope value with /.default suffixed to the resource identifier (application ID URI).",
        )
    resources = {scope.rpartition("/")[0].rstrip("/") for scope in scopes}
    if len(resources) > 1:
        raise Refusal(400, "invalid_scope", 28000, "The scopes name more than one resource.")
    resource = resources.pop()
    return known_resource(request, resource)


def known_resource(request: Request, resource: str) -> str:
    """*resource* itself. Raises Refusal for one Entra would not know."""
    known = API_AUDIENCES | RETIRED_AUDIENCES | OTHER_AUDIENCES
    if resource not in known and not own_audience(resource, request):
        raise Refusal(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {resource[:200]} was not found in the tenant.",
        )
    return resource
