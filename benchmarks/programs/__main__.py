"""The one program that is measured: BENCH_COUNT upgrades, by the resource that BENCH_RESOURCE names."""

import importlib
import os

import fleet

# Imported here as a user's program does, so that the cost of importing is measured too.
kind, _, name = os.environ["BENCH_RESOURCE"].partition(":")
resource = getattr(importlib.import_module(kind), name)

for number in range(int(os.environ["BENCH_COUNT"])):
    resource(
        f"upgrade-{number:05}",
        customer_id=fleet.customer(number),
        subscription_id=fleet.subscription(number),
        target_offer_id=fleet.OFFER_E3,
    )
