"""
What becomes of a new refresh token: every use of one gives another, and the next run should start from that.

It goes to the standard input of a command of the person's own, or into a file that only its owner can read. It is
never an argument, and what the command prints is not shown, because it may be the token.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import subprocess
from pathlib import Path

from pc_provider.partner_center.credentials.ways import AppUser
from pc_provider.partner_center.errors import SignInError, printable
from pc_provider.partner_center.files import expanded

__all__ = ["hand_on", "stored", "write_private"]

TIMEOUT = 60.0
MAX_BYTES = 64 * 1024

log = logging.getLogger("pc_provider")


def stored(way: AppUser) -> str | None:
    """The refresh token in the file, None while there is none. Raises :class:`SignInError` if it can't be read."""
    if way.file is None:
        return None
    try:
        with expanded(way.file).open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SignInError(
            f"the refresh token file {printable(way.file, 200)} can't be read ({error.strerror})",
            remedy="Check partnercenter:refreshTokenFile.",
        ) from None


def hand_on(way: AppUser, token: str) -> None:
    """
    Gives *token* to the command and the file that *way* names.

    A failure is a warning: the access token is there, this process keeps the new refresh token, and Microsoft Entra
    accepts the stored one until its own end.
    """
    reasons = []
    if way.file is not None:
        try:
            write_private(expanded(way.file), token)
        except OSError as error:
            reasons.append(f"partnercenter:refreshTokenFile could not be written ({error.strerror})")
    if way.command:
        reason = _run(way.command, token)
        if reason:
            reasons.append(f"partnercenter:refreshTokenCommand ({printable(way.command[0], 100)}) {reason}")
    if reasons:
        log.warning(
            "The new refresh token was not stored: %s. It is used until this process ends; the next run starts from "
            "the stored one, which dies 90 days after it was issued. Correct the setting, or run `pc-provider login`.",
            "; ".join(reasons),
        )


def _run(command: tuple[str, ...], token: str) -> str:
    """Why the command did not take the token; empty when it did."""
    try:
        done = subprocess.run(  # noqa: S603 - the person's own command, as an argument list, no shell
            command,
            input=token.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {TIMEOUT:g} s"
    except OSError as error:
        return f"could not be started ({error.strerror})"
    return "" if done.returncode == 0 else f"ended with exit code {done.returncode}"


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
