"""
One question for a token, for each way to sign in.

msal builds and reads the requests; what it would cache is left out, because :class:`Credential` holds the one token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pc_provider.partner_center.credentials.remedies import refused
from pc_provider.partner_center.credentials.token import RefreshTokens, Token, claims
from pc_provider.partner_center.credentials.ways import (
    AccessToken,
    AppUser,
    ClientCertificate,
    ClientSecret,
    ManagedIdentity,
    SignIn,
    SignInSettings,
    WorkloadIdentity,
)
from pc_provider.partner_center.credentials.web import Web
from pc_provider.partner_center.errors import PartnerCenterError, SignInError
from pc_provider.partner_center.transport import Transport

__all__ = ["App", "asker"]

# Seconds for one request of a sign-in, whatever an upgrade may take: the others wait for it.
LONGEST = 30.0


def asker(
    way: SignIn, settings: SignInSettings, transport: Transport, refresh_tokens: RefreshTokens
) -> Callable[[], Token]:
    """The function that asks for a token in this *way*; each call is a new request."""
    if isinstance(way, AccessToken):
        return _given(way)
    if isinstance(way, ManagedIdentity):
        return _managed_identity(way, settings, transport)
    if isinstance(way, AppUser):
        return _app_user(way, settings, transport, refresh_tokens)
    return App(way.tenant_id, way.client_id, way, settings, transport).for_client


class App:
    """
    An app registration as msal sees it; made, and its authority looked up, with the first question.

    *proof* is None for a public client.
    """

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        proof: ClientSecret | ClientCertificate | WorkloadIdentity | None,
        settings: SignInSettings,
        transport: Transport,
    ) -> None:
        self._tenant_id = tenant_id
        self._client_id = client_id
        self._proof = proof
        self._transport = transport
        self._timeout = min(LONGEST, settings.request_timeout)
        self._msal: Any = None
        self.scopes = [settings.scope]
        self.web = Web(transport, settings.authority, timeout=self._timeout)
        self.origin = proof.origin if proof is not None else "partnercenter:clientId"

    def for_client(self) -> Token:
        """A token for the app itself."""
        return token_of(self.ask("acquire_token_for_client", self.scopes), origin=self.origin)

    def ask(self, method: str, *arguments: Any, **named: Any) -> dict[str, Any]:
        """What msal's *method* answers. Raises :class:`SignInError`, also for an answer that msal stumbles over."""
        application = self.msal
        try:
            answer = getattr(application, method)(*arguments, **named)
        except PartnerCenterError:
            raise
        except Exception as error:  # noqa: BLE001 - msal takes the answer's shape for granted
            raise SignInError(
                f"the answer of the sign-in service can't be read ({type(error).__name__})",
                remedy="Check partnercenter:authority, and whether a proxy answers in its place.",
            ) from None
        return answer if isinstance(answer, dict) else {}

    @property
    def msal(self) -> Any:
        """msal's client application. Raises :class:`SignInError` when the tenant can't be found."""
        if self._msal is None:
            import msal

            arguments: dict[str, Any] = {
                "authority": f"{self.web.authority}/{self._tenant_id}",
                "http_client": self.web,
                "token_cache": _no_cache(),
                "instance_discovery": False,
            }
            try:
                if self._proof is None:
                    self._msal = msal.PublicClientApplication(self._client_id, **arguments)
                else:
                    self._msal = msal.ConfidentialClientApplication(
                        self._client_id, client_credential=self._client_credential(self._proof), **arguments
                    )
            except PartnerCenterError:
                raise
            except Exception:  # noqa: BLE001 - the discovery document can have any shape
                raise SignInError(
                    "the authority's own description of its addresses can't be used",
                    remedy="Check partnercenter:authority, and whether a proxy answers in its place.",
                ) from None
        return self._msal

    def _client_credential(self, proof: ClientSecret | ClientCertificate | WorkloadIdentity) -> Any:
        if isinstance(proof, ClientSecret):
            return proof.secret
        if isinstance(proof, ClientCertificate):
            from pc_provider.partner_center.credentials.certificate import read

            key, certificate = read(proof)
            return {"private_key": key, "public_certificate": certificate}
        from pc_provider.partner_center.credentials.federation import assertion

        return {"client_assertion": assertion(proof, self._transport, self._timeout)}


