"""What a person is told when an upgrade is refused: Partner Center's reasons, what is offered, and the way out."""

from __future__ import annotations

from collections.abc import Sequence

from pc_provider.partner_center.client import OfferedUpgrade
from pc_provider.partner_center.errors import PartnerCenterError, printable
from pc_provider.partner_center.models import Subscription, UpgradeError, UpgradeErrorCode, UserLicenseError
from pc_provider.target import same

__all__ = ["NotEligible", "license_lines", "not_eligible", "reasons", "refused", "state"]


class NotEligible(PartnerCenterError):
    """Partner Center does not offer this upgrade now. Nothing was upgraded."""


def reasons(upgrade_errors: Sequence[UpgradeError]) -> list[str]:
    """Partner Center's reasons, a line each: its text, the code by name, and the details where it gave any."""
    lines = []
    for error in upgrade_errors:
        name = printable(error.code if error.code is not None else UpgradeErrorCode.OTHER)
        text = printable(error.description or "").rstrip(".")
        details = f" ({printable(error.additional_details)})" if error.additional_details else ""
        lines.append(f"{text} [{name}]{details}" if text else f"[{name}]{details}")
    return lines


def license_lines(license_errors: Sequence[UserLicenseError]) -> list[str]:
    """A line for each user whose licences were not moved, with the reasons."""
    lines = []
    for user in license_errors:
        who = printable(user.name or user.email or user.user_object_id or "a user", 100)
        contact = f" ({printable(user.email, 100)})" if user.email and user.email != who else ""
        why = "; ".join(printable(fault.description or fault.code or "no reason given") for fault in user.errors)
        lines.append(f"{who}{contact}: {why or 'no reason given'}")
    return lines


def refused(attempted: str, upgrade_errors: Sequence[UpgradeError]) -> NotEligible:
    """The error for a 200 whose ``upgradeErrors`` say that nothing was upgraded."""
    return NotEligible(
        f"Partner Center refused it: {'; '.join(reasons(upgrade_errors))}. This request upgraded nothing",
        attempted=attempted,
        remedy=_remedy(upgrade_errors),
    )


def state(source: Subscription) -> str:
    """The status of a subscription in a few words, with the reasons for a suspension."""
    status = printable(source.status or "in an unknown state")
    why = ", ".join(printable(reason) for reason in source.suspension_reasons or ())
    return f"{status} ({why})" if why else status


def not_eligible(
    attempted: str,
    target_offer_id: str,
    upgrade_type: str,
    chosen: OfferedUpgrade | None,
    offered: Sequence[OfferedUpgrade],
    source: Subscription,
    *,
    outcome: str = "Nothing was sent",
) -> NotEligible:
    """The error for an upgrade that Partner Center does not offer, or offers and calls not eligible (*chosen*)."""
    now = f"The subscription is {state(source)}, on offer {printable(source.offer_name or source.offer_id or '?')}"
    if chosen is not None:
        listed = "; ".join(reasons(chosen.upgrade.upgrade_errors)) or "without a reason"
        return NotEligible(
            f"Partner Center says that it is not eligible: {listed}. {now}. {outcome}",
            attempted=attempted,
            remedy=_remedy(chosen.upgrade.upgrade_errors),
        )
    if same(source.offer_id, target_offer_id):
        return NotEligible(
            f"it is already on offer {target_offer_id}, and was not upgraded to it from this resource. {outcome}",
            attempted=attempted,
            remedy="Remove the resource from the program, or give the subscription_id of the one to upgrade.",
        )
    choices = _choices(offered)
    what = f"{upgrade_type} to offer {target_offer_id} is not offered. {now}"
    known = (
        f"{what}. Offered are: {choices}. {outcome}"
        if choices
        else (f"{what}. Partner Center offers no upgrade for it at all. {outcome}")
    )
    return NotEligible(
        known,
        attempted=attempted,
        remedy="Set target_offer_id and upgrade_type to one that is offered."
        if choices
        else "Check that the subscription is a legacy licence-based one; new-commerce subscriptions are moved by "
        "transitions, which this endpoint does not serve.",
    )


def _choices(offered: Sequence[OfferedUpgrade]) -> str:
    lines = []
    for upgrade, _ in offered:
        offer = upgrade.target_offer
        if offer and offer.id:
            name = f" ({printable(offer.name, 100)})" if offer.name else ""
            lines.append(f"{printable(offer.id, 64)}{name} by {printable(upgrade.upgrade_type, 40)}")
    return ", ".join(lines)


_REMEDIES: dict[str | int | None, str] = {
    UpgradeErrorCode.DELEGATED_ADMIN_PERMISSIONS_DISABLED: "Have the customer grant delegated admin "
    "permissions (GDAP).",
    UpgradeErrorCode.SUBSCRIPTION_STATUS_NOT_ACTIVE: "Only an active subscription can be upgraded: activate it in "
    "Partner Center, or remove the resource.",
    UpgradeErrorCode.CONFLICTING_SERVICE_TYPES: "The customer already holds the target offer or overlapping services: "
    "cancel those first, or change their quantity instead of upgrading.",
    UpgradeErrorCode.CONCURRENCY_CONFLICTS: "Another change is under way. Run `pulumi up` again in some minutes.",
    UpgradeErrorCode.USER_CONTEXT_REQUIRED: "A licence transfer needs App+User sign-in: set partnercenter:refreshToken "
    "(run `pc-provider login`), or use upgrade_only.",
    UpgradeErrorCode.SUBSCRIPTION_ADD_ONS_PRESENT: "Remove the subscription's add-ons first.",
    UpgradeErrorCode.SUBSCRIPTION_DOES_NOT_HAVE_ANY_UPGRADE_PATHS: "There is no upgrade for this offer; buy the target "
    "offer and cancel this subscription instead.",
    UpgradeErrorCode.SUBSCRIPTION_TARGET_OFFER_NOT_FOUND: "Check target_offer_id.",
    UpgradeErrorCode.SUBSCRIPTION_NOT_PROVISIONED: "The subscription is still being set up. Run `pulumi up` "
    "again later.",
    UpgradeErrorCode.OFFER_DOES_NOT_SUPPORT_BILLING_CYCLE: "Change the subscription's billing cycle to one that the "
    "target offer supports.",
    UpgradeErrorCode.INSUFFICIENT_GRANULAR_ADMIN_PERMISSIONS: "Give the identity a GDAP role for this customer: "
    "Directory Reader or Global Reader for upgrade_only, Directory Writer for upgrade_with_license_transfer.",
}


def _remedy(upgrade_errors: Sequence[UpgradeError]) -> str:
    found = [_REMEDIES[error.code] for error in upgrade_errors if error.code in _REMEDIES]
    return " ".join(dict.fromkeys(found)) or "See the subscription in Partner Center, or ask its support."
