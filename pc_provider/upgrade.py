"""
The rules: what an upgrade needs, when it is refused, adopted, or sent again.

    eligibility (GET) ── eligible ──> POST ── accepted ──> Upgraded
          │                            │
          │ not eligible, not offered  │ lost answer, 5xx, refused: which something else may have caused
          v                            v
        read the source ───────────> read the source until it is certain
          │ suspended for Transition: find the target, adopt it
          │ still active and offered, and the answer was lost: send again, with the same request id
          └ anything else: an error that says what is known

At most one upgrade of a source is ever performed: a source that was upgraded is suspended for ``Transition`` and no
longer eligible (recorded), and nothing is sent that a read did not show to be still possible.
"""

from __future__ import annotations

from collections.abc import Callable

from pc_provider.attempt import Attempt, OutcomeUndecided, Upgraded, WantedUpgrade, choose, is_eligible
from pc_provider.partner_center.client import Call, OfferedUpgrade, PartnerCenter
from pc_provider.partner_center.errors import (
    NotFound,
    NotSent,
    OutcomeUnknown,
    PartnerCenterError,
    ServerError,
    UnexpectedAnswer,
)
from pc_provider.partner_center.models import Subscription, Upgrade
from pc_provider.refusal import NotEligible, not_eligible, state
from pc_provider.target import AlreadyUpgraded, left_by_upgrade

__all__ = [
    "AlreadyUpgraded",
    "NotEligible",
    "OutcomeUndecided",
    "Upgraded",
    "WantedUpgrade",
    "eligibility",
    "find_upgraded",
    "is_eligible",
    "is_gone",
    "perform",
]

# Codes of a 404 that speak of the subscription, not of the customer or the partner.
SUBSCRIPTION_UNKNOWN = ("20003", "800002")


def perform(
    partner_center: PartnerCenter,
    wanted: WantedUpgrade,
    *,
    timeout: float,
    tell: Callable[[str], None] = lambda text: None,
) -> Upgraded:
    """
    Makes the upgrade, or finds that it was made; at most *timeout* seconds. *tell* gets a line before a long wait.

    Raises :class:`NotEligible`, :class:`AlreadyUpgraded` (the source went to another offer), :class:`OutcomeUndecided`,
    or the error of the call that failed. Once Partner Center has accepted the upgrade, nothing is raised.
    """
    call = partner_center.call(timeout)
    found = _look(partner_center, wanted, call)
    attempt = Attempt(partner_center, wanted, call, tell)
    return attempt.send(found) if isinstance(found, OfferedUpgrade) else attempt.adopt(found)


def eligibility(partner_center: PartnerCenter, wanted: WantedUpgrade, *, timeout: float) -> Upgrade | Upgraded:
    """
    What :func:`perform` would do now, without doing it: the eligible item, or the upgrade that it would adopt.

    Raises what :func:`perform` would raise before it sends.
    """
    call = partner_center.call(timeout)
    found = _look(partner_center, wanted, call)
    if isinstance(found, OfferedUpgrade):
        return found.upgrade
    return Attempt(partner_center, wanted, call).adopt(found, wait=False)


def _look(partner_center: PartnerCenter, wanted: WantedUpgrade, call: Call) -> OfferedUpgrade | Subscription:
    """What can be sent, or the source when an upgrade has left it. Raises :class:`NotEligible` for anything else."""
    try:
        offered = partner_center.upgrades(wanted.customer_id, wanted.subscription_id, call)
        chosen = choose(offered, wanted)
        if chosen is not None and is_eligible(chosen.upgrade):
            return chosen
        source = partner_center.subscription(wanted.customer_id, wanted.subscription_id, call)
    except (NotSent, OutcomeUnknown, ServerError, UnexpectedAnswer) as error:
        error.remedy = error.remedy or "No upgrade was sent. Run the same command again."
        raise
    if left_by_upgrade(source):
        return source
    raise not_eligible(*wanted.described, chosen, offered, source)


def find_upgraded(partner_center: PartnerCenter, customer_id: str, subscription_id: str, *, timeout: float) -> Upgraded:
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
            f"it was not upgraded; it is {state(source)}",
            attempted=f"Finding the upgrade of subscription {subscription_id} of customer {customer_id}",
            remedy="Declare it with SubscriptionUpgrade(...) instead of SubscriptionUpgrade.get(...).",
        )
    return Attempt(partner_center, wanted, call).adopt(source, wait=False)


def is_gone(partner_center: PartnerCenter, customer_id: str, source: str, target: str, error: NotFound) -> bool:
    """
    Whether a 404 for the target is definite: Partner Center itself says that the subscription is unknown, or shows the
    source, which proves that customer and identity are right, and still answers 404 for the target.
    """
    if str(error.code) in SUBSCRIPTION_UNKNOWN:
        return True
    try:
        partner_center.subscription(customer_id, source)
    except PartnerCenterError:
        return False
    try:
        partner_center.subscription(customer_id, target)
    except NotFound:
        return True
    except PartnerCenterError:
        return False
    return False
