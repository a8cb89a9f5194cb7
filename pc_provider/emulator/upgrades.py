"""
What an upgrade needs and what it does.

The effects are those of a recorded pair of answers: the source keeps everything but its status (suspended for
``Transition``) and its etag; the target is a new subscription, on a new order, with the whole quantity and no friendly
name. Both offered upgrade types name the same target offer.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timezone
from typing import Any, NamedTuple

from pc_provider.emulator import catalog
from pc_provider.emulator.documents import Refused, next_etag, order, subscription
from pc_provider.emulator.store import Entry, Store, Subscription, encode

Tree = dict[str, Any]

UPGRADE_ONLY = "upgrade_only"
WITH_LICENSES = "upgrade_with_license_transfer"
UPGRADE_TYPES = ("none", UPGRADE_ONLY, WITH_LICENSES)
"""By their number on the wire."""

ERRORS = (
    ("other", "The subscription can't be upgraded."),
    (
        "delegated_admin_permissions_disabled",
        "Delegated admin permissions are disabled: the customer has revoked the partner's delegated administration.",
    ),
    ("subscription_status_not_active", "The subscription's status is not active."),
    (
        "conflicting_service_types",
        "The customer has a subscription whose service types conflict with those of the target offer.",
    ),
    ("concurrency_conflicts", "Another operation on this subscription is in progress."),
    ("user_context_required", "An upgrade with license transfer requires a user context; the token is app-only."),
    ("subscription_add_ons_present", "The subscription has add-ons. Remove them before the upgrade."),
    ("subscription_does_not_have_any_upgrade_paths", "The subscription does not have any upgrade paths."),
    ("subscription_target_offer_not_found", "The target offer is not among the upgrade paths of the subscription."),
    ("subscription_not_provisioned", "The subscription has not been provisioned."),
    ("offer_does_not_support_billing_cycle", "The target offer does not support the subscription's billing cycle."),
    (
        "insufficient_granular_admin_permissions",
        "The granular delegated admin permissions do not suffice: a license transfer needs the role Directory Writer.",
    ),
)
"""The ``UpgradeError`` codes of the reference: name and description, by their number on the wire."""

OTHER, NO_DELEGATION, NOT_ACTIVE, CONFLICT, CONCURRENT, NO_USER, ADD_ONS, NO_PATHS, NO_TARGET, NOT_PROVISIONED = range(
    10
)
NO_BILLING_CYCLE, NO_GRANULAR_ROLE = 10, 11


class Asked(NamedTuple):
    """An upgrade as the client asked for it; *quantity* None means the source's."""

    customer_id: str
    subscription_id: str
    target_offer_id: str
    upgrade_type: str
    quantity: int | None
    by_user: bool


def error(code: int, details: str | None = None) -> Tree:
    """An ``UpgradeError``; ``additionalDetails`` is absent where there are none."""
    tree: Tree = {"code": code, "description": ERRORS[code][1]}
    if details:
        tree["additionalDetails"] = details
    return {**tree, "attributes": {"objectType": "UpgradeError"}}


def code_of(value: object) -> int:
    """The number of an UpgradeError code given as a number or by its name."""
    if isinstance(value, str):
        for number, (name, _) in enumerate(ERRORS):
            if name.replace("_", "") == value.replace("_", "").lower():
                return number
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(ERRORS):
        return value
    raise Refused(f"upgradeErrors holds codes from 0 to {len(ERRORS) - 1}, or their names")


def offered(store: Store, customer_id: str, held: Subscription, customer: Tree, *, by_user: bool) -> list[Tree]:
    """The ``Upgrade`` items of ``GET .../upgrades``: each target offer twice, once for each upgrade type."""
    items = []
    for offer in catalog.targets(held.document["offerId"]):
        for upgrade_type in (UPGRADE_ONLY, WITH_LICENSES):
            errors = problems(store, customer_id, held, customer, offer, upgrade_type, by_user=by_user)
            items.append(
                {
                    # Partner Center writes one offer id in different cases; here it does so always.
                    "targetOffer": {**offer, "id": offer["id"].lower()},
                    "upgradeType": UPGRADE_TYPES.index(upgrade_type),
                    "isEligible": not errors,
                    "quantity": held.document["quantity"],
                    "upgradeErrors": errors,
                    "attributes": {"objectType": "Upgrade"},
                }
            )
    return items


