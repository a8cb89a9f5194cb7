"""What one writes first: a dynamic provider with an httpx call in `create`."""

from __future__ import annotations

import os
from typing import Any

import httpx
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class TextbookProvider(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        path = f"/v1/customers/{props['customer_id']}/subscriptions/{props['subscription_id']}/upgrades"
        url = os.environ["BENCH_ENDPOINT"] + path
        headers = {"Authorization": "Bearer emulator", "Content-Type": "application/json"}
        items = httpx.get(url, headers=headers).raise_for_status().json()["items"]
        wanted = next(item for item in items if item["targetOffer"]["id"].lower() == props["target_offer_id"].lower())
        result = httpx.post(url, headers=headers, json=wanted).raise_for_status().json()
        return CreateResult(result["targetSubscriptionId"], {**props, **result})


class TextbookUpgrade(Resource):
    def __init__(self, name: str, **inputs: Any) -> None:
        super().__init__(TextbookProvider(), name, {**inputs, "targetSubscriptionId": None})
