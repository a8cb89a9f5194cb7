"""The configuration of the Pulumi stack in the current folder, for commands that run beside the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from pc_provider.partner_center.errors import PartnerCenterError, printable
from pc_provider.settings import Settings, plain_secrets

__all__ = ["StackConfiguration", "read_settings", "read_stack", "store_secret"]

NAMESPACE = "partnercenter:"
TIMEOUT = 120.0


class StackConfiguration(NamedTuple):
    """The values by bare key, where they come from (for a person), and which hold a secret in plain text."""

    values: dict[str, str]
    source: str
    plain_secrets: tuple[str, ...] = ()


def read_stack(stack: str | None = None) -> StackConfiguration:
    """
    What ``partnercenter:`` holds in *stack*, or in the selected one; secrets come through a pipe.

    Without a project, a selected stack or the ``pulumi`` command there is nothing to read, and *source* says so.
    Raises :class:`PartnerCenterError` when a *stack* that was asked for can't be read.
    """
    reason = ""
    if shutil.which("pulumi") is None:
        reason = "the pulumi command is not on PATH"
    elif not any((folder / "Pulumi.yaml").is_file() for folder in (Path.cwd(), *Path.cwd().parents)):
        reason = "there is no Pulumi.yaml here"
    if not reason:
        done = _pulumi("config", "--show-secrets", "--json", stack=stack)
        if done.returncode == 0:
            entries = _entries(done.stdout)
            values = {key: str(entry["value"]) for key, entry in entries.items()}
            plain = plain_secrets(values, lambda key: bool(entries[key].get("secret")))
            return StackConfiguration(values, f"stack {stack}" if stack else "the selected stack", tuple(plain))
        reason = printable(done.stderr.strip().removeprefix("error: "), 200)
    if stack is not None:
        raise PartnerCenterError(
            reason, attempted=f"Reading the configuration of stack {printable(stack, 100)}", remedy="Check --stack."
        )
    return StackConfiguration({}, f"the environment only ({reason})")


def read_settings(stack: str | None = None, partner: str | None = None) -> tuple[Settings, str]:
    """The settings as the provider would read them, and where they come from. Raises ``SettingsError``."""
    found = read_stack(stack)
    return Settings.load(found.values.get, os.environ).for_partner(partner), found.source


def store_secret(key: str, secret: str, *, stack: str | None, partner: str | None = None) -> None:
    """
    Sets ``partnercenter:{key}``, or that key of one partner, as a secret of the stack.

    The secret goes to the command's standard input. Raises :class:`PartnerCenterError`.
    """
    if partner is None:
        done = _pulumi("config", "set", "--secret", f"{NAMESPACE}{key}", stack=stack, secret=secret)
    else:
        path = f'{NAMESPACE}partners["{partner}"].{key}'
        done = _pulumi("config", "set", "--secret", "--path", path, stack=stack, secret=secret)
    if done.returncode != 0:
        reason = printable(done.stderr.replace(secret, "[secret]").strip().removeprefix("error: "), 300)
        raise PartnerCenterError(
            reason or f"pulumi ended with exit code {done.returncode}",
            attempted=f"Storing {NAMESPACE}{key} in the stack",
            remedy="Select the stack (`pulumi stack select`) or name it with --stack; or use --print.",
        )


def _pulumi(*arguments: str, stack: str | None, secret: str = "") -> subprocess.CompletedProcess[str]:
    command = ["pulumi", *arguments, *(["--stack", stack] if stack else []), "--non-interactive"]
    try:
        return subprocess.run(  # noqa: S603 - an argument list, no shell
            command, input=secret, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        known = f"it did not end within {TIMEOUT:g} s"
    except OSError as error:
        known = f"it could not be started ({error.strerror})"
    raise PartnerCenterError(known, attempted=f"Running `pulumi {arguments[0]}`")


def _entries(text: str) -> dict[str, dict[str, Any]]:
    try:
        tree = json.loads(text)
        return {
            name.removeprefix(NAMESPACE): entry
            for name, entry in tree.items()
            if name.startswith(NAMESPACE) and "value" in entry
        }
    except (ValueError, TypeError, AttributeError):
        raise PartnerCenterError(
            "its answer can't be read", attempted="Running `pulumi config --json`", remedy="Update the Pulumi CLI."
        ) from None
