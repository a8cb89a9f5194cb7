"""
The resource that a program declares.

Without ``from __future__ import annotations``: the SDK reads the annotations anew for each resource, and would have to
compile their texts each time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from pc_provider import program
from pc_provider.inputs import INPUTS, OUTPUTS, snake_case
from pc_provider.provider import SubscriptionUpgradeProvider

__all__ = ["SubscriptionUpgrade"]

_CAMEL_CASE = {snake_case(name): name for name in (*INPUTS, *OUTPUTS)}
_SNAKE_CASE = {name: snake for snake, name in _CAMEL_CASE.items()}


class SubscriptionUpgrade(Resource, module="partnercenter", name="SubscriptionUpgrade"):
    """
    A customer's subscription that belongs on another offer.

    Creating it performs the upgrade, once. From then on another customer, subscription, offer or upgrade type is
    refused at preview. Deleting it only forgets the record: the target stays active and billed.

    Inputs:

    * *customer_id*: the customer's tenant id, a GUID.
    * *subscription_id*: the subscription to upgrade (the source), a GUID. To upgrade further, give the
      ``target_subscription_id`` of another resource.
    * *target_offer_id*: the legacy offer that it belongs on, a GUID.
    * *upgrade_type*: ``upgrade_only`` (default) or ``upgrade_with_license_transfer``, which also moves the users'
      licences and needs an App+User sign-in.
    * *partner*: a name from ``partnercenter:partners``; whose sign-in is used. Changing it sends nothing.

    Source: "Perform a subscription upgrade" and "Transition a subscription" of the Partner Center REST reference.
    """

    customer_id: pulumi.Output[str]
    subscription_id: pulumi.Output[str]
    target_offer_id: pulumi.Output[str]
    upgrade_type: pulumi.Output[str]
    partner: pulumi.Output[str | None]
    source_subscription_id: pulumi.Output[str]
    """The subscription that was upgraded; it is suspended for ``Transition``, not billed, and deleted in 90 days."""
    target_subscription_id: pulumi.Output[str]
    """The subscription that the source became."""
    quantity: pulumi.Output[int]
    """Licences of the target, as last read."""
    license_errors: pulumi.Output[Sequence[Mapping[str, Any]]]
    """The users whose licences were not moved (``user_object_id``, ``name``, ``email``, ``errors``); mostly empty."""
    adopted: pulumi.Output[bool]
    """True where the upgrade was found made, for instance by a run that was killed before it could record it."""
    target_status: pulumi.Output[str]
    """The target's status, as last read: ``active`` after the upgrade; ``pulumi refresh`` reads it again."""
    upgraded_at: pulumi.Output[str | None]
    """When Partner Center accepted the upgrade (its own clock, ISO 8601, UTC); absent for an adopted one."""

    def __init__(
        self,
        resource_name: str,
        *,
        customer_id: pulumi.Input[str] | None = None,
        subscription_id: pulumi.Input[str] | None = None,
        target_offer_id: pulumi.Input[str] | None = None,
        upgrade_type: pulumi.Input[str] = "upgrade_only",
        partner: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        declared: dict[str, Any] = {
            "customer_id": customer_id,
            "subscription_id": subscription_id,
            "target_offer_id": target_offer_id,
            "upgrade_type": upgrade_type,
            "partner": partner,
        }
        outputs = {_SNAKE_CASE[name]: None for name in OUTPUTS}
        program.wait_in_turn()
        super().__init__(SubscriptionUpgradeProvider(), resource_name, {**outputs, **declared}, opts)
        if pulumi.runtime.is_dry_run() and not (opts and opts.id):
            from pc_provider.eligibility import ask_at_preview

            ask_at_preview(self, resource_name, {_CAMEL_CASE[name]: value for name, value in declared.items()})

    @staticmethod
    def get(resource_name: str, id: str, opts: pulumi.ResourceOptions | None = None) -> "SubscriptionUpgrade":  # noqa: A002
        """
        Reads an upgrade that was made elsewhere; *id* is ``customer/source``. Needs the Pulumi SDK 3.272 or newer.

        Nothing is upgraded. The program fails where the source was not upgraded, or where several subscriptions could
        be what it became.
        """
        return SubscriptionUpgrade(
            resource_name, opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id))
        )

    def translate_input_property(self, prop: str) -> str:
        """snake_case to the wire's camelCase."""
        return _CAMEL_CASE.get(prop, prop)

    def translate_output_property(self, prop: str) -> str:
        """The wire's camelCase to snake_case."""
        # Nested names (of licence errors) are none of ours, and are translated like all others.
        return _SNAKE_CASE.get(prop) or (prop if prop.startswith("__") else snake_case(prop))
