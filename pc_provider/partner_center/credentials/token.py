"""Tokens as they are held, and what they say of themselves."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RefreshTokens", "Token", "claims"]


@dataclass(frozen=True)
class Token:
    """An access token and for how long it is good, in seconds from now."""

    text: str = field(repr=False)
    lifetime: float


@dataclass
class RefreshTokens:
    """The newest refresh token of an identity that this process was given."""

    newest: str | None = field(default=None, repr=False)


def claims(token: str) -> dict[str, Any]:
    """What *token* says of itself, unverified; empty for a token that is not a JWT."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
