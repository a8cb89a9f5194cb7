"""Tokens as they are held, and what they say of themselves."""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["RefreshTokens", "Token", "claims"]


class Token:
    """An access token and for how long it is good, in seconds from now."""

    def __init__(self, text: str, lifetime: float) -> None:
        self.text = text
        self.lifetime = lifetime


class RefreshTokens:
    """The newest refresh token of an identity that this process was given; None before the first."""

    newest: str | None = None


def claims(token: str) -> dict[str, Any]:
    """What *token* says of itself, unverified; empty for a token that is not a JWT."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
