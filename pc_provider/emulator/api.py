"""
The part of Partner Center's API that has to do with upgrades: ``/v1`` and below.

Literal path segments and ids are compared without case, as the service does. Whatever can't be used ends in a Fault
with the service's status and code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from pc_provider.emulator import catalog, upgrades
from pc_provider.emulator.documents import GUID, STATUSES, Refused, is_guid, next_etag, one_of
from pc_provider.emulator.exchange import Answer, Fault, Request, invalid, not_found
from pc_provider.emulator.store import Entry, Store, decode
from pc_provider.emulator.tokens import Caller
from pc_provider.partner_center import media

Tree = dict[str, Any]

PAGE = 500
"""The most items of one answer, and as many as come unasked."""


class Context(NamedTuple):
    """One request, who sent it, and the state."""

    store: Store
    request: Request
    caller: Caller
    entry: Entry
    listing_delay: float


def field(tree: object, name: str) -> Any:
    """A field in camelCase or PascalCase; None where it is missing."""
    if not isinstance(tree, dict):
        return None
    if name in tree:
        return tree[name]
    return next((value for key, value in tree.items() if isinstance(key, str) and key.lower() == name.lower()), None)


def body_of(request: Request) -> Tree:
    """The body as an object, in any of the media types of the reference."""
    content_type = request.headers.get("content-type")
    if media.kind_of(content_type) is None:
        raise Fault(415, 800002, f"Unsupported media type; send one of {', '.join(media.REQUEST_TYPES)}")
    try:
        tree = media.decode(request.body, content_type)
    except media.Unreadable as error:
        raise invalid(str(error)) from None
    if not isinstance(tree, dict):
        raise invalid("the body must be an object")
    try:
        msgspec.json.encode(tree)
    except (UnicodeEncodeError, OverflowError, TypeError):
        raise invalid("the body holds a value that no answer could hold") from None
    return tree


def collection(items: list[Tree], total: int, links: Tree | None = None) -> Answer:
    tree: Tree = {"totalCount": total, "items": items}
    if links:
        tree["links"] = links
    return Answer(200, {**tree, "attributes": {"objectType": "Collection"}}, "Collection")


def page_of(context: Context) -> tuple[int, int]:
    """``offset`` and ``size`` of the query."""
    numbers = []
    for name, default, low in (("offset", 0, 0), ("size", PAGE, 1)):
        text = context.request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit()) or not low <= int(text[:12]) <= 10**9:
            raise invalid(f"{name} must be a whole number from {low}", name)
        numbers.append(int(text[:12]))
    return numbers[0], min(numbers[1], PAGE)


def paged(context: Context, uri: str, items: list[Tree], total: int) -> Answer:
    offset, size = page_of(context)
    links = {"self": catalog.link(f"{uri}?offset={offset}&size={size}")}
    if offset + len(items) < total and items:
        links["next"] = catalog.link(f"{uri}?offset={offset + size}&size={size}")
    if offset > 0:
        links["previous"] = catalog.link(f"{uri}?offset={max(0, offset - size)}&size={size}")
    return collection(items, total, links)


def customer_of(context: Context, customer_id: str, *, writes: bool = False) -> tuple[Tree, Tree]:
    """A customer the partner may see, and what only the emulator knows of it."""
    if not is_guid(customer_id):
        raise Fault(400, 900118, "Invalid Customer ID", customer_id[:100])
    found = context.store.customer(customer_id)
    if found is None or found[1].get("relationship") is False:
        raise Fault(
            403,
            20002,
            f"The partner ID emulator has no commerce relationship with the customer ID {customer_id}.",
            customer_id,
        )
    special = found[1]
    if special.get("agreementSigned") is False and writes:
        raise Fault(403, 900124, "Your company hasn't accepted the Microsoft Partner Agreement (MPA).")
    if special.get("roles") == []:
        raise Fault(403, 900308, "Insufficient privileges to complete the operation.")
    return found


def subscription_not_found(subscription_id: str) -> Fault:
    return Fault(404, 20003, f"Subscription with ID {subscription_id} not found.", subscription_id)


def checked_subscription_id(subscription_id: str) -> str:
    if not GUID.fullmatch(subscription_id):
        raise invalid("the subscription id must be a GUID", subscription_id[:100])
    return subscription_id


# Customers


def get_customers(context: Context) -> Answer:
    offset, size = page_of(context)
    total, items = context.store.customers(offset, size)
    return paged(context, "/customers", items, total)


def get_customer(context: Context, customer_id: str) -> Answer:
    return Answer(200, customer_of(context, customer_id)[0], "Customer")


# Subscriptions


def get_subscriptions(context: Context, customer_id: str) -> Answer:
    customer, _ = customer_of(context, customer_id)
    offset, size = page_of(context)
    total, items = context.store.subscriptions(customer_id, offset, size)
    return paged(context, f"/customers/{customer['id']}/subscriptions", items, total)


def get_subscription(context: Context, customer_id: str, subscription_id: str) -> Answer:
    customer_of(context, customer_id)
    held = context.store.subscription(customer_id, checked_subscription_id(subscription_id))
    if held is None:
        raise subscription_not_found(subscription_id)
    return Answer(200, held.document, "Subscription")


def patch_subscription(context: Context, customer_id: str, subscription_id: str) -> Answer:
    """Changes status, quantity, friendly name and automatic renewal; other fields of the body are ignored."""
    customer_of(context, customer_id, writes=True)
    wanted = body_of(context.request)
    with context.store.transaction():
        held = context.store.subscription(customer_id, checked_subscription_id(subscription_id))
        if held is None:
            raise subscription_not_found(subscription_id)
        match = context.request.headers.get("if-match")
        if match not in (None, "*") and match.strip('"') != held.document["attributes"].get("etag"):
            raise Fault(400, 2055, "Etag is no longer valid")
        changed = _patched(held.document, wanted)
        if changed != held.document:
            changed["attributes"] = {**held.document["attributes"], "etag": next_etag(held.document)}
            context.store.change_subscription(customer_id, changed, held.special)
    return Answer(200, changed, "Subscription")


def _patched(document: Tree, wanted: Tree) -> Tree:
    status, changed = document["status"], dict(document)
    if status == "deleted":
        raise Fault(400, 2011, f"Subscription with ID {document['id']} and deleted status can't be updated.")
    told = field(wanted, "status")
    if told is not None and _status(told) != status:
        _change_status(changed, _status(told))
    quantity = field(wanted, "quantity")
    if quantity is not None and _whole(quantity) != document["quantity"]:
        if status == "suspended":
            raise Fault(
                400, 2001, "Subscription quantity can't be increased or decreased while subscription is being suspended"
            )
        if status != "active":
            raise Fault(400, 800012, "This subscription isn't an active subscription")
        changed["quantity"] = _within(_whole(quantity), catalog.OFFERS.get(document["offerId"].lower()))
    name = field(wanted, "friendlyName")
    if name is not None:
        if not isinstance(name, str) or len(name) > 500:
            raise invalid("friendlyName must be a text of at most 500 characters", "friendlyName")
        changed["friendlyName"] = name
    renew = field(wanted, "autoRenewEnabled")
    if renew is not None:
        changed["autoRenewEnabled"] = _flag(renew)
    return changed


def _change_status(document: Tree, status: str) -> None:
    """Active and suspended become each other, and either is deleted; what an upgrade suspended has no way back."""
    if document.get("suspensionReasons") == ["Transition"] and status == "active":
        raise Fault(400, 800096, "Can't update the status for this subscription")
    if document["status"] not in ("active", "suspended"):
        raise Fault(400, 800012, "This subscription isn't an active subscription")
    if status not in ("active", "suspended", "deleted"):
        raise Fault(400, 800096, "Can't update the status for this subscription")
    document["status"] = status
    document.pop("suspensionReasons", None)
    if status == "suspended":
        document["suspensionReasons"] = ["CustomerCancellation"]


def _status(told: object) -> str:
    if isinstance(told, int) and not isinstance(told, bool):
        told = STATUSES[told] if 0 <= told < len(STATUSES) else str(told)
    return _enumeration(told, STATUSES)


def _enumeration(told: object, known: tuple[str, ...]) -> str:
    try:
        return one_of(told, known, "")
    except Refused:
        raise Fault(
            400,
            900126,
            f"Unable to parse enum: {str(told)[:100]} For more information, please visit"
            " https://learn.microsoft.com/partner-center/developer/error-codes",
        ) from None


def _whole(value: object) -> int:
    """A whole number; forms and XML may bring it as a text, JSON as a float."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise invalid("quantity must be a whole number", "quantity")


