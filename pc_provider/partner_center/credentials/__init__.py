"""
Access tokens for Partner Center.

:func:`credential` makes the one for the configured way; :meth:`Credential.token` gives a token that is still good.
msal is imported with the first token that is asked for.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable

from pc_provider.partner_center.credentials.token import RefreshTokens, Token
from pc_provider.partner_center.credentials.ways import SignIn, SignInSettings
from pc_provider.partner_center.errors import SignInError
from pc_provider.partner_center.transport import Transport

__all__ = ["Credential", "Token", "credential"]

MARGIN = 300.0
PAUSE = 30.0
NO_SIGN_IN = (
    "Set partnercenter:tenantId, partnercenter:clientId and one way to prove the app (clientSecret, "
    "clientCertificate, a workload identity, a managed identity), or a refresh token by `pc-provider login`. "
    "`pc-provider doctor` checks what is configured."
)


class _Held:
    """The token of one identity, shared by all credentials of the process that have this identity."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.token: str | None = None
        self.renew_at = 0.0
        self.expires_at = 0.0
        self.failures = 0
        self.failure: SignInError | None = None
        self.refresh_tokens = RefreshTokens()


class Credential:
    """
    Gives a bearer token; safe to share between threads.

    *ask* makes one request for a new token. However many threads need it, one asks and the others wait; if it is
    refused, those that waited get the same refusal. A token is renewed 300 seconds (at most a tenth of its life)
    before it expires; while it is still good, a renewal that fails is no error and is tried again after 30 seconds.
    """

    def __init__(
        self,
        ask: Callable[[], Token],
        way: SignIn,
        *,
        held: _Held | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.way = way
        self._ask = ask
        self._held = held or _Held()
        self._clock = clock

    def __repr__(self) -> str:
        return f"Credential({self.way!r})"

    def token(self, *, rejected: str | None = None) -> str:
        """
        A token to send as ``Authorization: Bearer``.

        *rejected* is the token that a 401 refused: it is renewed, unless another thread has done so already.
        Raises :class:`SignInError`.
        """
        held = self._held
        if held.token is not None and held.token != rejected and self._clock() < held.renew_at:
            return held.token
        failures = held.failures
        with held.lock:
            now = self._clock()
            if held.token is not None and held.token != rejected and now < held.renew_at:
                return held.token
            if held.failures != failures and held.failure is not None:
                raise _again(held.failure)
            try:
                new = self._ask()
            except SignInError as error:
                if held.token is not None and held.token != rejected and now < held.expires_at:
                    held.renew_at = min(held.expires_at, now + PAUSE)
                    return held.token
                held.failures += 1
                held.failure = _again(error)
                raise
            held.renew_at = now + new.lifetime - min(MARGIN, new.lifetime / 10)
            held.expires_at = now + new.lifetime
            held.token = new.text
            return new.text


def _again(error: SignInError) -> SignInError:
    """A copy: one exception object raised in several threads would collect the traceback of each."""
    return SignInError(error.known, remedy=error.remedy, codes=error.codes, correlation_id=error.correlation_id)


_identities: weakref.WeakValueDictionary[object, _Held] = weakref.WeakValueDictionary()
_identities_lock = threading.Lock()


def credential(settings: SignInSettings, transport: Transport) -> Credential:
    """
    The credential for what *settings* configure; one token for each identity of the process.

    Raises :class:`SignInError` when nothing is configured, or what is configured can't be used (a certificate that
    can't be read).
    """
    way = settings.sign_in
    if way is None:
        missing = getattr(settings, "no_sign_in", "")
        raise SignInError(
            f"nothing is configured to sign in with{f' ({missing})' if missing else ''}", remedy=NO_SIGN_IN
        )
    from pc_provider.partner_center.credentials.asking import asker

    with _identities_lock:
        identity = (way, settings.authority, settings.scope)
        held = _identities.get(identity)
        if held is None:
            held = _identities[identity] = _Held()
    return Credential(asker(way, settings, transport, held.refresh_tokens), way, held=held)
