"""
Microsoft Entra's sign-in, as far as Partner Center's clients use it: discovery and the token endpoint.

Addresses in the discovery document begin with ``https`` also where the emulator listens without TLS: msal refuses any
other, and the client's transport sends them over plain http to a loopback emulator.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from pc_provider.emulator import registration
from pc_provider.emulator.exchange import Answer, Request, plain
from pc_provider.emulator.store import Store, decode, encode
from pc_provider.emulator.tokens import API_AUDIENCES, OTHER_AUDIENCES, RETIRED_AUDIENCES, Tokens, own_audience

Tree = dict[str, Any]

ANY_TENANT = ("common", "organizations")
NO_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})


class Refusal(Exception):
    """An error of Entra: HTTP status, OAuth error, its number and text."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.number = number
        self.text = text

    def answer(self) -> Answer:
        now = datetime.now(timezone.utc)
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        stamp = now.strftime("%Y-%m-%d %H:%M:%SZ")
        numbered = f"AADSTS{self.number}: {self.text}" if self.number else self.text
        description = f"{numbered} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
        return plain(
            self.status,
            {
                "error": self.error,
                "error_description": description,
                "error_codes": [self.number] if self.number else [],
                "timestamp": stamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
            },
            (("Cache-Control", "no-store"),),
        )


def seed(store: Store) -> None:
    """The registrations of the first state; call inside a transaction."""
    add_application(
        store,
        {
            "tenantId": registration.TENANT_ID,
            "clientId": registration.CLIENT_ID,
            "clientSecrets": [registration.CLIENT_SECRET],
        },
    )


def add_application(store: Store, document: Tree) -> None:
    store.run(
        "INSERT OR REPLACE INTO applications VALUES (?, ?, ?)",
        document["clientId"].lower(),
        document["tenantId"].lower(),
        encode(document),
    )