def _within(quantity: int, offer: Tree | None) -> int:
    low, high = (offer["minimumQuantity"], offer["maximumQuantity"]) if offer else (1, 10_000_000)
    if not low <= quantity <= high:
        raise Fault(400, 2002, "Subscription quantity isn't within minimum and maximum allowed quantity")
    return quantity


def _flag(value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise invalid("autoRenewEnabled must be true or false", "autoRenewEnabled")


# Upgrades


def get_upgrades(context: Context, customer_id: str, subscription_id: str) -> Answer:
    _, special = customer_of(context, customer_id)
    held = context.store.subscription(customer_id, checked_subscription_id(subscription_id))
    if held is None:
        raise subscription_not_found(subscription_id)
    items = upgrades.offered(context.store, customer_id, held, special, by_user=context.caller.user is not None)
    return collection(items, len(items))


def post_upgrade(context: Context, customer_id: str, subscription_id: str) -> Answer:
    customer, special = customer_of(context, customer_id, writes=True)
    checked_subscription_id(subscription_id)
    tree = body_of(context.request)
    offer_id = field(field(tree, "targetOffer"), "id")
    if not isinstance(offer_id, str) or not offer_id.strip():
        raise invalid("targetOffer.id is missing", "targetOffer.id")
    told = field(tree, "upgradeType")
    if isinstance(told, str) and told.strip().isdigit() and len(told) < 5:
        told = int(told)
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < len(upgrades.UPGRADE_TYPES):
        told = upgrades.UPGRADE_TYPES[told]
    if told is None:
        raise invalid("upgradeType is missing", "upgradeType")
    upgrade_type = _enumeration(told, upgrades.UPGRADE_TYPES)
    if upgrade_type == "none":
        raise invalid("upgradeType must not be none", "upgradeType")
    quantity = field(tree, "quantity")
    if quantity is not None:
        quantity = _within(_whole(quantity), catalog.OFFERS.get(offer_id.strip().lower()))
    asked = upgrades.Asked(
        customer["id"],
        subscription_id,
        offer_id.strip(),
        upgrade_type,
        quantity,
        by_user=context.caller.user is not None,
    )
    result = upgrades.perform(context.store, asked, special, context.entry, context.listing_delay)
    if result is None:
        raise subscription_not_found(subscription_id)
    return Answer(200, result, "UpgradeResult")


# Offers and orders


def _country(context: Context) -> str:
    country = context.request.query.get("country", "")
    if len(country) != 2 or not (country.isascii() and country.isalpha()):
        raise invalid("country must be an ISO code of two letters", "country")
    return country.upper()


def get_offers(context: Context) -> Answer:
    country = _country(context)
    items = [{**offer, "country": country} for offer in catalog.OFFERS.values()]
    offset, size = page_of(context)
    return paged(context, "/offers", items[offset : offset + size], len(items))


def get_offer(context: Context, offer_id: str) -> Answer:
    if ":" in offer_id or offer_id.upper().startswith("CFQ"):
        raise Fault(
            400,
            2100,
            f"The Offers API doesn't support item with ID {offer_id[:100]}. Try using the Products and/or SKUs APIs",
        )
    country = _country(context)
    if not is_guid(offer_id):
        raise Fault(400, 800004, "Invalid offer ID", offer_id[:100])
    offer = catalog.OFFERS.get(offer_id.lower())
    if offer is None:
        raise not_found()
    return Answer(200, {**offer, "country": country}, "Offer")


def get_orders(context: Context, customer_id: str) -> Answer:
    customer, _ = customer_of(context, customer_id)
    offset, size = page_of(context)
    rows = context.store.rows(
        "SELECT document FROM orders WHERE customer = ? AND listed <= ? ORDER BY seq",
        customer_id.lower(),
        context.request.arrived,
    )
    items = [decode(row[0]) for row in rows]
    return paged(context, f"/customers/{customer['id']}/orders", items[offset : offset + size], len(items))


def get_order(context: Context, customer_id: str, order_id: str) -> Answer:
    customer_of(context, customer_id)
    row = context.store.row(
        "SELECT document FROM orders WHERE customer = ? AND id = ?", customer_id.lower(), order_id.lower()
    )
    if row is None:
        raise Fault(404, 20000, "Order ID not found", order_id[:100])
    return Answer(200, decode(row[0]), "Order")


Handler = Callable[..., Answer]

ROUTES: dict[tuple[str, ...], dict[str, Handler]] = {
    ("customers",): {"GET": get_customers},
    ("customers", "*"): {"GET": get_customer},
    ("customers", "*", "subscriptions"): {"GET": get_subscriptions},
    ("customers", "*", "subscriptions", "*"): {"GET": get_subscription, "PATCH": patch_subscription},
    ("customers", "*", "subscriptions", "*", "upgrades"): {"GET": get_upgrades, "POST": post_upgrade},
    ("customers", "*", "orders"): {"GET": get_orders},
    ("customers", "*", "orders", "*"): {"GET": get_order},
    ("offers",): {"GET": get_offers},
    ("offers", "*"): {"GET": get_offer},
}
"""Every operation: the path below ``/v1``, ``*`` for an id."""


def find(request: Request) -> tuple[Handler, tuple[str, ...]]:
    """The operation a request means, and the ids in its path. Raises Fault."""
    parts = request.parts[1:]
    if parts and parts[-1] == "":
        parts = parts[:-1]
    literal = tuple(part.lower() if number % 2 == 0 else "*" for number, part in enumerate(parts))
    methods = ROUTES.get(literal)
    if methods is None or "" in parts:
        raise not_found()
    handler = methods.get(request.method)
    if handler is None:
        allowed = ", ".join(methods)
        raise Fault(
            405,
            800002,
            f"The requested resource does not support the method {quote(request.method)[:40]}",
            headers=(("Allow", allowed),),
        )
    return handler, tuple(parts[1::2])
