"""
What can go wrong between a program and Partner Center, as one tree:

PartnerCenterError
 +-- InvalidInput             a value that cannot be sent; nothing was
 +-- SignInError              no access token could be had; the operation was not sent
 +-- NotSent                  the request never reached Partner Center
 |    +-- Interrupted         the engine was told to stop, or is gone, before it was sent
 |    +-- DeadlineExceeded    the time allowed ran out before it was sent
 +-- OutcomeUnknown           the request left and no usable answer came back
 +-- ServiceError             Partner Center, or a gateway before it, answered with an error
      +-- BadRequest          400
      +-- Unauthorized        401
      +-- Forbidden           403
      +-- NotFound            404
      +-- Conflict            409
      +-- Throttled           429
      +-- ServerError         500, 502, 503, 504 and any other 5xx
      +-- UnexpectedAnswer    a redirect, another status, or a body that is not what the reference promises

Every error knows what was attempted and, once a request was made, its request and correlation ids. ``str(error)`` is
the whole message for a person: what was attempted, what is known, what to do next, and the ids. It never holds a
token, a secret, or control characters of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BadRequest",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "Interrupted",
    "InvalidInput",
    "NotFound",
    "NotSent",
    "OutcomeUnknown",
    "PartnerCenterError",
    "ServerError",
    "ServiceError",
    "SignInError",
    "Throttled",
    "Unauthorized",
    "UnexpectedAnswer",
    "printable",
]


def printable(text: object, limit: int = 500) -> str:
    """One line that is safe to print: control and format characters replaced, cut at *limit* characters."""
    line = "".join(character if character.isprintable() else " " for character in str(text))
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class PartnerCenterError(Exception):
    """
    The root of the tree.

    *attempted* is a noun phrase ("the upgrade of subscription …"), *known* what happened, *remedy* what to do next;
    the ids are those that Partner Center's support asks for (``trace`` holds ``MS-CV`` and ``MS-ServerId``).
    """

    trace = ""

    def __init__(
        self,
        known: str,
        *,
        attempted: str = "",
        remedy: str = "",
        request_id: str = "",
        correlation_id: str = "",
    ) -> None:
        self.known = known
        self.attempted = attempted
        self.remedy = remedy
        self.request_id = request_id
        self.correlation_id = correlation_id
        super().__init__(known)

    def __str__(self) -> str:
        lines = [f"{self.attempted}: {self.known}" if self.attempted else self.known]
        if self.remedy:
            lines.append(f"What to do: {self.remedy}")
        ids = [
            f"{name} {value}"
            for name, value in (("request id", self.request_id), ("correlation id", self.correlation_id))
            if value
        ]
        if self.trace:
            ids.append(self.trace)
        if ids:
            lines.append(f"For support: {', '.join(ids)}")
        return "\n".join(lines)


class InvalidInput(PartnerCenterError, ValueError):
    """A value that cannot be sent. *field* names it. Nothing was sent."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


class SignInError(PartnerCenterError):
    """No access token could be had. *codes* are Microsoft Entra's numbers (``AADSTS…``), as far as it gave any."""

    def __init__(self, known: str, *, remedy: str = "", codes: Sequence[int] = (), correlation_id: str = "") -> None:
        self.codes = tuple(codes)
        super().__init__(known, attempted="Sign-in", remedy=remedy, correlation_id=correlation_id)


class NotSent(PartnerCenterError):
    """The request never reached Partner Center (no address, no connection, no TLS): safe to send again."""


class Interrupted(NotSent):
    """The engine was told to stop, or is gone; what was not yet sent is not sent."""


class DeadlineExceeded(NotSent):
    """The time allowed for the whole operation ran out while it waited to be sent."""


class OutcomeUnknown(PartnerCenterError):
    """
    The request left and no usable answer came back (lost connection, time-out, cut or unreadable success).

    It may or may not have been performed: read before sending again.
    """


class ServiceError(PartnerCenterError):
    """
    An answer that says no.

    *status* is the HTTP status; *code* the service's own code (an int, a text, or None) and *description* its text,
    from whichever of the error bodies came; *retry_after* seconds, where the answer named a time.
    """

    def __init__(
        self,
        known: str,
        *,
        status: int,
        code: int | str | None = None,
        description: str = "",
        retry_after: float | None = None,
        attempted: str = "",
        remedy: str = "",
        request_id: str = "",
        correlation_id: str = "",
    ) -> None:
        self.status = status
        self.code = code
        self.description = description
        self.retry_after = retry_after
        super().__init__(
            known, attempted=attempted, remedy=remedy, request_id=request_id, correlation_id=correlation_id
        )


class BadRequest(ServiceError):
    """400: an input is missing or wrong."""


class Unauthorized(ServiceError):
    """401: the access token was not accepted. Refused before any work."""


class Forbidden(ServiceError):
    """403: the identity lacks a role, a relationship or an agreement."""


class NotFound(ServiceError):
    """404: the customer, subscription or offer does not exist for this partner."""


class Conflict(ServiceError):
    """409: not now; another operation is under way or the subscription is not ready."""


class Throttled(ServiceError):
    """429: refused before any work; *retry_after* says how long to wait, in seconds."""


class ServerError(ServiceError):
    """5xx: the service or a gateway failed. For a POST, whether it was performed is not known."""


class UnexpectedAnswer(ServiceError):
    """An answer outside the reference: a redirect, another status, or a body that can't be read."""
