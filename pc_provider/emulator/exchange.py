"""A request as it came in, an answer as it goes out, and the shapes in which Partner Center says no."""

from __future__ import annotations

import math
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

Tree = dict[str, Any]

JSON = "application/json; charset=utf-8"


class Request(NamedTuple):
    """*headers* by their names in lower case; *parts* are the segments of the path; *arrived* seconds since 1970."""

    method: str
    path: str
    parts: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    host: str
    secure: bool
    arrived: float

    @property
    def bearer(self) -> str | None:
        """The token of the header ``Authorization: Bearer``."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def form(self) -> dict[str, str]:
        """The fields of a form body; what is not readable as one has none."""
        try:
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=1000))
        except ValueError:
            return {}


class Answer(NamedTuple):
    """*body* is written as it is; a *tree* is encoded on the way out, in the media type that was asked for."""

    status: int
    tree: Any = None
    root: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = JSON


class Fault(Exception):
    """A refusal in Partner Center's shape: HTTP status, the service's code, and its description."""

    def __init__(self, status: int, code: int, description: str, *data: str, headers: Any = ()) -> None:
        super().__init__(description)
        self.answer = Answer(
            status,
            {"code": code, "description": description, "data": list(data), "source": "PartnerCenter"},
            "ServiceFault",
            tuple(headers),
        )


def plain(status: int, tree: object, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer in JSON whatever was asked for, without a byte-order mark."""
    return Answer(status, headers=headers, body=msgspec.json.encode(tree))


def gateway_limit(seconds: float) -> Answer:
    """The gateway's 429: its own body, and none of the service's headers."""
    wait = max(1, math.ceil(seconds))
    message = f"Rate limit is exceeded. Try again in {wait} seconds."
    return plain(429, {"statusCode": 429, "message": message}, (("Retry-After", str(wait)),))


def invalid(description: str, *data: str) -> Fault:
    """400, 800002: what most invalid inputs get."""
    return Fault(400, 800002, f"Invalid request input: {description}", *data)


def not_found() -> Fault:
    return Fault(404, 1000, "Not found")
