"""
The rules: what an upgrade needs, when it is refused, adopted, or sent again.

    eligibility (GET) ── eligible ──> POST ── accepted ──> Upgraded
          │                            │
          │ not eligible, not offered  │ lost answer, 5xx, refused by a state that something else caused
          v                            v
        read the source ───────────> read the source until it is certain
          │ suspended for Transition: find the target, adopt it
          │ still active and offered: send again, with the same request id
          └ anything else: an error that says what is known

At most one upgrade of a source is ever performed: a source that was upgraded is suspended for ``Transition`` and no
longer eligible (recorded), and nothing is sent that a read did not show to be still possible.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from pc_provider.partner_center.client import Call, OfferedUpgrade, PartnerCenter
from pc_provider.partner_center.delivery import growing
from pc_provider.partner_center.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PartnerCenterError,
    ServerError,
    SignInError,
    Throttled,
    Unauthorized,
    UnexpectedAnswer,
    printable,
)
from pc_provider.partner_center.models import (
    Subscription,
    SubscriptionStatus,
    Upgrade,
    UpgradeError,
    UpgradeErrorCode,
    UpgradeResult,
    UserLicenseError,
)
from pc_provider.target import AlreadyUpgraded, Candidates, left_by_upgrade, same

__all__ = [
    "AlreadyUpgraded",
    "NotEligible",
    "OutcomeUndecided",
    "Upgraded",
    "WantedUpgrade",
    "eligibility",
    "find_upgraded",
    "is_gone",
    "license_lines",
    "perform",
    "reasons",
]

# What an upgrade *is* decides its request id, so every process that tries it sends the same one.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:partnercenter:subscription-upgrade")

# How long a new subscription may take to be listed (documented: up to 15 minutes), in seconds.
LISTED_WITHIN = 15 * 60.0

# Codes of a 404 that speak of the subscription, not of the customer or the partner.
SUBSCRIPTION_UNKNOWN = ("20003", "800002")

# Looks at a source, in a row, that must show it still upgradeable before the upgrade is sent again.
LOOKS = 2


class NotEligible(PartnerCenterError):
    """Partner Center does not offer this upgrade now. Nothing was upgraded."""


class OutcomeUndecided(OutcomeUnknown):
    """The upgrade was sent, and within the time allowed nothing could be read that settles whether it was made."""


class WantedUpgrade(NamedTuple):
    """What a resource declares, normalised."""

    customer_id: str
    subscription_id: str
    target_offer_id: str
    upgrade_type: str = "upgrade_only"

    @property
    def identity(self) -> str:
        """``customer/source`` in lower case: a source is upgraded at most once, whatever it becomes."""
        return f"{self.customer_id}/{self.subscription_id}".lower()

    @property
    def request_id(self) -> str:
        """The ``MS-RequestId`` of this upgrade, the same from every process that tries it."""
        return str(uuid.uuid5(_NAMESPACE, "/".join(self).lower()))

    def __str__(self) -> str:
        return f"The upgrade of subscription {self.subscription_id} of customer {self.customer_id}"


@dataclass(frozen=True)
class Upgraded:
    """
    An upgrade that was made.

    *adopted* says that it was found made rather than answered by the POST of this call; *upgraded_at* is the service's
    own time (ISO 8601, UTC), "" where it is not known. *license_errors* has the users whose licences were not moved.
    """

    source_subscription_id: str
    target_subscription_id: str
    target_offer_id: str
    upgrade_type: str
    quantity: int | None
    license_errors: Sequence[UserLicenseError]
    adopted: bool
    target_status: str
    upgraded_at: str = ""


def perform(partner_center: PartnerCenter, wanted: WantedUpgrade, *, timeout: float) -> Upgraded:
    """
    Makes the upgrade, or finds that it was made; at most *timeout* seconds.

    Raises :class:`NotEligible`, :class:`AlreadyUpgraded` (the source went to another offer), :class:`OutcomeUndecided`,
    or the error of the call that failed. Once Partner Center has accepted the upgrade, nothing is raised.
    """
    call = partner_center.call(timeout)
    offered = partner_center.upgrades(wanted.customer_id, wanted.subscription_id, call)
    chosen = _choose(offered, wanted)
    if chosen is not None and _is_eligible(chosen.upgrade):
        return _Attempt(partner_center, wanted, call).send(chosen)
    source = partner_center.subscription(wanted.customer_id, wanted.subscription_id, call)
    if left_by_upgrade(source):
        return _Attempt(partner_center, wanted, call).adopt(source)
    raise _not_eligible(wanted, chosen, offered, source)


def eligibility(partner_center: PartnerCenter, wanted: WantedUpgrade, *, timeout: float) -> Upgrade | Upgraded:
    """
    What :func:`perform` would do now, without doing it: the eligible item, or the upgrade that it would adopt.

    Raises what :func:`perform` would raise before it sends.
    """
    call = partner_center.call(timeout)
    offered = partner_center.upgrades(wanted.customer_id, wanted.subscription_id, call)
    chosen = _choose(offered, wanted)
    if chosen is not None and _is_eligible(chosen.upgrade):
        return chosen.upgrade
    source = partner_center.subscription(wanted.customer_id, wanted.subscription_id, call)
    if left_by_upgrade(source):
        return _Attempt(partner_center, wanted, call).adopt(source, wait=False)
    raise _not_eligible(wanted, chosen, offered, source)


def find_upgraded(
    partner_center: PartnerCenter, customer_id: str, subscription_id: str, *, timeout: float
) -> Upgraded:
    """
    The upgrade that a source has already had, whatever its target offer.

    Raises :class:`NotEligible` when it was not upgraded, and :class:`OutcomeUndecided` when several subscriptions could
    be its target.
    """
    wanted = WantedUpgrade(customer_id, subscription_id, "")
    call = partner_center.call(timeout)
    source = partner_center.subscription(customer_id, subscription_id, call)
    if not left_by_upgrade(source):
        raise NotEligible(
            f"it was not upgraded; it is {_state(source)}",
            attempted=f"Finding the upgrade of subscription {subscription_id} of customer {customer_id}",
            remedy="Declare it with SubscriptionUpgrade(...) instead of SubscriptionUpgrade.get(...).",
        )
    return _Attempt(partner_center, wanted, call).adopt(source, wait=False)


def is_gone(partner_center: PartnerCenter, customer_id: str, source: str, error: NotFound) -> bool:
    """
    Whether a 404 for the target is definite: Partner Center itself says that the subscription is unknown, or shows the
    source, which proves that customer and identity are right.
    """
    if str(error.code) in SUBSCRIPTION_UNKNOWN:
        return True
    try:
        partner_center.subscription(customer_id, source)
    except PartnerCenterError:
        return False
    return True


class _Attempt:
    """One upgrade under way; it remembers whether a POST may have been performed."""

    def __init__(self, partner_center: PartnerCenter, wanted: WantedUpgrade, call: Call) -> None:
        self._partner_center = partner_center
        self._wanted = wanted
        self._call = call
        self._doubt: PartnerCenterError | None = None

    def send(self, chosen: OfferedUpgrade) -> Upgraded:
        wanted = self._wanted
        while True:
            try:
                result, date = self._partner_center.upgrade(
                    wanted.customer_id,
                    wanted.subscription_id,
                    chosen,
                    request_id=wanted.request_id,
                    call=self._call,
                )
            except (NotSent, SignInError, Unauthorized, Forbidden, Throttled):
                # Certainly not performed by this POST; an earlier one may have been.
                if self._doubt is None:
                    raise
                settled = self._settle()
            except (BadRequest, Conflict, NotFound) as error:
                # A definite no, which an upgrade made by somebody else just now can have caused.
                source = self._source_after(error)
                if left_by_upgrade(source):
                    return self.adopt(source)
                if self._doubt is None:
                    raise
                settled = self._settle()
            except (OutcomeUnknown, ServerError, UnexpectedAnswer) as error:
                self._doubt = error
                settled = self._settle()
            else:
                if not result.upgrade_errors and result.target_subscription_id:
                    return _accepted(wanted, chosen.upgrade, result, date)
                settled = self._refused(chosen.upgrade, result)
            if isinstance(settled, Upgraded):
                return settled
            chosen = settled

    def adopt(self, source: Subscription, *, wait: bool = True) -> Upgraded:
        """The upgrade that suspended *source*, when its target is on the wanted offer."""
        wanted = self._wanted
        clock = self._partner_center.clock
        until = min(self._call.deadline, clock.now() + LISTED_WITHIN)
        looks = 0
        while True:
            try:
                candidates = Candidates.read(self._partner_center, wanted.customer_id, source, self._call)
                target = candidates.target(wanted.target_offer_id)
            except (NotSent, OutcomeUnknown, ServerError, UnexpectedAnswer, Throttled) as error:
                if not wait:
                    raise
                target, why = None, error.known
            else:
                why = "its target is not listed yet"
            if target is not None:
                return Upgraded(
                    source_subscription_id=source.id or wanted.subscription_id,
                    target_subscription_id=target.id or "",
                    target_offer_id=target.offer_id or wanted.target_offer_id,
                    upgrade_type=wanted.upgrade_type,
                    quantity=target.quantity,
                    license_errors=(),
                    adopted=True,
                    target_status=str(target.status or SubscriptionStatus.ACTIVE),
                )
            looks += 1
            pause = growing(looks, first=1.0)
            if not wait or clock.now() + pause >= until or clock.wait(pause):
                raise OutcomeUndecided(
                    f"the subscription was upgraded (it is suspended for Transition), but which subscription it became "
                    f"is not known: {why}",
                    attempted=str(wanted),
                    remedy="New subscriptions can take up to 15 minutes to be listed. Run `pulumi up` again then: "
                    "it upgrades nothing twice, and records the target once it is listed.",
                )

    def _refused(self, chosen: Upgrade, result: UpgradeResult) -> Upgraded | OfferedUpgrade:
        """What to do with a 200 that upgraded nothing, or that does not say what it made."""
        wanted = self._wanted
        listed = reasons(result.upgrade_errors)
        if not result.upgrade_errors:
            self._doubt = OutcomeUnknown("Partner Center answered without a target subscription", attempted=str(wanted))
            return self._settle()
        refusal = NotEligible(
            f"Partner Center refused it: {'; '.join(listed)}. Nothing was upgraded",
            attempted=str(wanted),
            remedy=_remedy(result.upgrade_errors),
        )
        source = self._source_after(refusal)
        if left_by_upgrade(source):
            return self.adopt(source)
        if self._doubt is None and not _is_busy(result.upgrade_errors):
            raise refusal
        self._doubt = self._doubt or refusal
        return self._settle()

    def _source_after(self, error: PartnerCenterError) -> Subscription:
        """The source, read after *error*; when it can't be read, *error* is what the user needs to know."""
        try:
            return self._partner_center.subscription(self._wanted.customer_id, self._wanted.subscription_id, self._call)
        except PartnerCenterError as unreadable:
            if self._doubt is None:
                raise error from None
            raise self._undecided(unreadable) from None

    def _settle(self) -> Upgraded | OfferedUpgrade:
        """Reads until it is certain: the upgrade that was made, or the item that can still be sent."""
        wanted, partner_center, clock = self._wanted, self._partner_center, self._partner_center.clock
        looks = upgradeable = refused = 0
        while True:
            looks += 1
            pause = growing(looks)
            if clock.now() + pause >= self._call.deadline or clock.wait(pause):
                raise self._undecided(None)
            try:
                source = partner_center.subscription(wanted.customer_id, wanted.subscription_id, self._call)
                if left_by_upgrade(source):
                    return self.adopt(source)
                offered = partner_center.upgrades(wanted.customer_id, wanted.subscription_id, self._call)
            except (NotSent, OutcomeUnknown, ServerError, UnexpectedAnswer, Throttled) as error:
                if clock.now() >= self._call.deadline or isinstance(error, NotSent) and clock.wait(0):
                    raise self._undecided(error) from None
                upgradeable = 0
                continue
            except PartnerCenterError as error:
                raise self._undecided(error) from None
            if source.status != SubscriptionStatus.ACTIVE:
                raise self._undecided(None, f". The subscription is now {_state(source)}")
            chosen = _choose(offered, wanted)
            if chosen is not None and _is_eligible(chosen.upgrade):
                upgradeable += 1
                refused = 0
                if upgradeable >= LOOKS:
                    return chosen
            else:
                upgradeable = 0
                refused += not (chosen and _is_busy(chosen.upgrade.upgrade_errors))
                if refused >= LOOKS:
                    raise _not_eligible(wanted, chosen, offered, source, outcome="It was sent, and was not made")

    def _undecided(self, read: PartnerCenterError | None, seen: str = "") -> PartnerCenterError:
        doubt = self._doubt
        known = f"it was sent, and whether it was made is not known. The send ended with: {doubt.known if doubt else ''}"
        known += seen
        if read is not None:
            known += f". Reading the subscription afterwards ended with: {read.known}"
        error = OutcomeUndecided(
            known,
            attempted=str(self._wanted),
            remedy="Run `pulumi up` again: it first reads whether the upgrade was made, records it if so, "
            "and sends it again only if it was not.",
            request_id=self._wanted.request_id,
            correlation_id=self._call.correlation_id,
        )
        error.trace = doubt.trace if doubt else ""
        return error


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


