"""Upgrades for many customers, from a CSV file: one resource for each row."""

from pathlib import Path

import pulumi

from pc_provider import SubscriptionUpgrade
from pc_provider.fleet import FleetError, read_fleet

# A stack for each region or wave has a file of its own: `pulumi config set fleet emea.csv`.
file = Path(__file__).parent / (pulumi.Config().get("fleet") or "fleet.csv")

try:
    rows = read_fleet(file)
except FleetError as error:
    raise pulumi.RunError(str(error)) from None

for row in rows:
    SubscriptionUpgrade(
        row.name,
        customer_id=row.customer_id,
        subscription_id=row.subscription_id,
        target_offer_id=row.target_offer_id,
        upgrade_type=row.upgrade_type,
        partner=row.partner,
    )

# No output for each of a thousand resources: `pulumi stack export` has them, and every export makes each run slower.
pulumi.export("upgrades", len(rows))
