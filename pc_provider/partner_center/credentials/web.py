"""
The project's transport in the shape msal expects of an HTTP client.

Three things are done here because msal does not do them: a failure that passes by itself is tried again; what
answers is bounded, must be JSON and may name no host outside the authority; and an authority on this machine may
be plain http, though msal only accepts https (it is told https, and only that origin is mapped back).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit

from pc_provider.partner_center.credentials.remedies import refused
from pc_provider.partner_center.errors import InvalidInput, NotSent, OutcomeUnknown, SignInError, printable
from pc_provider.partner_center.transport import Answer, Transport, concealing, is_loopback, origin

__all__ = ["Reply", "Web"]

MAX_BYTES = 1024 * 1024
TRIES = 3
WAIT = 0.5
LONGEST_WAIT = 20.0

SECRET_FIELDS = ("client_secret", "client_assertion", "refresh_token", "device_code", "code", "code_verifier")

# The hosts that Microsoft's own authorities name as their token endpoints.
# Source: msal's list of well-known authorities; the last is named by the one of the China cloud.
KNOWN_HOSTS = frozenset({
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
})  # fmt: skip


class Reply:
    """An answer as msal reads it."""

    def __init__(self, answer: Answer, text: str) -> None:
        self.status_code = answer.status
        self.headers = dict(answer.headers)
        self.text = text

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise SignInError(f"the sign-in service answered {self.status_code}")


class Web:
    """
    What msal is given as its ``http_client``.

    *authority* (with its scheme, without a tenant) bounds the hosts; None is for the metadata services of a
    machine or pipeline, whose addresses come from there. *timeout* is in seconds, for each of the *tries*.
    """

    def __init__(
        self, transport: Transport, authority: str | None, *, timeout: float = 30.0, tries: int = TRIES
    ) -> None:
        self._transport = transport
        self._tries = tries
        self._timeout = timeout
        self._plain = authority if authority is not None and authority.startswith("http://") else None
        self._hosts = None if authority is None else {urlsplit(authority).netloc.lower(), *KNOWN_HOSTS}
        if self._plain is not None and not is_loopback(self._plain):
            raise InvalidInput("authority", "plain http is only for this machine")
        self.authority = authority and self.to_https(authority)

    def to_https(self, text: str) -> str:
        """The authority's address as msal wants it, wherever it occurs in *text*."""
        return text.replace(self._plain, "https" + self._plain[4:]) if self._plain is not None else text

    def to_http(self, url: str) -> str:
        """The real address of what msal was told."""
        if self._plain is not None and url.startswith("https" + self._plain[4:]):
            return "http" + url[5:]
        return url

    def get(self, url: str, params: Any = None, headers: Mapping[str, str] | None = None, **_: object) -> Reply:
        reply = self._send("GET", _with_query(url, params), headers, None)
        if self._hosts is not None and reply.status_code >= 400:
            # A discovery document: msal's own message would say neither Entra's code nor what to do.
            raise refused(json.loads(reply.text), status=reply.status_code)
        return reply

    def post(
        self,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> Reply:
        content = data if isinstance(data, str) else urlencode(data or {})
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        secrets = [value for name, value in parse_qsl(content) if name in SECRET_FIELDS]
        return self._send("POST", _with_query(url, params), headers, content.encode(), secrets)

    def close(self) -> None:
        """The transport is shared; whoever made it closes it."""

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        secrets: Sequence[str] = (),
    ) -> Reply:
        if self._hosts is not None and urlsplit(url).netloc.lower() not in self._hosts:
            raise SignInError(
                f"the authority names {origin(url)} for its tokens, which is none of its own hosts; nothing was sent",
                remedy="Check partnercenter:authority and the network between.",
            )
        url = self.to_http(url)
        wait = WAIT
        for left in reversed(range(self._tries)):
            try:
                answer = self._transport.send(
                    method, url, headers=headers, content=content, timeout=self._timeout, max_bytes=MAX_BYTES
                )
            except InvalidInput as error:
                # msal takes any ValueError for a fault of the authority.
                raise _not_asked(error) from None
            except (NotSent, OutcomeUnknown) as error:
                # Asking for a token changes nothing that a second question would spoil.
                if left:
                    time.sleep(wait)
                    wait *= 2
                    continue
                remedy = error.remedy.replace("partnercenter:endpoint", "partnercenter:authority")
                raise SignInError(error.known, remedy=remedy) from None
            if answer.status >= 400:
                answer = concealing(secrets, answer)
            if left and (answer.status == 429 or answer.status >= 500):
                time.sleep(min(_retry_after(answer) or wait, LONGEST_WAIT))
                wait *= 2
                continue
            return Reply(answer, self._json(answer, url))
        raise AssertionError("unreachable")

    def _json(self, answer: Answer, url: str) -> str:
        """The text of a JSON object. msal would write anything else to its log as it came."""
        try:
            text = answer.body.decode("utf-8-sig")
            if not isinstance(json.loads(text), dict):
                raise ValueError
        except (ValueError, RecursionError):
            _unreadable(answer, url)
        return self.to_https(text)


def _not_asked(error: InvalidInput) -> SignInError:
    if error.field == "caBundle":
        return SignInError(error.known, remedy="Correct partnercenter:caBundle.")
    return SignInError(
        f"{error.reason}; nothing was sent to it",
        remedy="Give the token service an address with https.",
    )


def _unreadable(answer: Answer, url: str) -> NoReturn:
    shown = "" if answer.status < 400 else f": {printable(answer.body[:200].decode('utf-8', 'replace'), 120)}"
    raise SignInError(
        f"{origin(url)} answered {answer.status} with something that is not a sign-in answer{shown}",
        remedy="Check the address, and whether a proxy answers in its place."
        if answer.status < 500 and answer.status != 429
        else "The sign-in service has a problem of its own; try again later.",
    ) from None


def _with_query(url: str, params: Any) -> str:
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{params if isinstance(params, str) else urlencode(params)}"


def _retry_after(answer: Answer) -> float:
    try:
        return max(0.0, float(answer.headers.get("retry-after") or 0))
    except ValueError:
        return 0.0
