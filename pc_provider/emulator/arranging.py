"""Customers and subscriptions as people and tests arrange them: no rule but that the emulator can still read them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec

from pc_provider.emulator import catalog, documents, entra
from pc_provider.emulator.documents import Refused
from pc_provider.emulator.exchange import Answer, Fault, Request, not_found, plain
from pc_provider.emulator.store import FORGOTTEN_BY_RESET, Store, encode
from pc_provider.emulator.upgrades import code_of

Tree = dict[str, Any]


def told_in(request: Request) -> Any:
    try:
        return msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(f"the body is not JSON: {str(error)[:200]}") from None


def first_state(store: Store) -> None:
    """Fills an empty state; does nothing to any other."""
    with store.transaction():
        if store.fact("filled") is None:
            _fill(store)


def reset(store: Store) -> None:
    """Back to the first state: customers, journal, faults, limits and registrations."""
    with store.transaction() as db:
        for table in FORGOTTEN_BY_RESET:
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        db.execute("DELETE FROM facts WHERE name NOT IN ('tokenKey', 'issuerKey')")
        _fill(store)


def _fill(store: Store) -> None:
    for customer in catalog.FIRST_CUSTOMERS:
        add_customer(store, customer)
    entra.seed(store, time.time())
    store.set_fact("filled", "true")


def add_customer(store: Store, told: object) -> Tree:
    """Adds a customer, or subscriptions to one that exists; answers what was added."""
    document, special = documents.customer(told)
    _check_special(special)
    assert isinstance(told, dict)  # noqa: S101 - documents.customer has refused anything else
    wanted = told.get("subscriptions")
    if wanted is not None and not isinstance(wanted, list):
        raise Refused("subscriptions must be a list")
    known = store.customer(document["id"])
    if known is None:
        store.add_customer(document, special)
    else:
        document = known[0]
    made = []
    now = datetime.now(timezone.utc)
    for position, subscription in enumerate(wanted or ()):
        try:
            entry = documents.subscription(document["id"], subscription, now=now)
            _check_special(entry[1])
        except Refused as refused:
            raise Refused(f"subscriptions[{position}]: {refused}") from None
        made.append(entry)
    identities = [entry[0]["id"].lower() for entry in made]
    if len(set(identities)) < len(identities) or any(
        store.subscription(document["id"], identity) for identity in identities if known is not None
    ):
        raise Refused("a subscription with this id exists already")
    store.add_subscriptions(document["id"], made)
    orders = [documents.order(document["id"], entry[0], now) for entry in made]
    for order in orders:
        store.run(
            "INSERT OR IGNORE INTO orders (customer, id, document) VALUES (?, ?, ?)",
            document["id"].lower(),
            order["id"].lower(),
            encode(order),
        )
    return {
        "id": document["id"],
        "companyName": document["companyProfile"]["companyName"],
        "domain": document["companyProfile"]["domain"],
        "subscriptions": [entry[0] for entry in made],
    }


def _check_special(special: Tree) -> None:
    """Refuses what the upgrade's rules could not read later."""
    checks: dict[str, Callable[[Any], bool]] = {
        "upgradeErrors": lambda value: isinstance(value, list) and all(code_of(code) >= 0 for code in value),
        "licenseErrors": lambda value: (
            isinstance(value, list)
            and all(isinstance(user, dict) and all(isinstance(text, str) for text in user.values()) for user in value)
        ),
        "provisioned": lambda value: isinstance(value, bool),
        "relationship": lambda value: isinstance(value, bool),
        "agreementSigned": lambda value: isinstance(value, bool),
        "delegatedAdminPrivileges": lambda value: isinstance(value, bool),
        "roles": lambda value: isinstance(value, list) and all(isinstance(role, str) for role in value),
        "conflictingOffers": lambda value: (
            isinstance(value, dict)
            and all(
                isinstance(offers, list) and all(isinstance(offer, str) for offer in offers)
                for offers in value.values()
            )
        ),
    }
    for name, value in special.items():
        if name not in checks:
            raise Refused(f"emulator.{name[:100]} is unknown; known: {', '.join(checks)}")
        if not checks[name](value):
            raise Refused(f"emulator.{name} has a value of the wrong kind")
    if "conflictingOffers" in special:
        special["conflictingOffers"] = {name.lower(): offers for name, offers in special["conflictingOffers"].items()}


def change_customer(store: Store, request: Request, customer_id: str) -> Answer:
    known = store.customer(customer_id)
    if known is None:
        raise not_found()
    document, special = known
    if request.method == "DELETE":
        with store.transaction() as db:
            for table in ("subscriptions", "orders"):
                db.execute(f"DELETE FROM {table} WHERE customer = ?", (customer_id.lower(),))  # noqa: S608
            db.execute("DELETE FROM customers WHERE id = ?", (customer_id.lower(),))
        return Answer(204, body=b"")
    if request.method == "PATCH":
        told = told_in(request)
        if not isinstance(told, dict):
            raise Refused("a customer must be an object")
        special = {**special, **documents.special(told)}
        special = {name: value for name, value in special.items() if value is not None}
        _check_special(special)
        store.run("UPDATE customers SET special = ? WHERE id = ?", encode(special), customer_id.lower())
    elif request.method != "GET":
        raise Fault(405, 800002, "Use GET, PATCH or DELETE here")
    return plain(200, {**document, "emulator": special})


def change_subscription(store: Store, request: Request, customer_id: str, subscription_id: str) -> Answer:
    """PATCH sets any field, by no rule but that the emulator can still read it."""
    with store.transaction():
        held = store.subscription(customer_id, subscription_id)
        if held is None:
            raise not_found()
        document, special, _ = held
        if request.method == "DELETE":
            store.run(
                "DELETE FROM subscriptions WHERE customer = ? AND id = ?",
                customer_id.lower(),
                subscription_id.lower(),
            )
            return Answer(204, body=b"")
        if request.method == "PATCH":
            told = told_in(request)
            if not isinstance(told, dict):
                raise Refused("a subscription must be an object")
            changed, _ = documents.subscription(customer_id, {**document, **told, "id": document["id"]})
            if told.get("status") not in (None, document["status"]) and "suspensionReasons" not in told:
                reasons = documents.subscription(customer_id, {"status": told["status"]})[0]
                changed.pop("suspensionReasons", None)
                if "suspensionReasons" in reasons:
                    changed["suspensionReasons"] = reasons["suspensionReasons"]
            changed["attributes"] = {**document["attributes"], "etag": documents.next_etag(document)}
            special = {**special, **documents.special(told)}
            special = {name: value for name, value in special.items() if value is not None}
            _check_special(special)
            store.change_subscription(customer_id, changed, special)
            document = changed
        elif request.method != "GET":
            raise Fault(405, 800002, "Use GET, PATCH or DELETE here")
    return plain(200, {**document, "emulator": special})
