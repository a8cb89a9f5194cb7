"""
Which subscription a source became, found from what Partner Center shows and nothing else.

No field links the two. Known is: the source is suspended for ``Transition``, its target is another subscription of the
customer, on the wanted offer or another that the source's upgrade list names, active and with the source's quantity at
the time (recorded), and listed within 15 minutes (documented). So the subscriptions on those offers are candidates.
Where one that is alive on the wanted offer has the source's quantity, only those with it, and those alive on the wanted
offer, remain; one that only another suspended source can have become is not this one's.

One candidate left is the target: at once when offer, quantity and status are as the upgrade made them and no other
suspended source could have become it; otherwise once every target must be listed. None is "not listed yet", several are
an error that names them. Never a guess by clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """
    The subscriptions that *source* can have become.

    They are *likely* when they have its quantity and are not all another's. *rivals* are other suspended sources that
    may have become one of them; *sent* says whether this run sent the upgrade, for the messages.
    """

    customer_id: str
    source: Subscription
    found: Sequence[Subscription]
    likely: bool
    rivals: Sequence[Subscription]
    sent: bool

    @classmethod
    def read(
        cls,
        partner_center: PartnerCenter,
        customer_id: str,
        source: Subscription,
        offer_id: str,
        call: Call,
        *,
        sent: bool = False,
    ) -> Candidates:
        """Reads them: the customer's subscriptions on *offer_id* or another offer that the source was offered."""
        held = partner_center.subscriptions(customer_id, call)
        paths = _Paths(partner_center, customer_id, call)
        of_source = paths.of(source) | ({offer_id.lower()} if offer_id else set())
        found = _on(of_source, source, held)
        likely, rivals = False, []
        if any(_alive(one) and (not offer_id or same(one.offer_id, offer_id)) for one in _fitting(found, source)):
            # Licences may have been added since: one on the wanted offer is not ruled out by another that fits.
            found = [
                one
                for one in found
                if one.quantity == source.quantity or (_alive(one) and same(one.offer_id, offer_id))
            ]
        if found:
            others = [one for one in held if left_by_upgrade(one) and not same(one.id, source.id)]
            claims = {other.id: _on(paths.of(other), other, held) for other in others}
            taken = _taken({other.id: _fitting(claims[other.id], other) for other in others})
            left = [one for one in found if one.id not in taken.values()]
            likely = bool(_fitting(left, source))
            # Where none that fits is left, it may be the others who became something else than what fits them.
            found = left if likely else found
            rivals = [
                other
                for other in others
                if not (likely and other.id in taken) and any(one in claims[other.id] for one in found)
            ]
        return cls(customer_id, source, found, likely, rivals, sent)

    def target(self, offer_id: str, *, all_listed: bool) -> Subscription | None:
        """
        The target, when it is on *offer_id* ("" for any); None while that is not certain.

        *all_listed* says that every target must be listed by now. Raises :class:`AlreadyUpgraded` when it went to
        another offer and :class:`AmbiguousTarget` when several fit.
        """
        if not self.found or not (self.likely or all_listed):
            return None
        if len(self.found) > 1 or (self.rivals and not self.likely):
            raise self._ambiguous()
        target = self.found[0]
        wanted = not offer_id or same(target.offer_id, offer_id)
        if not wanted and (all_listed or (_alive(target) and not self.sent)):
            raise AlreadyUpgraded(
                f"it was already upgraded, to {_describe(target)}; asked for is offer {offer_id}. {self._outcome}",
                attempted=self._attempted,
                remedy=f"Set target_offer_id to {printable(target.offer_id, 64)} to record that upgrade; to upgrade "
                f"further, declare a new resource whose subscription_id is {printable(target.id, 64)}. If it was "
                "upgraded less than 15 minutes ago, run `pulumi up` again later first: all it became may not be "
                "listed yet.",
            )
        return target if all_listed or (wanted and _alive(target) and not self.rivals) else None

    @property
    def described(self) -> str:
        """The candidates, for a message."""
        return "; ".join(_describe(candidate) for candidate in self.found)

    @property
    def _attempted(self) -> str:
        return f"The upgrade of subscription {self.source.id} of customer {self.customer_id}"

    @property
    def _outcome(self) -> str:
        return "It was not upgraded a second time" if self.sent else "Nothing was sent"

    def _ambiguous(self) -> AmbiguousTarget:
        also = f" {len(self.rivals)} other upgraded subscription(s) can have become the same" if self.rivals else ""
        return AmbiguousTarget(
            "it was already upgraded (it is suspended for Transition), and which subscription it became can't be told. "
            f"It can be: {self.described}.{also} {self._outcome}",
            attempted=self._attempted,
            remedy="See in Partner Center which one it became. Remove this resource from the program and, to "
            "upgrade further, declare one whose subscription_id is that one.",
        )


class _Paths:
    """The offers that a customer's subscriptions could become: they depend on the offer that each is on."""

    def __init__(self, partner_center: PartnerCenter, customer_id: str, call: Call) -> None:
        self._partner_center = partner_center
        self._customer_id = customer_id
        self._call = call
        self._known: dict[str, set[str]] = {}

    def of(self, subscription: Subscription) -> set[str]:
        offer_id = (subscription.offer_id or "").lower()
        if offer_id not in self._known:
            offered = self._partner_center.upgrades(self._customer_id, subscription.id or "", self._call)
            self._known[offer_id] = {
                (item.upgrade.target_offer.id or "").lower() for item in offered if item.upgrade.target_offer
            }
        return self._known[offer_id]


def _on(offers: set[str], source: Subscription, held: Sequence[Subscription]) -> list[Subscription]:
    return [one for one in held if (one.offer_id or "").lower() in offers and not same(one.id, source.id)]


def _alive(subscription: Subscription) -> bool:
    """Whether it is as an upgrade leaves a target, or was itself upgraded since."""
    return subscription.status == SubscriptionStatus.ACTIVE or left_by_upgrade(subscription)


def _fitting(candidates: Sequence[Subscription], source: Subscription) -> list[Subscription]:
    return [one for one in candidates if one.quantity == source.quantity]


def _taken(claims: Mapping[str | None, Sequence[Subscription]]) -> dict[str | None, str | None]:
    """What must belong to whom: each source that has one claim left takes it from the others."""
    taken: dict[str | None, str | None] = {}
    while True:
        for source, claimed in claims.items():
            left = [one.id for one in claimed if one.id not in taken.values()]
            if source not in taken and len(left) == 1:
                taken[source] = left[0]
                break
        else:
            return taken


def _describe(subscription: Subscription) -> str:
    name = f", {printable(subscription.offer_name, 100)}" if subscription.offer_name else ""
    return (
        f"subscription {printable(subscription.id, 64)} (offer {printable(subscription.offer_id, 64)}{name}, "
        f"quantity {subscription.quantity}, {printable(subscription.status, 40)})"
    )