def _choose(offered: Sequence[OfferedUpgrade], wanted: WantedUpgrade) -> OfferedUpgrade | None:
    for item in offered:
        offer = item.upgrade.target_offer
        if offer and same(offer.id, wanted.target_offer_id) and item.upgrade.upgrade_type == wanted.upgrade_type:
            return item
    return None


def _is_eligible(upgrade: Upgrade) -> bool:
    return upgrade.is_eligible is not False and not upgrade.upgrade_errors


def _is_busy(upgrade_errors: Sequence[UpgradeError]) -> bool:
    return any(error.code == UpgradeErrorCode.CONCURRENCY_CONFLICTS for error in upgrade_errors)


def _accepted(wanted: WantedUpgrade, chosen: Upgrade, result: UpgradeResult, date: str) -> Upgraded:
    return Upgraded(
        source_subscription_id=result.source_subscription_id or wanted.subscription_id,
        target_subscription_id=result.target_subscription_id or "",
        target_offer_id=wanted.target_offer_id,
        upgrade_type=wanted.upgrade_type,
        quantity=chosen.quantity,
        license_errors=result.license_errors,
        adopted=False,
        # "An active subscription is created on the target offer" (recorded); a refresh reads it.
        target_status=str(SubscriptionStatus.ACTIVE),
        upgraded_at=_iso(date),
    )


