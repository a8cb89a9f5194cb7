"""One upgrade under way: sent, adopted, or read about until it is certain which. ``upgrade`` has the whole picture."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from pc_provider.partner_center.client import Call, OfferedUpgrade, PartnerCenter
from pc_provider.partner_center.delivery import growing
from pc_provider.partner_center.errors import (
    NotSent,
    OutcomeUnknown,
    PartnerCenterError,
    ServerError,
    ServiceError,
    SignInError,
    Throttled,
    Unauthorized,
    UnexpectedAnswer,
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
from pc_provider.refusal import not_eligible, refused, state
from pc_provider.target import AlreadyUpgraded, AmbiguousTarget, Candidates, left_by_upgrade, same

__all__ = ["Attempt", "OutcomeUndecided", "Upgraded", "WantedUpgrade", "accepted", "choose", "is_eligible"]

# What an upgrade *is* decides its request id, so every process that tries it sends the same one.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:partnercenter:subscription-upgrade")

# How long a new subscription may take to be listed (documented: up to 15 minutes), in seconds.
LISTED_WITHIN = 15 * 60.0

# Looks for a target after which the user is told what is waited for (about 7 seconds).
TELL_AFTER = 4

# Looks at a source, in a row, that must show it still upgradeable before the upgrade is sent again.
LOOKS = 2


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

    @property
    def described(self) -> tuple[str, str, str]:
        """What a message needs: the attempt, the target offer and the upgrade type."""
        return str(self), self.target_offer_id, self.upgrade_type

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


class Attempt:
    """
    One upgrade under way.

    *_doubt* is how the last POST ended that may have been performed, *_busy* the refusal of one that met another
    change of the subscription; *_looks* counts the reads since the first of either, so that their pauses grow.
    """

    def __init__(
        self,
        partner_center: PartnerCenter,
        wanted: WantedUpgrade,
        call: Call,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._tell = tell
        self._partner_center = partner_center
        self._wanted = wanted
        self._call = call
        self._sent = False
        self._doubt: PartnerCenterError | None = None
        self._busy: PartnerCenterError | None = None
        self._looks = 0

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
            except (NotSent, SignInError, Unauthorized, Throttled):
                # Certainly not performed by this POST; an earlier one may have been.
                if self._doubt is None:
                    raise
                settled = self._settle()
            except (OutcomeUnknown, ServiceError) as error:
                self._sent = True
                if isinstance(error, ServiceError) and _is_definite(error):
                    # A no, which an upgrade made by somebody else just now can have caused.
                    source = self._source_after(error)
                    if left_by_upgrade(source):
                        return self.adopt(source)
                    if self._doubt is None:
                        raise
                else:
                    self._doubt = error
                settled = self._settle()
            else:
                if not result.upgrade_errors and result.target_subscription_id:
                    return accepted(wanted, chosen.upgrade, result, date)
                self._sent = True
                settled = self._refused(result)
            if isinstance(settled, Upgraded):
                return settled
            chosen = settled

    def adopt(self, source: Subscription, *, wait: bool = True) -> Upgraded:
        """
        The upgrade that suspended *source*, when its target is on the wanted offer.

        Waits until every target must be listed, where what is listed is not certain; without *wait* it is taken as it
        is.
        """
        wanted, clock = self._wanted, self._partner_center.clock
        all_listed = clock.now() + LISTED_WITHIN
        looks = 0
        while True:
            looked = clock.now()
            why = "its target is not listed"
            try:
                candidates = Candidates.read(
                    self._partner_center,
                    wanted.customer_id,
                    source,
                    wanted.target_offer_id,
                    self._call,
                    sent=self._sent,
                )
                target = candidates.target(wanted.target_offer_id, all_listed=not wait or looked >= all_listed)
            except (AlreadyUpgraded, AmbiguousTarget):
                raise
            except PartnerCenterError as error:
                if not wait:
                    raise
                passes = isinstance(error, NotSent | OutcomeUnknown | ServerError | UnexpectedAnswer | Throttled)
                if not passes:
                    raise self._unfound(error.known) from None
                target, why = None, error.known
            else:
                if candidates.found:
                    why = f"only {candidates.described} is listed, and its own target may be listed later"
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
            if looks == TELL_AFTER:
                self._tell(
                    f"{wanted} was made; which subscription it became is not certain yet ({why}). Waiting until it is "
                    f"listed, at most {LISTED_WITHIN / 60:.0f} minutes. One ^C ends this, and loses nothing."
                )
            pause = growing(looks, first=1.0)
            if not wait or looked >= all_listed or clock.now() + pause >= self._call.deadline or clock.wait(pause):
                raise self._unfound(why)

    def _unfound(self, why: str) -> OutcomeUndecided:
        return OutcomeUndecided(
            f"the subscription was upgraded (it is suspended for Transition), but which subscription it became "
            f"is not known: {why}",
            attempted=str(self._wanted),
            remedy="New subscriptions can take up to 15 minutes to be listed. Run `pulumi up` again then: "
            "it upgrades nothing twice, and records the target once it is listed. Where partnercenter:upgradeTimeout "
            f"is below {LISTED_WITHIN:.0f} s, raise it. If the target was deleted, remove the resource from the "
            "program.",
            correlation_id=self._call.correlation_id,
        )

    def _refused(self, result: UpgradeResult) -> Upgraded | OfferedUpgrade:
        """What to do with a 200 that upgraded nothing, or that does not say what it made."""
        wanted = self._wanted
        if not result.upgrade_errors:
            self._doubt = OutcomeUnknown("Partner Center answered without a target subscription", attempted=str(wanted))
            return self._settle()
        refusal = refused(str(wanted), result.upgrade_errors)
        source = self._source_after(refusal)
        if left_by_upgrade(source):
            return self.adopt(source)
        if self._doubt is None and not _is_busy(result.upgrade_errors):
            raise refusal
        self._busy = refusal
        return self._settle()

    def _source_after(self, error: PartnerCenterError) -> Subscription:
        """The source, read after *error*; when it can't be read, *error* is what the user needs to know."""
        try:
            return self._partner_center.subscription(self._wanted.customer_id, self._wanted.subscription_id, self._call)
        except PartnerCenterError as unreadable:
            if self._doubt is None:
                error.known += f". Whether another request upgraded it could not be read: {unreadable.known}"
                raise error from None
            raise self._undecided(unreadable) from None

    def _settle(self) -> Upgraded | OfferedUpgrade:
        """Reads until it is certain: the upgrade that was made, or the item that can still be sent."""
        wanted, partner_center, clock = self._wanted, self._partner_center, self._partner_center.clock
        upgradeable = refused = 0
        seen = ""
        while True:
            self._looks += 1
            pause = growing(self._looks)
            if clock.now() + pause >= self._call.deadline:
                raise self._undecided(None, f"{seen}. The time allowed (partnercenter:upgradeTimeout) is over")
            if clock.wait(pause):
                raise self._undecided(None, f"{seen}. The run was stopped")
            try:
                source = partner_center.subscription(wanted.customer_id, wanted.subscription_id, self._call)
                seen = f". The subscription was last read as {state(source)}"
                left = left_by_upgrade(source)
                offered = (
                    [] if left else partner_center.upgrades(wanted.customer_id, wanted.subscription_id, self._call)
                )
            except (NotSent, OutcomeUnknown, ServerError, UnexpectedAnswer, Throttled) as error:
                if clock.now() >= self._call.deadline or (isinstance(error, NotSent) and clock.wait(0)):
                    raise self._undecided(error) from None
                upgradeable = 0
                continue
            except PartnerCenterError as error:
                raise self._undecided(error) from None
            if left:
                return self.adopt(source)
            if source.status != SubscriptionStatus.ACTIVE:
                raise self._undecided(None, f". The subscription is now {state(source)}")
            chosen = choose(offered, wanted)
            if chosen is not None and is_eligible(chosen.upgrade):
                upgradeable += 1
                refused = 0
                if upgradeable >= LOOKS:
                    return chosen
            else:
                upgradeable = 0
                refused += not (chosen and _is_busy(chosen.upgrade.upgrade_errors))
                if refused >= LOOKS:
                    raise not_eligible(
                        *wanted.described,
                        chosen,
                        offered,
                        source,
                        outcome="It was sent, and had not been made when this was read",
                    )

    def _undecided(self, read: PartnerCenterError | None, seen: str = "") -> PartnerCenterError:
        doubt = self._doubt
        if doubt is None and self._busy is not None:
            return self._busy
        known = (
            f"it was sent, and whether it was made is not known. The send ended with: {doubt.known if doubt else ''}"
        )
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


def choose(offered: Sequence[OfferedUpgrade], wanted: WantedUpgrade) -> OfferedUpgrade | None:
    for item in offered:
        offer = item.upgrade.target_offer
        if offer and same(offer.id, wanted.target_offer_id) and item.upgrade.upgrade_type == wanted.upgrade_type:
            return item
    return None


def is_eligible(upgrade: Upgrade) -> bool:
    return upgrade.is_eligible is not False and not upgrade.upgrade_errors


def _is_definite(error: ServiceError) -> bool:
    """Whether this answer to a POST says that it did no work. 408 is a gateway that gave up waiting for one."""
    return 300 <= error.status < 500 and error.status != 408


def _is_busy(upgrade_errors: Sequence[UpgradeError]) -> bool:
    return any(error.code == UpgradeErrorCode.CONCURRENCY_CONFLICTS for error in upgrade_errors)


def accepted(wanted: WantedUpgrade, chosen: Upgrade, result: UpgradeResult, date: str) -> Upgraded:
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
        moment = parsedate_to_datetime(date)
        return (moment.astimezone(timezone.utc) if moment.tzinfo else moment).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError):
        return ""
