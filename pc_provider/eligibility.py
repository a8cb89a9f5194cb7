"""
What preview shows, for all resources at once.

Pulumi's preview never calls `create`, and calls `check` and `diff` one after the other. So the program asks: while it
previews, each resource that the stack does not have yet looks up whether Partner Center would upgrade it, all of them
at the same time. Every one that it would not is reported on its own resource, and the preview fails after the last.
Nothing that preview learned is used by `up`, which asks again before it sends.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pulumi

from pc_provider import inputs, program
from pc_provider.partner_center.errors import PartnerCenterError, printable

if TYPE_CHECKING:
    from pc_provider.upgrade import WantedUpgrade

__all__ = ["ask_at_preview"]


class _Preview:
    """The look-ups of one preview, and what they found."""

    def __init__(self) -> None:
        self.pending = 0
        self.failed = False
        self.noticed = False
        self.counts = {"to upgrade": 0, "already done": 0, "not eligible": 0, "unknown": 0}
        self._declared: dict[str, tuple[str, str]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def declare(self, name: str, wanted: WantedUpgrade) -> str:
        """The resource that upgrades the same subscription to another offer and came first, else *name*."""
        offer = wanted.target_offer_id.lower()
        first, its_offer = self._declared.setdefault(wanted.identity, (name, offer))
        return name if its_offer == offer else first

    def pool(self, threads: int) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(threads, thread_name_prefix="eligibility")
            return self._pool


_preview = _Preview()


def ask_at_preview(resource: pulumi.CustomResource, name: str, declared: Mapping[str, Any]) -> None:
    """Looks up the eligibility of *resource*, whose inputs are *declared* (by their names on the wire)."""
    try:
        settings = program.settings()
    except PartnerCenterError:
        return  # The provider's check reports it, for every resource in the same words.
    if not settings.check_eligibility:
        return
    _preview.pending += 1

    async def ask(values: dict[str, Any]) -> None:
        try:
            await _ask(resource, name, inputs.normalise(values))
        finally:
            _preview.pending -= 1
        if _preview.pending == 0:
            _finish()

    known: pulumi.Output[Any] = pulumi.Output.from_input(dict(declared))
    # Runs for unknown inputs too, so that the last look-up knows that it is the last.
    _: pulumi.Output[None] = known.apply(ask, run_with_unknowns=True)


async def _ask(resource: pulumi.CustomResource, name: str, values: dict[str, Any]) -> None:
    counts = _preview.counts
    unknown = any(inputs.is_unknown(value) for value in values.values())
    if not unknown and inputs.failures(values):
        return  # The provider's check names them.
    wanted = None if unknown else inputs.wanted_upgrade(values)
    # Before anything is awaited, so that of two the one declared first is the first.
    first = _preview.declare(name, wanted) if wanted else name
    if await resource.id.is_known():
        counts["already done"] += 1
        return
    if wanted is None:
        counts["unknown"] += 1
        return
    partner = values.get("partner")
    try:
        settings = program.settings().for_partner(partner)
    except PartnerCenterError:
        return
    if settings.sign_in is None:
        counts["unknown"] += 1
        _notice()
        return
    if first != name:
        await _report(
            resource,
            f"{wanted}: the resource {printable(first)} already upgrades this subscription, to another offer\n"
            f"What to do: remove one of the two, or give this one the target_subscription_id of the other.",
        )
        return
    loop = asyncio.get_running_loop()
    try:
        done, text = await loop.run_in_executor(_preview.pool(settings.max_concurrency), _look_up, partner, wanted)
    except PartnerCenterError as error:
        from pc_provider import refusal, target

        definite = isinstance(error, refusal.NotEligible | target.AlreadyUpgraded | target.AmbiguousTarget)
        await _report(resource, str(error), "not eligible" if definite else "unknown")
    else:
        counts["already done" if done else "to upgrade"] += 1
        pulumi.log.info(text, resource)


def _look_up(partner: str | None, wanted: WantedUpgrade) -> tuple[bool, str]:
    """Whether the upgrade was made already, and what to tell."""
    from pc_provider import upgrade

    settings = program.settings().for_partner(partner)
    timeout = min(settings.upgrade_timeout, 4 * settings.request_timeout)
    found = upgrade.eligibility(program.partner_center(partner), wanted, timeout=timeout)
    if isinstance(found, upgrade.Upgraded):
        became = f"was already upgraded: subscription {found.target_subscription_id} is on the offer."
        return True, f"{became} `pulumi up` sends nothing and records it."
    offer = found.target_offer
    title = printable((offer and offer.name) or wanted.target_offer_id, 100)
    unit = printable((offer and offer.unit_type) or "licences", 40).lower()
    quantity = f", {found.quantity} {unit}" if found.quantity is not None else ""
    moved = " with the users' licences" if wanted.upgrade_type == "upgrade_with_license_transfer" else ""
    return False, f"will be upgraded to {title}{quantity}{moved}. It can't be undone."


async def _report(resource: pulumi.CustomResource, text: str, what: str = "not eligible") -> None:
    _preview.counts[what] += 1
    _preview.failed = True
    # The message waits for the URN in a task of its own, and is lost when the program ends before that.
    await resource.urn.future()
    pulumi.log.error(text, resource)


def _notice() -> None:
    if not _preview.noticed:
        _preview.noticed = True
        pulumi.log.info(
            "Eligibility was not checked: nothing is configured to sign in to Partner Center with. `pulumi up` will "
            "need it."
        )


def _finish() -> None:
    counts = _preview.counts
    summary = "Partner Center upgrades: " + ", ".join(f"{count} {what}" for what, count in counts.items())
    if _preview.failed:
        raise pulumi.RunError(f"{summary}. Nothing was sent; see the errors above.")
    pulumi.log.info(summary)
