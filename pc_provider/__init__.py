"""
Partner Center subscription upgrades for Pulumi.

Importing this package loads nothing: each name is loaded when it is first used, so that `pc_provider.partner_center`
works without Pulumi, and a program pays only for what it declares.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pc_provider.lookups import get_subscription as get_subscription
    from pc_provider.lookups import get_subscription_output as get_subscription_output
    from pc_provider.lookups import get_upgrades as get_upgrades
    from pc_provider.lookups import get_upgrades_output as get_upgrades_output
    from pc_provider.resource import SubscriptionUpgrade as SubscriptionUpgrade

__all__ = [
    "SubscriptionUpgrade",
    "get_subscription",
    "get_subscription_output",
    "get_upgrades",
    "get_upgrades_output",
]

_HOMES = dict.fromkeys(__all__, "pc_provider.lookups") | {"SubscriptionUpgrade": "pc_provider.resource"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