class SignIn:
    """Answers the addresses below ``/{tenant}``."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self._grants: dict[str, Callable[[Request, Tree, dict[str, str]], Tree]] = {
            "client_credentials": self._client_credentials,
        }

    def handle(self, request: Request) -> Answer | None:
        """The answer; None for a path that is not the sign-in's."""
        parts = tuple(part.lower() for part in request.parts)
        try:
            if parts == ("common", "discovery", "instance"):
                return self._instances(request)
            if parts[1:] in (
                ("v2.0", ".well-known", "openid-configuration"),
                (".well-known", "openid-configuration"),
            ):
                return self._discovery(request, parts[0])
            if parts[1:] in (("oauth2", "v2.0", "token"), ("oauth2", "token")):
                return self._token(request, parts[0])
        except Refusal as refusal:
            return refusal.answer()
        return None

    def _instances(self, request: Request) -> Answer:
        base = f"https://{request.host}"
        metadata = [{"preferred_network": request.host, "preferred_cache": request.host, "aliases": [request.host]}]
        return plain(
            200,
            {
                "tenant_discovery_endpoint": f"{base}/common/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": metadata,
            },
        )

    def _discovery(self, request: Request, tenant: str) -> Answer:
        self._known_tenant(tenant)
        base = f"https://{request.host}/{tenant}"
        return plain(
            200,
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_modes_supported": ["query", "form_post"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "tenant_region_scope": None,
                "cloud_instance_name": request.host,
            },
        )

    def _known_tenant(self, tenant: str) -> None:
        if tenant in ANY_TENANT:
            return
        if self._store.row("SELECT 1 FROM applications WHERE tenant = ?", tenant) is None:
            raise Refusal(
                400,
                "invalid_tenant",
                90002,
                f"Tenant '{tenant[:100]}' not found. Check to make sure you have the correct tenant ID"
                " and are signing into the correct cloud.",
            )

    def _application(self, tenant: str, client: str) -> Tree:
        self._known_tenant(tenant)
        statement = "SELECT document FROM applications WHERE client = ?"
        if tenant in ANY_TENANT:
            row = self._store.row(statement, client.lower())
        else:
            row = self._store.row(f"{statement} AND tenant = ?", client.lower(), tenant)
        if row is None:
            raise Refusal(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client[:100]}' was not found in the directory '{tenant}'.",
            )
        document: Tree = decode(row[0])
        return document

    def _token(self, request: Request, tenant: str) -> Answer:
        """The token endpoint; each request is listed under ``/_emulator/sign-ins``, without its secrets."""
        form = request.form()
        way = form.get("grant_type", "")
        answer: Answer
        try:
            if request.method != "POST":
                raise Refusal(400, "invalid_request", 900561, "The endpoint only accepts POST requests.")
            grant = self._grants.get(way)
            if grant is None:
                raise Refusal(400, "unsupported_grant_type", 70003, f"The grant type '{way[:100]}' is not supported.")
            if not form.get("client_id"):
                raise Refusal(
                    400, "invalid_request", 900144, "The request body must contain the parameter 'client_id'."
                )
            application = self._application(tenant, form["client_id"])
            tree = grant(request, application, form)
            answer = plain(200, tree, (("Cache-Control", "no-store"), ("Pragma", "no-cache")))
            self._list(request, form, way, 200, "")
        except Refusal as refusal:
            answer = refusal.answer()
            self._list(request, form, way, refusal.status, f"AADSTS{refusal.number}")
        return answer

    def _list(self, request: Request, form: dict[str, str], way: str, status: int, error: str) -> None:
        scope = form.get("scope") or form.get("resource") or ""
        self._store.run(
            "INSERT INTO sign_ins (time, path, client, way, scope, status, error) VALUES (?, ?, ?, ?, ?, ?, ?)",
            request.arrived,
            request.path,
            form.get("client_id", "")[:100],
            way[:200],
            scope[:500],
            status,
            error,
        )

    def _client_credentials(self, request: Request, application: Tree, form: dict[str, str]) -> Tree:
        self._prove(request, application, form)
        audience = audience_of(request, form, default_only=True)
        lifetime = self._tokens.rules["tokenLifetime"]
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{application['tenantId']}/",
            "appid": application["clientId"],
            "appidacr": "1",
            "idtyp": "app",
            "oid": str(uuid.uuid5(uuid.NAMESPACE_URL, application["clientId"])),
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, application["clientId"])),
            "tid": application["tenantId"],
            "roles": application.get("roles", []),
        }
        return {
            "token_type": "Bearer",
            "expires_in": int(lifetime),
            "ext_expires_in": int(lifetime),
            "access_token": self._tokens.issue(claims, lifetime),
        }

    def _prove(self, request: Request, application: Tree, form: dict[str, str]) -> None:
        """The client's proof of identity. Raises Refusal."""
        secret = form.get("client_secret")
        if not secret:
            raise Refusal(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        if secret not in application.get("clientSecrets", ()):
            raise Refusal(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret"
                f" value, not the client secret ID, for a secret added to app '{application['clientId']}'.",
            )


def audience_of(request: Request, form: dict[str, str], *, default_only: bool = False) -> str:
    """The one resource that the scopes (or the older parameter ``resource``) ask for. Raises Refusal."""
    scopes = [scope for scope in form.get("scope", "").split() if scope.lower() not in NO_SCOPES]
    if form.get("resource"):
        scopes = [form["resource"].rstrip("/") + "/.default"]
    if not scopes:
        raise Refusal(400, "invalid_request", 900144, "The request body must contain the following parameter: 'scope'.")
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
    if resource not in API_AUDIENCES | RETIRED_AUDIENCES | OTHER_AUDIENCES and not own_audience(resource, request):
        raise Refusal(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {resource[:200]} was not found in the tenant.",
        )
    return resource


def sign_ins(store: Store) -> list[Tree]:
    """Every request to the token endpoint, in order, without secrets."""
    rows = store.rows("SELECT time, path, client, way, scope, status, error FROM sign_ins ORDER BY time, seq")
    return [
        {
            "time": datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z"),
            "path": path,
            "clientId": client,
            "grantType": way,
            "scope": scope,
            "status": status,
            "error": error,
        }
        for moment, path, client, way, scope, status, error in rows
    ]


__all__ = ["Refusal", "SignIn", "add_application", "audience_of", "seed", "sign_ins"]