def _no_cache() -> Any:
    import msal

    class NoCache(msal.TokenCache):  # type: ignore[misc]
        def add(self, event: object, now: float | None = None) -> None:
            """Keeps nothing."""

    return NoCache()


def token_of(answer: Mapping[str, Any] | None, *, origin: str, service: str = "Microsoft Entra") -> Token:
    """The token in an answer of msal. Raises :class:`SignInError` for a refusal."""
    answer = answer or {}
    text, lifetime = answer.get("access_token"), answer.get("expires_in", 3600)
    if not text:
        raise refused(answer, origin=origin, service=service)
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or " " in text:
        raise SignInError("the sign-in service gave a token that can't be sent in a header")
    try:
        return Token(text, max(0.0, float(lifetime)))
    except (TypeError, ValueError):
        return Token(text, 3600.0)


def _given(way: AccessToken) -> Callable[[], Token]:
    def ask() -> Token:
        expires = claims(way.token).get("exp")
        lifetime = float(expires) - time.time() if isinstance(expires, int | float) else float("inf")
        if lifetime <= 0:
            raise SignInError(
                "the configured access token has expired",
                remedy=f"Put a new one into {way.origin}; it can't be renewed here.",
            )
        # After a 401 this is the same token, so that Partner Center's own reason is what is reported.
        return Token(way.token, lifetime)

    return ask


def _managed_identity(way: ManagedIdentity, settings: SignInSettings, transport: Transport) -> Callable[[], Token]:
    # Where there is no such service nothing answers at all: waiting longer or asking again does not help.
    web = Web(transport, None, timeout=min(10.0, settings.request_timeout), tries=1)
    resource = settings.scope.removesuffix("/.default")
    remedy = f"{way.origin} works on Azure machines and services with an identity assigned. " + (
        "Check that partnercenter:clientId is assigned to this one." if way.client_id else "Assign one to this one."
    )

    def ask() -> Token:
        import msal

        identity = (
            msal.UserAssignedManagedIdentity(client_id=way.client_id)
            if way.client_id
            else msal.SystemAssignedManagedIdentity()
        )
        client = msal.ManagedIdentityClient(identity, http_client=web, token_cache=_no_cache())
        try:
            answer = client.acquire_token_for_client(resource=resource)
            return token_of(answer, origin=way.origin, service="the managed identity service of this machine")
        except SignInError as error:
            raise SignInError(error.known, remedy=error.remedy or remedy, codes=error.codes) from None
        except Exception as error:  # noqa: BLE001 - an unknown kind of host, a key file, an answer of any shape
            raise SignInError(f"no managed identity could be used ({type(error).__name__})", remedy=remedy) from None

    return ask


def _app_user(
    way: AppUser, settings: SignInSettings, transport: Transport, refresh_tokens: RefreshTokens
) -> Callable[[], Token]:
    from pc_provider.partner_center.credentials.handover import hand_on, stored

    app = App(way.tenant_id, way.client_id, way.client, settings, transport)
    origin = way.origin if way.client is None else f"{way.client.origin} or {way.origin}"

    def ask() -> Token:
        # The newest first. An older one stays good until its own end, and a person may just have stored another.
        candidates = [text for text in (refresh_tokens.newest, stored(way), way.refresh_token) if text]
        if not candidates:
            raise SignInError(
                f"{way.origin} holds no refresh token", remedy="Run `pc-provider login`; it stores the first one."
            )
        refusal: SignInError | None = None
        for candidate in dict.fromkeys(candidates):
            answer = app.ask("acquire_token_by_refresh_token", candidate, app.scopes)
            if answer.get("error") == "invalid_grant":
                refusal = refusal or refused(answer, origin=origin)
                continue
            token = token_of(answer, origin=origin)
            rotated = answer.get("refresh_token")
            if isinstance(rotated, str) and rotated and rotated != candidate:
                refresh_tokens.newest = rotated
                hand_on(way, rotated)
            return token
        assert refusal is not None  # noqa: S101 - there was at least one candidate
        raise refusal

    return ask
