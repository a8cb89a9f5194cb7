"""
The enumerations of the reference, read as Partner Center writes them.

Each is open: a value that is not listed stays the text or number it was. Members compare equal to their documented
text, ``UpgradeType.UPGRADE_ONLY == "upgrade_only"``.
"""

from __future__ import annotations

import enum
from typing import TypeVar

E = TypeVar("E", bound="OpenEnum")

__all__ = ["BillingCycle", "OpenEnum", "SubscriptionStatus", "UpgradeErrorCode", "UpgradeType"]


class OpenEnum(str, enum.Enum):
    """An enumeration whose members are text, in ``snake_case`` on the wire, and which other values may join."""

    __str__ = str.__str__

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    @classmethod
    def of(cls: type[E], value: str | int) -> E | str | int:
        """The member that *value* means by its text in any case or its number, also as text; else *value* itself."""
        known = _spellings(cls).get(value.replace("_", "").lower() if isinstance(value, str) else str(value))
        return value if known is None else known


_known: dict[type[OpenEnum], dict[str, OpenEnum]] = {}


def _spellings(cls: type[E]) -> dict[str, E]:
    if cls not in _known:
        members = list(cls)
        _known[cls] = {member.value.replace("_", ""): member for member in members}
        _known[cls].update({str(number): member for number, member in enumerate(members[: _NUMBERED.get(cls)])})
    return _known[cls]  # type: ignore[return-value]


# Within each, the order is that of the numbers on the wire, from 0.


class UpgradeType(OpenEnum):
    """What an upgrade does with the users' licences."""

    NONE = "none"
    """No upgrade."""
    UPGRADE_ONLY = "upgrade_only"
    """The subscription is upgraded; licences stay where they are."""
    UPGRADE_WITH_LICENSE_TRANSFER = "upgrade_with_license_transfer"
    """The subscription is upgraded and the users' licences move. Needs a user's context."""


class UpgradeErrorCode(OpenEnum):
    """Why a subscription cannot be upgraded."""

    OTHER = "other"
    """A reason that has no code."""
    DELEGATED_ADMIN_PERMISSIONS_DISABLED = "delegated_admin_permissions_disabled"
    """The customer does not let the partner administer its tenant."""
    SUBSCRIPTION_STATUS_NOT_ACTIVE = "subscription_status_not_active"
    """The source is not active; it may have been upgraded already."""
    CONFLICTING_SERVICE_TYPES = "conflicting_service_types"
    """The customer already holds the target, or services that overlap it."""
    CONCURRENCY_CONFLICTS = "concurrency_conflicts"
    """Another change of the subscription is under way."""
    USER_CONTEXT_REQUIRED = "user_context_required"
    """Only a signed-in user, not an application alone, may do this."""
    SUBSCRIPTION_ADD_ONS_PRESENT = "subscription_add_ons_present"
    """The source has add-ons, which block the upgrade."""
    SUBSCRIPTION_DOES_NOT_HAVE_ANY_UPGRADE_PATHS = "subscription_does_not_have_any_upgrade_paths"
    """No offer can be upgraded to."""
    SUBSCRIPTION_TARGET_OFFER_NOT_FOUND = "subscription_target_offer_not_found"
    """The wanted offer is not one of those that can be upgraded to."""
    SUBSCRIPTION_NOT_PROVISIONED = "subscription_not_provisioned"
    """The source is not set up yet."""
    OFFER_DOES_NOT_SUPPORT_BILLING_CYCLE = "offer_does_not_support_billing_cycle"
    """The wanted offer cannot be billed as often as the source is."""
    INSUFFICIENT_GRANULAR_ADMIN_PERMISSIONS = "insufficient_granular_admin_permissions"
    """The identity lacks a role in the customer's tenant."""


class BillingCycle(OpenEnum):
    """How often something is billed."""

    UNKNOWN = "unknown"
    """Not known."""
    MONTHLY = "monthly"
    """Every month."""
    ANNUAL = "annual"
    """Every year."""
    NONE = "none"
    """Never; trials have this."""
    ONE_TIME = "one_time"
    """Once."""
    TRIENNIAL = "triennial"
    """Every three years."""
    BIENNIAL = "biennial"
    """Every two years; not in the reference, but in the .NET SDK."""


class SubscriptionStatus(OpenEnum):
    """The state of a subscription (source: Partner Center, "Subscription resources")."""

    NONE = "none"
    """Not known."""
    ACTIVE = "active"
    """In use; the only state that can be upgraded."""
    SUSPENDED = "suspended"
    """Out of use, and not billed; the source of an upgrade is."""
    DELETED = "deleted"
    """Removed."""
    EXPIRED = "expired"
    """Past its end."""
    PENDING = "pending"
    """Not ready yet."""
    DISABLED = "disabled"
    """Switched off."""


# The SDKs that number billing cycles end with one_time: what 5 and 6 would be is not known, so they stay numbers.
_NUMBERED: dict[type[OpenEnum], int] = {BillingCycle: 5}
