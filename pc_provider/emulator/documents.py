"""
Documents as the API shows them, made from what people tell the control paths.

The fields are those of Microsoft's published recordings of ``GET .../subscriptions``; an etag is the base64 text of the
id and a version, as recorded there.
"""

from __future__ import annotations

import base64
import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from pc_provider.emulator.catalog import OFFERS, link
from pc_provider.emulator.registration import OFFER_E1

Tree = dict[str, Any]

STATUSES = ("none", "active", "suspended", "deleted", "expired", "pending", "disabled")
BILLING_CYCLES = ("annual", "monthly", "none", "one_time", "triennial", "unknown", "biennial")
GUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


class Refused(ValueError):
    """A value from outside that can't be used; the text says which and why."""


def is_guid(text: object) -> bool:
    return isinstance(text, str) and GUID.fullmatch(text) is not None


def etag(identity: str, version: int) -> str:
    return base64.b64encode(f'{{"id":"{identity.lower()}","version":{version}}}'.encode()).decode()


def next_etag(document: Tree) -> str:
    try:
        version = int(re.search(rb'"version":(\d+)', base64.b64decode(document["attributes"]["etag"]))[1])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        version = 0
    return etag(document["id"], version + 1)


def moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def day(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT00:00:00Z")


def text_of(told: Tree, field: str, default: str) -> str:
    value = told.get(field)
    if value is None:
        return default
    if not isinstance(value, str) or not value.isprintable() or len(value) > 500:
        raise Refused(f"{field} must be a text of at most 500 printable characters")
    return value


def guid_of(told: Tree, field: str) -> str:
    value = told.get(field)
    if value is None:
        return str(uuid.uuid4())
    if not is_guid(value):
        raise Refused(f"{field} must be a GUID")
    return str(value)


def one_of(value: object, known: tuple[str, ...], field: str) -> str:
    """The known value that *value* spells in any case, with or without underscores."""
    if isinstance(value, str):
        for candidate in known:
            if candidate.replace("_", "") == value.replace("_", "").lower():
                return candidate
    raise Refused(f"{field} must be one of {', '.join(known)}")


def quantity_of(told: Tree, default: int = 1) -> int:
    value = told.get("quantity", default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000_000:
        raise Refused("quantity must be a whole number from 1 to 10000000")
    return value


# Fields of a subscription whose kind the emulator relies on; others are kept as they are told.
_CHECKED = frozenset({
    "id", "offerId", "quantity", "status", "friendlyName", "offerName", "unitType", "billingCycle", "billingType",
    "contractType", "orderId", "creationDate", "suspensionReasons", "parentSubscriptionId", "attributes", "links",
    "emulator",
})  # fmt: skip


def subscription(customer_id: str, told: object, *, now: datetime | None = None) -> tuple[Tree, Tree]:
    """A whole subscription from the fields *told*, and what only the emulator knows (its field ``emulator``)."""
    if not isinstance(told, dict):
        raise Refused("a subscription must be an object")
    now = now or datetime.now(timezone.utc)
    identity = guid_of(told, "id")
    offer_id = text_of(told, "offerId", OFFER_E1)
    offer = OFFERS.get(offer_id.lower())
    status = one_of(told.get("status", "active"), STATUSES, "status")
    document: Tree = {
        "id": identity,
        "offerId": offer_id,
        "entitlementId": identity,
        "offerName": text_of(told, "offerName", offer["name"] if offer else "Unknown offer"),
        "friendlyName": text_of(told, "friendlyName", offer["name"] if offer else ""),
        "quantity": quantity_of(told),
        "unitType": text_of(told, "unitType", "Licenses"),
        "hasPurchasableAddons": bool(offer and offer["hasAddOns"]),
        "creationDate": text_of(told, "creationDate", moment(now)),
        "effectiveStartDate": day(now),
        "commitmentEndDate": day(now + timedelta(days=365)),
        "status": status,
        "autoRenewEnabled": True,
        "isTrial": False,
        "billingType": text_of(told, "billingType", "license"),
        "billingCycle": one_of(told.get("billingCycle", "monthly"), BILLING_CYCLES, "billingCycle"),
        "actions": ["Cancel", "Edit"],
        "attentionNeeded": False,
        "actionTaken": False,
        "contractType": text_of(told, "contractType", "subscription"),
        "links": {
            "offer": link(f"/offers/{offer_id}?country=US"),
            "self": link(f"/customers/{customer_id}/subscriptions/{identity}"),
        },
        "orderId": text_of(told, "orderId", str(uuid.uuid4()).upper()),
        "attributes": {"etag": etag(identity, 1), "objectType": "Subscription"},
    }
    if told.get("parentSubscriptionId") is not None:
        document["parentSubscriptionId"] = guid_of(told, "parentSubscriptionId")
    reasons = told.get("suspensionReasons")
    if reasons is None and status == "suspended":
        reasons = ["CustomerCancellation"]
    if reasons is not None:
        if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
            raise Refused("suspensionReasons must be a list of texts")
        document["suspensionReasons"] = reasons
    document.update({name: value for name, value in told.items() if name not in _CHECKED})
    return document, special(told)


def special(told: Tree) -> Tree:
    """The field ``emulator``: what only the emulator knows."""
    value = told.get("emulator")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused("emulator must be an object")
    return value


def customer(told: object) -> tuple[Tree, Tree]:
    """A whole customer from the fields *told*, without its subscriptions."""
    if not isinstance(told, dict):
        raise Refused("a customer must be an object")
    identity = guid_of(told, "id")
    name = text_of(told, "companyName", f"Customer {identity[:8]}")
    domain = text_of(told, "domain", f"customer{identity[:8].lower()}.onmicrosoft.com")
    country = text_of(told, "country", "US")
    document: Tree = {
        "id": identity,
        "commerceId": identity,
        "companyProfile": {
            "tenantId": identity,
            "domain": domain,
            "companyName": name,
            "links": {"self": link(f"/customers/{identity}/profiles/company")},
            "attributes": {"objectType": "CustomerCompanyProfile"},
        },
        "billingProfile": {
            "id": identity,
            "email": f"admin@{domain}",
            "culture": "en-US",
            "language": "en",
            "companyName": name,
            "defaultAddress": {"country": country},
            "attributes": {"objectType": "CustomerBillingProfile"},
        },
        "relationshipToPartner": "reseller",
        "allowDelegatedAccess": True,
        "customDomains": [],
        "links": {"self": link(f"/customers/{identity}")},
        "attributes": {"objectType": "Customer"},
    }
    return document, special(told)


def order(customer_id: str, of: Tree, now: datetime) -> Tree:
    """The order that bought the subscription *of*."""
    return {
        "id": of["orderId"],
        "referenceCustomerId": customer_id,
        "billingCycle": of["billingCycle"],
        "currencyCode": "USD",
        "lineItems": [
            {
                "lineItemNumber": 0,
                "offerId": of["offerId"],
                "subscriptionId": of["id"],
                "friendlyName": of["friendlyName"],
                "quantity": of["quantity"],
                "links": {"subscription": link(f"/customers/{customer_id}/subscriptions/{of['id']}")},
            }
        ],
        "creationDate": moment(now),
        "status": "completed",
        "transactionType": "UserPurchase",
        "links": {"self": link(f"/customers/{customer_id}/orders/{of['orderId']}")},
        "attributes": {"etag": etag(of["orderId"], 1), "objectType": "Order"},
    }
