"""Look-ups for programs: what a subscription is, and what it can become."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi

from pc_provider import program

if TYPE_CHECKING:
    from pc_provider.partner_center.models import Subscription, Upgrade

__all__ = ["get_subscription", "get_subscription_output", "get_upgrades", "get_upgrades_output"]

Found = TypeVar("Found")


def get_upgrades(customer_id: str, subscription_id: str, *, partner: str | None = None) -> list[Upgrade]:
    """
    What the subscription can become: one item for each target offer and upgrade type, empty without a path.

    Asks at preview too, each time the program runs. Raises PartnerCenterError. Source: `GET …/upgrades` of the
    reference.
    """
    return [item.upgrade for item in program.partner_center(partner).upgrades(customer_id, subscription_id)]


def get_subscription(customer_id: str, subscription_id: str, *, partner: str | None = None) -> Subscription:
    """
    One subscription of a customer, as Partner Center shows it now.

    Asks at preview too, each time the program runs. Raises PartnerCenterError. Source: `GET …/subscriptions/{id}` of
    the reference.
    """
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
