"""What a Pulumi program itself may ask Partner Center, with the stack's configuration: one client for each partner."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
from typing import TYPE_CHECKING

import pulumi

if TYPE_CHECKING:
    from pc_provider.partner_center.client import PartnerCenter
    from pc_provider.settings import Settings

__all__ = ["partner_center", "settings", "wait_in_turn"]

NAMESPACE = "partnercenter:"

_lock = threading.RLock()
_settings: Settings | None = None
_clients: dict[str, PartnerCenter] = {}


def settings() -> Settings:
    """The stack's settings. Raises SettingsError where the configuration can't be used."""
    global _settings
    with _lock:
        if _settings is None:
            from pc_provider.settings import Settings

            _warn_of_misspelt_keys()
            _settings = Settings.load(pulumi.Config("partnercenter").get, os.environ)
            if not _settings.is_local:
                _warn_of_plain_secrets()
        return _settings


def partner_center(partner: str | None = None) -> PartnerCenter:
    """The client of *partner* (None: the stack's own). Raises SignInError where nothing is configured to sign in."""
    with _lock:
        name = partner or ""
        if name not in _clients:
            from pc_provider.settings import connect

            _clients[name] = connect(settings().for_partner(partner))
        return _clients[name]


@functools.cache
def _warn_of_misspelt_keys() -> None:
    from pc_provider.settings import misspelt

    # A stack's keys come one way in a program of `pulumi up` and another in one of the Automation API.
    names = {*pulumi.runtime.get_config_env(), *pulumi.runtime.config.CONFIG.get()}
    keys = [name.removeprefix(NAMESPACE) for name in sorted(names) if name.startswith(NAMESPACE)]
    for line in misspelt(keys, os.environ):
        pulumi.log.warn(line)


def _warn_of_plain_secrets() -> None:
    from pc_provider.settings import KEYS, plain_secrets

    config = pulumi.Config("partnercenter")
    values = {key: text for key in KEYS if (text := config.get(key))}
    plain = plain_secrets(values, lambda key: pulumi.runtime.is_config_secret(config.full_key(key)))
    if plain:
        keys = ", ".join(NAMESPACE + key for key in plain)
        pulumi.log.warn(f"{keys}: stored in plain text, in the stack's file and state. Set it with `--secret`.")


def wait_in_turn() -> None:
    """
    Spares a program with many resources a slow wait of the Pulumi SDK.

    When a program's code ends with no call under way, the SDK waits for *all* outputs of all resources at once, anew
    after each that is done: at a thousand resources that takes twice as long as everything else the program does.
    After a call it waits for the resources one by one. So this leaves a call, already answered. No interface offers it;
    where the SDK does not look as expected, nothing is done.
    """
    with contextlib.suppress(Exception):
        from pulumi.runtime.settings import _get_rpc_manager

        calls = _get_rpc_manager().rpcs
        if not calls:
            answered = asyncio.get_running_loop().create_future()
            answered.set_result(None)
            calls.append(answered)