def _iso(date: str) -> str:
    try:
        return parsedate_to_datetime(date).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError):
        return ""


def _state(source: Subscription) -> str:
    status = printable(source.status or "in an unknown state")
    why = ", ".join(printable(reason) for reason in source.suspension_reasons or ())
    return f"{status} ({why})" if why else status


def _not_eligible(
    wanted: WantedUpgrade,
    chosen: OfferedUpgrade | None,
    offered: Sequence[OfferedUpgrade],
    source: Subscription,
    *,
    outcome: str = "Nothing was sent",
) -> NotEligible:
    now = f"The subscription is {_state(source)}, on offer {printable(source.offer_name or source.offer_id or '?')}"
    if chosen is not None:
        listed = "; ".join(reasons(chosen.upgrade.upgrade_errors)) or "without a reason"
        return NotEligible(
            f"Partner Center says that it is not eligible: {listed}. {now}. {outcome}",
            attempted=str(wanted),
            remedy=_remedy(chosen.upgrade.upgrade_errors),
        )
    if same(source.offer_id, wanted.target_offer_id):
        return NotEligible(
            f"it is already on offer {wanted.target_offer_id}, and was not upgraded to it from this resource. "
            f"{outcome}",
            attempted=str(wanted),
            remedy="Remove the resource from the program, or give the subscription_id of the one to upgrade.",
        )
    choices = _choices(offered)
    what = f"{wanted.upgrade_type} to offer {wanted.target_offer_id} is not offered. {now}"
    known = f"{what}. Offered are: {choices}. {outcome}" if choices else (
        f"{what}. Partner Center offers no upgrade for it at all. {outcome}"
    )
    return NotEligible(
        known,
        attempted=str(wanted),
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


_REMEDIES = {
    UpgradeErrorCode.DELEGATED_ADMIN_PERMISSIONS_DISABLED: "Have the customer grant delegated admin permissions (GDAP).",
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
    UpgradeErrorCode.SUBSCRIPTION_NOT_PROVISIONED: "The subscription is still being set up. Run `pulumi up` again later.",
    UpgradeErrorCode.OFFER_DOES_NOT_SUPPORT_BILLING_CYCLE: "Change the subscription's billing cycle to one that the "
    "target offer supports.",
    UpgradeErrorCode.INSUFFICIENT_GRANULAR_ADMIN_PERMISSIONS: "Give the identity a GDAP role for this customer: "
    "Directory Reader or Global Reader for upgrade_only, Directory Writer for upgrade_with_license_transfer.",
}


def _remedy(upgrade_errors: Sequence[UpgradeError]) -> str:
    found = [_REMEDIES[error.code] for error in upgrade_errors if error.code in _REMEDIES]
    return " ".join(dict.fromkeys(found)) or "See the subscription in Partner Center, or ask its support with these ids."