def problems(
    store: Store,
    customer_id: str,
    held: Subscription,
    customer: Tree,
    offer: Tree,
    upgrade_type: str,
    *,
    by_user: bool,
    arrived: float | None = None,
) -> list[Tree]:
    """
    Why *held* can't be upgraded to *offer*; empty when it can. *customer* is what only the emulator knows of it.

    *arrived* is when the POST came in, in seconds since 1970: one that met another upgrade of the same subscription on
    its way is told so, one that came later is told that the subscription isn't active.
    """
    document, special, _ = held
    errors = [error(code_of(code)) for code in special.get("upgradeErrors", ())]
    if customer.get("delegatedAdminPrivileges") is False:
        errors.append(error(NO_DELEGATION))
    if document["status"] != "active":
        upgraded = store.upgraded_at(customer_id, document["id"]) if arrived is not None else None
        if upgraded is not None and arrived is not None and arrived < upgraded:
            errors.append(error(CONCURRENT))
        else:
            errors.append(error(NOT_ACTIVE, f"Status: {document['status']}"))
    if special.get("provisioned") is False:
        errors.append(error(NOT_PROVISIONED))
    if store.has_active_add_ons(customer_id, document["id"]):
        errors.append(error(ADD_ONS))
    # A source that was upgraded is only told that it isn't active (recorded), though its target is on the offer now.
    active = document["status"] == "active"
    for conflicting in (offer["id"], *customer.get("conflictingOffers", {}).get(offer["id"].lower(), ())):
        if active and store.holds(customer_id, conflicting):
            errors.append(error(CONFLICT, f"Offer: {conflicting}"))
            break
    if document["billingCycle"] not in offer["supportedBillingCycles"]:
        errors.append(error(NO_BILLING_CYCLE, f"Billing cycle: {document['billingCycle']}"))
    if upgrade_type == WITH_LICENSES:
        if not by_user:
            errors.append(error(NO_USER))
        elif "directory_writer" not in customer.get("roles", ("directory_writer",)):
            errors.append(error(NO_GRANULAR_ROLE))
    return errors


def perform(store: Store, asked: Asked, customer: Tree, entry: Entry, listing_delay: float) -> Tree | None:
    """
    The ``UpgradeResult``; None when the subscription does not exist.

    Reads, decides and writes under one lock, and records *entry* with it: what the journal calls accepted happened,
    and what happened is in the journal, even if the process dies before it answers.
    """
    with store.transaction():
        held = store.subscription(asked.customer_id, asked.subscription_id)
        if held is None:
            return None
        paths = {offer["id"].lower(): offer for offer in catalog.targets(held.document["offerId"])}
        offer = paths.get(asked.target_offer_id.lower())
        if offer is None:
            errors = [error(NO_TARGET if paths else NO_PATHS)]
        else:
            errors = problems(
                store,
                asked.customer_id,
                held,
                customer,
                offer,
                asked.upgrade_type,
                by_user=asked.by_user,
                arrived=entry.time,
            )
        if errors or offer is None:
            return _result(held.document["id"], None, asked.upgrade_type, errors, [])
        target = _transition(store, asked, held, offer, listing_delay, entry)
        licenses = _license_errors(held.special) if asked.upgrade_type == WITH_LICENSES else []
        entry.status, entry.accepted = 200, True
        store.record(entry)
        return _result(held.document["id"], target["id"], asked.upgrade_type, [], licenses)


def _transition(
    store: Store, asked: Asked, held: Subscription, offer: Tree, listing_delay: float, entry: Entry
) -> Tree:
    """Suspends the source and makes the target with its order; answers the target."""
    now = datetime.now(timezone.utc)
    source = held.document
    target, _ = subscription(
        asked.customer_id,
        {
            "id": str(uuid.uuid4()),
            "offerId": offer["id"],
            "quantity": source["quantity"] if asked.quantity is None else asked.quantity,
            "friendlyName": "",
            "billingCycle": source["billingCycle"],
        },
        now=now,
    )
    listed = time.time() + listing_delay if listing_delay else 0
    store.add_subscriptions(asked.customer_id, [(target, {})], upgraded_from=source["id"].lower(), listed=listed)
    bought = order(asked.customer_id, target, now)
    store.run(
        "INSERT INTO orders (customer, id, listed, document) VALUES (?, ?, ?, ?)",
        asked.customer_id.lower(),
        bought["id"].lower(),
        listed,
        encode(bought),
    )
    suspended = {
        **source,
        "status": "suspended",
        "suspensionReasons": ["Transition"],
        "attributes": {**source["attributes"], "etag": next_etag(source)},
    }
    store.change_subscription(asked.customer_id, suspended, held.special)
    store.run(
        "INSERT INTO upgrades (time, customer, source, target, from_offer, to_offer, upgrade_type, request_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        time.time(),
        asked.customer_id.lower(),
        source["id"].lower(),
        target["id"].lower(),
        source["offerId"],
        offer["id"],
        asked.upgrade_type,
        entry.request_id,
    )
    return target


def _license_errors(special: Tree) -> list[Tree]:
    """A ``UserLicenseError`` for each user whose licence the state says can't be moved."""
    return [
        {
            "userObjectId": user.get("userObjectId") or str(uuid.uuid5(uuid.NAMESPACE_URL, str(user.get("email")))),
            "name": user.get("name", ""),
            "email": user.get("email", ""),
            "errors": [
                {
                    "code": 60000,
                    "description": user.get("description", "The customer license migration failed"),
                    "data": [],
                    "source": "PartnerCenter",
                    "attributes": {"objectType": "ServiceFault"},
                }
            ],
            "attributes": {"objectType": "UserLicenseError"},
        }
        for user in special.get("licenseErrors", ())
    ]


def _result(source_id: str, target_id: str | None, upgrade_type: str, errors: list[Tree], licenses: list[Tree]) -> Tree:
    tree: Tree = {"sourceSubscriptionId": source_id}
    if target_id is not None:
        tree["targetSubscriptionId"] = target_id
    return {
        **tree,
        "upgradeType": UPGRADE_TYPES.index(upgrade_type),
        "upgradeErrors": errors,
        "licenseErrors": licenses,
        "attributes": {"objectType": "UpgradeResult"},
    }


__all__ = ["ERRORS", "UPGRADE_TYPES", "Asked", "code_of", "error", "offered", "perform", "problems"]
