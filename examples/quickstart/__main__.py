"""This customer's Office 365 Enterprise E1 subscription belongs on E3."""

import pulumi

from pc_provider import SubscriptionUpgrade

# A customer, its subscription and the offer E3, as the emulator knows them. For your own:
# `pulumi config set customerId ...`, `subscriptionId` and `targetOfferId`.
config = pulumi.Config()

upgrade = SubscriptionUpgrade(
    "contoso-e3",
    customer_id=config.get("customerId") or "0c39d6d5-c70d-4c55-bc02-f620844f3fd1",
    subscription_id=config.get("subscriptionId") or "a356ac8c-e310-44f4-bf85-c7f29044af99",
    target_offer_id=config.get("targetOfferId") or "796B6B5F-613C-4E24-A17C-EBA730D49C02",
)

pulumi.export("sourceSubscriptionId", upgrade.source_subscription_id)
pulumi.export("targetSubscriptionId", upgrade.target_subscription_id)
