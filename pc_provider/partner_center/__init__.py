"""
Partner Center for Python: the client, its models and its errors. Usable without Pulumi.

    from pc_provider.partner_center import PartnerCenter, errors, models

Importing this package loads nothing: the client is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pc_provider.partner_center.client import PartnerCenter as PartnerCenter

__all__ = ["PartnerCenter"]


def __getattr__(name: str) -> Any:
    if name != "PartnerCenter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pc_provider.partner_center.client import PartnerCenter

    globals()[name] = PartnerCenter
    return PartnerCenter


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
