"""
One question for a token, for each way to sign in.

msal builds and reads the requests; what it would cache is left out, because :class:`Credential` holds the one token.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from pc_provider.partner_center.credentials import Token
from pc_provider.partner_center.credentials.remedies import refused
from pc_provider.partner_center.credentials.ways import (
    AccessToken,
    ClientSecret,
    SignIn,
    SignInSettings,
)
from pc_provider.partner_center.credentials.web import Web
from pc_provider.partner_center.errors import SignInError
from pc_provider.partner_center.transport import Transport

__all__ = ["asker", "claims"]


def asker(way: SignIn, settings: SignInSettings, transport: Transport) -> Callable[[], Token]:
    """The function that asks for a token in this *way*; each call is a new request."""
    if isinstance(way, AccessToken):
        return _given(way)
    if isinstance(way, ClientSecret):
        return _App(way.tenant_id, way.client_id, way.secret, way.origin, settings, transport).for_client
    raise SignInError(f"{type(way).__name__} is not a way to sign in")


class _App:
    """A confidential client of msal, made with the first question."""

    def __init__(
        self, tenant_id: str, client_id: str, proof: Any, origin: str, settings: SignInSettings, transport: Transport
    ) -> None:
        self._tenant_id = tenant_id
        self._client_id = client_id
        self._proof = proof
        self._origin = origin
        self._scopes = [settings.scope]
        self._web = Web(transport, settings.authority, timeout=settings.request_timeout)
        self._msal: Any = None

    def for_client(self) -> Token:
        return token_of(self.app().acquire_token_for_client(self._scopes), origin=self._origin)

    def app(self) -> Any:
        if self._msal is None:
            import msal

            self._msal = msal.ConfidentialClientApplication(
                self._client_id,
                client_credential=self._proof,
                authority=f"{self._web.authority}/{self._tenant_id}",
                http_client=self._web,
                token_cache=no_cache(),
                instance_discovery=False,
            )
        return self._msal


def no_cache() -> Any:
    import msal

    class NoCache(msal.TokenCache):  # type: ignore[misc]
        def add(self, event: object, now: float | None = None) -> None:
            """Keeps nothing."""

    return NoCache()


def token_of(answer: Mapping[str, Any] | None, *, origin: str) -> Token:
    """The token in an answer of msal. Raises :class:`SignInError` for a refusal."""
    answer = answer or {}
    text, lifetime = answer.get("access_token"), answer.get("expires_in", 3600)
    if not text:
        raise refused(answer, origin=origin)
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or " " in text:
        raise SignInError("the sign-in service gave a token that can't be sent in a header")
    try:
        return Token(text, max(0.0, float(lifetime)))
    except (TypeError, ValueError):
        return Token(text, 3600.0)


def _given(way: AccessToken) -> Callable[[], Token]:
    asked = False

    def ask() -> Token:
        nonlocal asked
        expires = claims(way.token).get("exp")
        lifetime = float(expires) - time.time() if isinstance(expires, int | float) else float("inf")
        if lifetime <= 0 or asked:
            known = "has expired" if lifetime <= 0 else "was refused by Partner Center"
            raise SignInError(
                f"the configured access token {known}",
                remedy=f"Put a new one into {way.origin}; it can't be renewed here. "
                "`pc-provider doctor` shows what the token says of itself.",
            )
        asked = True
        return Token(way.token, lifetime)

    return ask


def claims(token: str) -> dict[str, Any]:
    """What *token* says of itself, unverified; empty for a token that is not a JWT."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
