"""
Which subscription a source became, found from what Partner Center shows and nothing else.

No field links the two. Known is: the source is suspended for ``Transition``, its target is another subscription of the
customer, on one of the offers that the source's upgrade list names, with the source's quantity at the time (recorded).
So: the subscriptions on those offers are candidates; those with the source's quantity go first; one that can only be
the target of another suspended source is not this one's. Exactly one left is the target, none is "not listed yet",
several are an error that names them. Never a guess by clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pc_provider.partner_center.client import Call, PartnerCenter
from pc_provider.partner_center.errors import PartnerCenterError, printable
from pc_provider.partner_center.models import Subscription, SubscriptionStatus

__all__ = ["AlreadyUpgraded", "AmbiguousTarget", "Candidates", "left_by_upgrade", "same"]

TRANSITION = "transition"


class AlreadyUpgraded(PartnerCenterError):
    """The source was already upgraded, to another offer than the wanted one. Nothing was sent."""


class AmbiguousTarget(PartnerCenterError):
    """The source was already upgraded, and several subscriptions could be what it became. Nothing was sent."""


def same(one: str | None, other: str | None) -> bool:
    """Whether two ids are the same; Partner Center answers them in mixed case."""
    return (one or "").lower() == (other or "").lower()


def left_by_upgrade(subscription: Subscription) -> bool:
    """Whether *subscription* is a source that an upgrade has left: suspended, and for ``Transition``."""
    suspended = subscription.status == SubscriptionStatus.SUSPENDED
    return suspended and any(str(reason).lower() == TRANSITION for reason in subscription.suspension_reasons or ())


class Candidates(NamedTuple):
    """The subscriptions that *source* can have become."""

    customer_id: str
    source: Subscription
    found: Sequence[Subscription]

    @classmethod
    def read(cls, partner_center: PartnerCenter, customer_id: str, source: Subscription, call: Call) -> Candidates:
        """Reads them: what the source could become, and what the customer holds."""
        held = partner_center.subscriptions(customer_id, call)
        found = _possible(partner_center, customer_id, source, held, call)
        if len(found) > 1:
            for other in held:
                if left_by_upgrade(other) and not same(other.id, source.id):
                    theirs = _possible(partner_center, customer_id, other, held, call)
                    if len(theirs) == 1:
                        found = [candidate for candidate in found if not same(candidate.id, theirs[0].id)]
        return cls(customer_id, source, found)

    def target(self, offer_id: str) -> Subscription | None:
        """
        The target, when it is on *offer_id* ("" for any); None while there is no candidate.

        Raises :class:`AlreadyUpgraded` when it went to another offer and :class:`AmbiguousTarget` when several fit.
        """
        if not self.found:
            return None
        what = f"The upgrade of subscription {self.source.id} of customer {self.customer_id}"
        if len(self.found) > 1:
            raise AmbiguousTarget(
                "it was already upgraded (it is suspended for Transition), and several subscriptions can be what it "
                f"became: {'; '.join(_describe(candidate) for candidate in self.found)}. Nothing was sent",
                attempted=what,
                remedy="See in Partner Center which one it became. Remove this resource from the program and, to "
                "upgrade further, declare one whose subscription_id is that one.",
            )
        target = self.found[0]
        if offer_id and not same(target.offer_id, offer_id):
            raise AlreadyUpgraded(
                f"it was already upgraded, to {_describe(target)}; asked for is offer {offer_id}. Nothing was sent",
                attempted=what,
                remedy=f"Set target_offer_id to {printable(target.offer_id, 64)} to record that upgrade; to upgrade "
                f"further, declare a new resource whose subscription_id is {printable(target.id, 64)}.",
            )
        return target


def _possible(
    partner_center: PartnerCenter,
    customer_id: str,
    source: Subscription,
    held: Sequence[Subscription],
    call: Call,
) -> list[Subscription]:
    offered = partner_center.upgrades(customer_id, source.id or "", call)
    paths = {(item.upgrade.target_offer.id or "").lower() for item in offered if item.upgrade.target_offer}
    found = [
        subscription
        for subscription in held
        if (subscription.offer_id or "").lower() in paths
        and not same(subscription.id, source.id)
        and subscription.status != SubscriptionStatus.DELETED
    ]
    fitting = [subscription for subscription in found if subscription.quantity == source.quantity]
    return fitting or found


def _describe(subscription: Subscription) -> str:
    name = f", {printable(subscription.offer_name, 100)}" if subscription.offer_name else ""
    return (
        f"subscription {printable(subscription.id, 64)} (offer {printable(subscription.offer_id, 64)}{name}, "
        f"quantity {subscription.quantity}, {printable(subscription.status, 40)})"
    )
