"""
Look-ups for programs: what a subscription is, and what it can become.

A look-up that fails ends the program with one clean message: it raises ``pulumi.RunError``, whose ``__cause__`` is the
error of ``partner_center.errors`` for a program that wants to go on without the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi

from pc_provider import inputs, program
from pc_provider.partner_center.errors import PartnerCenterError

if TYPE_CHECKING:
    from pc_provider.partner_center.models import Subscription, Upgrade

__all__ = ["get_subscription", "get_subscription_output", "get_upgrades", "get_upgrades_output"]

Found = TypeVar("Found")


def get_upgrades(customer_id: str, subscription_id: str, *, partner: str | None = None) -> list[Upgrade]:
    """
    What the subscription can become: one item for each target offer and upgrade type, empty without a path.

    Asks at preview too, each time the program runs. Raises ``pulumi.RunError``. Source: `GET …/upgrades` of the
    reference.
    """
    with _clean(customer_id, subscription_id):
        return [item.upgrade for item in program.partner_center(partner).upgrades(customer_id, subscription_id)]


def get_subscription(customer_id: str, subscription_id: str, *, partner: str | None = None) -> Subscription:
    """
    One subscription of a customer, as Partner Center shows it now.

    Asks at preview too, each time the program runs. Raises ``pulumi.RunError``. Source: `GET …/subscriptions/{id}` of
    the reference.
    """
    with _clean(customer_id, subscription_id):
        return program.partner_center(partner).subscription(customer_id, subscription_id)


def get_upgrades_output(
    customer_id: pulumi.Input[str],
    subscription_id: pulumi.Input[str],
    *,
    partner: pulumi.Input[str] | None = None,
) -> pulumi.Output[list[Upgrade]]:
    """:func:`get_upgrades` for inputs; unknown while they are."""
    return _later(get_upgrades, customer_id, subscription_id, partner)


def get_subscription_output(
    customer_id: pulumi.Input[str],
    subscription_id: pulumi.Input[str],
    *,
    partner: pulumi.Input[str] | None = None,
) -> pulumi.Output[Subscription]:
    """:func:`get_subscription` for inputs; unknown while they are."""
    return _later(get_subscription, customer_id, subscription_id, partner)


@contextlib.contextmanager
def _clean(customer_id: str, subscription_id: str) -> Iterator[None]:
    named = (("customerId", customer_id), ("subscriptionId", subscription_id))
    wrong = [reason for name, value in named for reason in inputs.guid_problems(name, value)]
    if wrong:
        raise pulumi.RunError(f"The look-up was not sent: {'; '.join(wrong)}")
    try:
        yield
    except PartnerCenterError as error:
        raise pulumi.RunError(str(error)) from error


def _later(
    look_up: Callable[..., Found],
    customer_id: pulumi.Input[str],
    subscription_id: pulumi.Input[str],
    partner: pulumi.Input[str] | None,
) -> pulumi.Output[Found]:
    async def ask(values: list[Any]) -> Found:
        # A thread, so that many look-ups of a program run at once.
        return await asyncio.to_thread(look_up, values[0], values[1], partner=values[2])

    return pulumi.Output.all(customer_id, subscription_id, partner).apply(ask)
