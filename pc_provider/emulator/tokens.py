"""
The access tokens the emulator gives out, and what Partner Center demands of a token.

They are JSON Web Tokens with the claims that Microsoft Entra writes, signed with a key of the state file (HS256): real
enough to be read by tools, good at this emulator and nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from typing import Any, NamedTuple

import msgspec

from pc_provider.emulator.documents import Refused
from pc_provider.emulator.exchange import Fault, Request
from pc_provider.emulator.registration import STATIC_TOKEN
from pc_provider.emulator.store import Store, decode, encode

Tree = dict[str, Any]

API_AUDIENCES = frozenset({
    "https://api.partnercenter.microsoft.com",
    "https://partner.partnercenterapi.microsoftonline.cn",
    "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd",
})  # fmt: skip
"""Partner Center's API in the global and the Chinese cloud, and its application id in Entra."""
RETIRED_AUDIENCES = frozenset({"https://graph.windows.net", "00000002-0000-0000-c000-000000000000"})
OTHER_AUDIENCES = frozenset({"https://graph.microsoft.com", "https://management.azure.com"})
"""Audiences for which Entra gives tokens too, and which Partner Center refuses."""

RULES: dict[str, Any] = {
    "tokenLifetime": 3599,
    "refreshTokenLifetime": 90 * 86400,
    "appOnly": True,
    "requireMfa": True,
    "acceptStaticToken": True,
    "openTenants": True,
    "generation": 0,
}
"""
What ``POST /_emulator/sign-in`` changes: seconds, whether app-only tokens and ``emulator`` are let in, whether users
need MFA, and whether a tenant without a registration lets every application in.
"""


class Caller(NamedTuple):
    """Whose token it is; *user* None for an app on its own."""

    user: str | None
    mfa: bool


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def rules(store: Store) -> Tree:
    """The rules in force."""
    text = store.fact("signIn")
    return {**RULES, **decode(text)} if text else RULES


class Tokens:
    """Gives out and checks tokens, by the key and the rules in the state file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.transaction():
            if store.fact("tokenKey") is None:
                store.set_fact("tokenKey", secrets.token_hex(32))
        self._key = bytes.fromhex(store.fact("tokenKey") or "")
        self._seen: dict[str, Tree] = {}

    @property
    def rules(self) -> Tree:
        return rules(self._store)

    def change_rules(self, told: object) -> None:
        """Takes fields of :data:`RULES`; ``revoke: true`` ends every token given out so far. Raises Refused."""
        if not isinstance(told, dict):
            raise Refused("sign-in rules must be an object")
        with self._store.transaction():
            changed = dict(self.rules)
            for name, value in told.items():
                if name == "revoke":
                    changed["generation"] += 1 if value else 0
                elif name not in RULES or name == "generation":
                    raise Refused(f"unknown: {str(name)[:100]}; known: {', '.join(RULES)}, revoke")
                elif isinstance(RULES[name], bool) != isinstance(value, bool):
                    raise Refused(f"{name} must be {'true or false' if isinstance(RULES[name], bool) else 'seconds'}")
                elif not isinstance(value, bool) and (
                    not isinstance(value, (int, float)) or not 0 <= value <= 10 * 365 * 86400
                ):
                    raise Refused(f"{name} must be a number of seconds")
                else:
                    changed[name] = value
            self._store.set_fact("signIn", encode(changed))

    def issue(self, claims: Tree, lifetime: float) -> str:
        """A token that is good for *lifetime* seconds."""
        now = time.time()
        payload = {
            **claims,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + lifetime),
            "ver": "1.0",
            "uti": base64url(uuid.uuid4().bytes),
            "generation": self.rules["generation"],
        }
        head = base64url(b'{"typ":"JWT","alg":"HS256","kid":"emulator"}')
        body = base64url(msgspec.json.encode(payload))
        return f"{head}.{body}.{self._sign(f'{head}.{body}')}"

    def _sign(self, text: str) -> str:
        return base64url(hmac.new(self._key, text.encode(), hashlib.sha256).digest())

    def claims(self, token: str) -> Tree | None:
        """The claims of a token of this emulator, which may have expired; None for any other text."""
        known = self._seen.get(token)
        if known is not None:
            return known
        body, _, signature = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(self._sign(body), signature):
            return None
        try:
            claims = decode(_from_base64url(body.partition(".")[2]))
        except ValueError:
            return None
        if len(self._seen) > 1000:
            self._seen.clear()
        self._seen[token] = claims
        return claims if isinstance(claims, dict) else None

    def check(self, request: Request) -> Caller:
        """Whose token the request carries. Raises Fault as Partner Center refuses it."""
        demanded = self.rules
        token = request.bearer
        if not token:
            raise _unauthorized(800001, "Partner Token missing in request context")
        if token == STATIC_TOKEN and demanded["acceptStaticToken"]:
            return Caller(user="emulator", mfa=True)
        claims = self.claims(token)
        if claims is None:
            raise _unauthorized(400, "Access denied: the access token is not valid")
        audience = str(claims.get("aud", "")).rstrip("/")
        if audience in RETIRED_AUDIENCES:
            raise _unauthorized(
                900420,
                "Azure AD Graph tokens are retired: request a token for https://api.partnercenter.microsoft.com",
            )
        if audience not in API_AUDIENCES and not own_audience(audience, request):
            raise _unauthorized(400, "Access denied: the access token is for another audience")
        if claims["exp"] <= request.arrived:
            raise _unauthorized(400, "Access denied: the access token has expired")
        if claims.get("generation") != demanded["generation"]:
            raise _unauthorized(400, "Access denied: the access token was revoked")
        user = claims.get("oid") if claims.get("idtyp") == "user" else None
        mfa = "mfa" in claims.get("amr", ())
        if user is None and not demanded["appOnly"]:
            raise Fault(403, 900329, "This resource does not support application-only authentication.")
        if user is not None and not mfa and demanded["requireMfa"]:
            raise _unauthorized(900421, "MFA required: the access token has no claim of a multi-factor sign-in")
        return Caller(user=user, mfa=mfa)


def own_audience(audience: str, request: Request) -> bool:
    """Whether the audience is this emulator's own address, which clients with a custom endpoint may ask for."""
    return audience in (f"https://{request.host}", f"http://{request.host}")


def _unauthorized(code: int, description: str) -> Fault:
    realm = ("WWW-Authenticate", "OAuth realm=urn:cpsvc:cpid:emulator")
    return Fault(401, code, description, headers=(realm,))
