"""
Microsoft Entra's sign-in, as far as Partner Center's clients use it: discovery, tokens and a person's consent.

Addresses in the discovery document begin with ``https`` also where the emulator listens without TLS: msal refuses any
other, and the client's transport sends them over plain http to a loopback emulator.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from pc_provider.emulator import consent, entra, issuer
from pc_provider.emulator.entra import Refusal
from pc_provider.emulator.exchange import Answer, Request, plain
from pc_provider.emulator.proofs import prove
from pc_provider.emulator.reports import stamp
from pc_provider.emulator.store import Store
from pc_provider.emulator.tokens import Tokens, base64url

Tree = dict[str, Any]

PARTNER_CENTER = "https://api.partnercenter.microsoft.com"
DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


class SignIn:
    """Answers the addresses below ``/{tenant}``, the page for device codes, and the machine's identity service."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self._grants: dict[str, Callable[[Request, Tree, dict[str, str]], Tree]] = {
            "client_credentials": self._client_credentials,
            "refresh_token": self._refresh_token,
            "authorization_code": self._authorization_code,
            DEVICE_CODE_GRANT: self._device_code,
            "device_code": self._device_code,
        }

    def handle(self, request: Request) -> Answer | None:
        """The answer; None for a path that is not the sign-in's."""
        parts = tuple(part.lower() for part in request.parts)
        below = parts[1:]
        try:
            if parts == ("common", "discovery", "instance"):
                return self._instances(request)
            if parts == ("metadata", "identity", "oauth2", "token"):
                return self._listed(request, "managed_identity", request.query, self._managed_identity)
            if parts == ("devicelogin",):
                return consent.device_login(self._store, request)
            if below in (("v2.0", ".well-known", "openid-configuration"), (".well-known", "openid-configuration")):
                return self._discovery(request, parts[0])
            if below == ("discovery", "v2.0", "keys"):
                return plain(200, {"keys": []})
            if below in (("oauth2", "v2.0", "authorize"), ("oauth2", "authorize")):
                return consent.authorize(self._store, request, parts[0])
            if below in (("oauth2", "v2.0", "devicecode"), ("oauth2", "devicecode")):
                return consent.device_code(self._store, request, parts[0])
            if below in (("oauth2", "v2.0", "token"), ("oauth2", "token")):
                form = request.form()
                return self._listed(request, form.get("grant_type", ""), form, self._token)
        except Refusal as refusal:
            return refusal.answer()
        return None

    # Discovery

    def _instances(self, request: Request) -> Answer:
        metadata = [{"preferred_network": request.host, "preferred_cache": request.host, "aliases": [request.host]}]
        return plain(
            200,
            {
                "tenant_discovery_endpoint": f"https://{request.host}/common/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": metadata,
            },
        )

    def _discovery(self, request: Request, tenant: str) -> Answer:
        entra.known_tenant(self._store, tenant)
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
                "id_token_signing_alg_values_supported": ["HS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "cloud_instance_name": request.host,
            },
        )

    # Tokens

    def _listed(
        self, request: Request, way: str, fields: dict[str, str], answer: Callable[[Request, dict[str, str]], Answer]
    ) -> Answer:
        """Lists the request under ``/_emulator/sign-ins``, without its secrets."""
        number = 0
        try:
            result = answer(request, fields)
        except Refusal as refusal:
            number, result = refusal.number, refusal.answer()
        self._store.run(
            "INSERT INTO sign_ins (time, path, client, way, scope, status, error) VALUES (?, ?, ?, ?, ?, ?, ?)",
            request.arrived,
            request.path,
            fields.get("client_id", "")[:100],
            way[:200],
            (fields.get("scope") or fields.get("resource") or "")[:500],
            result.status,
            f"AADSTS{number}" if number else "",
        )
        return result

    def _managed_identity(self, request: Request, fields: dict[str, str]) -> Answer:
        return issuer.managed_identity(self._store, self._tokens, request)

    def _token(self, request: Request, form: dict[str, str]) -> Answer:
        if request.method != "POST":
            raise Refusal(400, "invalid_request", 900561, "The endpoint only accepts POST requests.")
        way = form.get("grant_type", "")
        grant = self._grants.get(way)
        if grant is None:
            raise Refusal(400, "unsupported_grant_type", 70003, f"The grant type '{way[:100]}' is not supported.")
        if not form.get("client_id"):
            raise entra.missing("client_id")
        application = entra.find_application(self._store, request.parts[0].lower(), form["client_id"])
        return plain(200, grant(request, application, form), NO_STORE)

    def _client_credentials(self, request: Request, application: Tree, form: dict[str, str]) -> Tree:
        proof = prove(self._store, request, application, form)
        audience = entra.audience_of(request, form, default_only=True)
        if audience is None:
            raise entra.missing("scope")
        return self._answer(issuer.app_claims(application, audience, proof))

    def _answer(self, claims: Tree) -> Tree:
        lifetime = self._tokens.rules["tokenLifetime"]
        return {
            "token_type": "Bearer",
            "expires_in": int(lifetime),
            "ext_expires_in": int(lifetime),
            "access_token": self._tokens.issue(claims, lifetime),
        }

    def _proof_if_any(self, request: Request, application: Tree, form: dict[str, str]) -> str:
        """A registration that is a public client too may do without a proof."""
        if "client_secret" in form or "client_assertion" in form or not application.get("publicClient", True):
            return prove(self._store, request, application, form)
        return "0"

    def _refresh_token(self, request: Request, application: Tree, form: dict[str, str]) -> Tree:
        proof = self._proof_if_any(request, application, form)
        value = form.get("refresh_token", "")
        known = entra.grant(self._store, value, "refresh_token")
        if known is None and value and application.get("open"):
            known = float("inf"), {"clientId": application["clientId"]}
        if known is None:
            raise Refusal(400, "invalid_grant", 9002313, "Invalid request. The refresh token is malformed or invalid.")
        expires, document = known
        if document["clientId"].lower() != application["clientId"].lower():
            raise Refusal(400, "invalid_grant", 700003, "The refresh token was issued to another application.")
        if expires <= request.arrived:
            raise Refusal(
                400,
                "invalid_grant",
                700082,
                "The refresh token has expired due to inactivity. The token was issued on"
                f" {stamp(document.get('issued', expires))} and was inactive for 90.00:00:00.",
            )
        if application.get("revokeUsedRefreshTokens"):
            entra.drop_grant(self._store, value)
        return self._for_user(request, application, form, document, proof)

    def _authorization_code(self, request: Request, application: Tree, form: dict[str, str]) -> Tree:
        proof = self._proof_if_any(request, application, form)
        value = form.get("code", "")
        known = entra.grant(self._store, value, "code")
        if known is None or known[1]["clientId"].lower() != application["clientId"].lower():
            raise Refusal(400, "invalid_grant", 9002313, "Invalid request. The authorization code is invalid.")
        entra.drop_grant(self._store, value)
        expires, document = known
        if expires <= request.arrived:
            raise Refusal(400, "invalid_grant", 70008, "The provided authorization code has expired.")
        if form.get("redirect_uri") != document["redirectUri"]:
            raise Refusal(
                400, "invalid_grant", 500112, "The redirect URI does not match the one of the authorization request."
            )
        challenge = document.get("challenge")
        if challenge is not None:
            digest = base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
            if digest != challenge:
                raise Refusal(
                    400,
                    "invalid_grant",
                    501481,
                    "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
                )
        elif proof == "0":
            raise Refusal(400, "invalid_grant", 9002327, "A public client must use Proof Key for Code Exchange.")
        return self._for_user(request, application, {"scope": document["scope"], **form}, document, proof)

    def _device_code(self, request: Request, application: Tree, form: dict[str, str]) -> Tree:
        value = form.get("device_code") or form.get("code") or ""
        known = entra.grant(self._store, value, "device_code")
        if known is None:
            raise Refusal(400, "bad_verification_code", 70018, "The device code is not known.")
        expires, document = known
        if expires <= request.arrived:
            raise Refusal(400, "expired_token", 70019, "The verification code expired.")
        if document["answer"] == "deny":
            raise Refusal(400, "authorization_declined", 65004, "The user declined to consent to access the app.")
        if document["answer"] != "approve":
            raise Refusal(
                400,
                "authorization_pending",
                70016,
                "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
            )
        entra.drop_grant(self._store, value)
        return self._for_user(request, application, {"scope": document["scope"], **form}, document, "0")

    def _for_user(self, request: Request, application: Tree, form: dict[str, str], document: Tree, proof: str) -> Tree:
        """The answer for an app on behalf of a person, with a new refresh token."""
        audience = entra.audience_of(request, form) or document.get("audience") or PARTNER_CENTER
        mfa = bool(document.get("mfa", application.get("mfa", True)))
        oid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"admin@{application['tenantId']}"))
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{application['tenantId']}/",
            "amr": ["pwd", "mfa"] if mfa else ["pwd"],
            "appid": application["clientId"],
            "appidacr": proof,
            "idtyp": "user",
            "name": "Emulator Admin",
            "oid": oid,
            "scp": "user_impersonation",
            "sub": oid,
            "tid": application["tenantId"],
            "upn": "admin@emulator.onmicrosoft.com",
        }
        answer = self._answer(claims)
        answer["scope"] = f"{audience}/user_impersonation {audience}/.default"
        refresh = "0." + secrets.token_urlsafe(48)
        entra.keep_grant(
            self._store,
            refresh,
            "refresh_token",
            time.time() + self._tokens.rules["refreshTokenLifetime"],
            {
                "clientId": application["clientId"],
                "tenantId": application["tenantId"],
                "mfa": mfa,
                "audience": audience,
                "issued": time.time(),
            },
        )
        answer["refresh_token"] = refresh
        answer["id_token"] = self._tokens.issue(
            {
                **{name: claims[name] for name in ("name", "oid", "sub", "tid", "upn")},
                "aud": application["clientId"],
                "iss": f"https://{request.host}/{application['tenantId']}/v2.0",
                "preferred_username": claims["upn"],
                **({"nonce": document["nonce"]} if document.get("nonce") else {}),
            },
            self._tokens.rules["tokenLifetime"],
        )
        if form.get("client_info"):
            info = msgspec.json.encode({"uid": oid, "utid": application["tenantId"]})
            answer["client_info"] = base64.urlsafe_b64encode(info).rstrip(b"=").decode()
        return answer
