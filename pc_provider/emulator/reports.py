"""What happened, as the control paths and the page tell it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from pc_provider.emulator import catalog
from pc_provider.emulator.store import Store, decode

Tree = dict[str, Any]

CUSTOMERS = 50
SUBSCRIPTIONS = 50
LINES = 100
"""As much of a state as a person reads on the page."""


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


JOURNAL_COLUMNS = "seq, time, method, path, request_id, correlation_id, status, accepted"
UPGRADE_COLUMNS = "time, customer, source, target, from_offer, to_offer, upgrade_type, request_id"


def journal_line(row: tuple[Any, ...]) -> Tree:
    seq, moment, method, path, request_id, correlation_id, status, accepted = row
    return {
        "number": seq,
        "time": stamp(moment),
        "method": method,
        "path": path,
        "requestId": request_id,
        "correlationId": correlation_id,
        "status": status,
        "accepted": bool(accepted),
    }


def upgrade_line(row: tuple[Any, ...]) -> Tree:
    moment, customer, source, target, from_offer, to_offer, upgrade_type, request_id = row
    return {
        "time": stamp(moment),
        "customerId": customer,
        "sourceSubscriptionId": source,
        "targetSubscriptionId": target,
        "fromOffer": _offer_name(from_offer),
        "toOffer": _offer_name(to_offer),
        "upgradeType": upgrade_type,
        "requestId": request_id,
    }


def journal(store: Store, after: int = 0) -> list[Tree]:
    """Every request to the API, in the order they came; those whose number is above *after*."""
    rows = store.rows(f"SELECT {JOURNAL_COLUMNS} FROM journal WHERE seq > ? ORDER BY time, seq", after)  # noqa: S608
    return [journal_line(row) for row in rows]


def upgrades_made(store: Store) -> list[Tree]:
    """Every upgrade that was performed, in order."""
    return [upgrade_line(row) for row in store.rows(f"SELECT {UPGRADE_COLUMNS} FROM upgrades ORDER BY seq")]  # noqa: S608


def _offer_name(offer_id: str) -> str:
    offer = catalog.OFFERS.get(offer_id.lower())
    return offer["name"] if offer else offer_id


def sign_ins(store: Store) -> list[Tree]:
    """Every request to the token endpoint and the machine's identity service, in order, without secrets."""
    rows = store.rows("SELECT time, path, client, way, scope, status, error FROM sign_ins ORDER BY time, seq")
    names = ("path", "clientId", "grantType", "scope", "status", "error")
    return [{"time": stamp(moment), **dict(zip(names, rest, strict=True))} for moment, *rest in rows]


def overview(store: Store, find: str) -> Tree:
    """Totals, the newest upgrades and requests, and the customers that *find* names (all for an empty text)."""
    counts = store.row(
        "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM subscriptions),"
        " (SELECT count(*) FROM upgrades), (SELECT count(*) FROM journal)"
    )
    if find:
        pattern = "%" + find.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        where = (
            "WHERE id LIKE ?1 ESCAPE '\\' OR document LIKE ?1 ESCAPE '\\'"
            " OR id IN (SELECT customer FROM subscriptions WHERE id LIKE ?1 ESCAPE '\\')"
        )
        values: tuple[object, ...] = (pattern,)
    else:
        where, values = "", ()
    found = store.row(f"SELECT count(*) FROM customers {where}", *values)[0]  # noqa: S608
    rows = store.rows(f"SELECT id, document FROM customers {where} ORDER BY seq LIMIT {CUSTOMERS}", *values)  # noqa: S608
    upgrades = store.rows(f"SELECT {UPGRADE_COLUMNS} FROM upgrades ORDER BY seq DESC LIMIT {LINES}")  # noqa: S608
    journal = store.rows(f"SELECT {JOURNAL_COLUMNS} FROM journal ORDER BY seq DESC LIMIT {LINES}")  # noqa: S608
    return {
        "counts": dict(zip(("customers", "subscriptions", "upgrades", "requests"), counts, strict=True)),
        "found": found,
        "customers": [_customer(store, identity, decode(text)) for identity, text in rows],
        "upgrades": [upgrade_line(row) for row in upgrades],
        "journal": [journal_line(row) for row in journal],
    }


def _customer(store: Store, identity: str, document: Tree) -> Tree:
    total = store.row("SELECT count(*) FROM subscriptions WHERE customer = ?", identity)[0]
    rows = store.rows(
        "SELECT held.document, target.document FROM subscriptions held"
        " LEFT JOIN upgrades ON upgrades.customer = held.customer AND upgrades.source = held.id"
        " LEFT JOIN subscriptions target ON target.customer = held.customer AND target.id = upgrades.target"
        " WHERE held.customer = ? ORDER BY held.seq LIMIT ?",
        identity,
        SUBSCRIPTIONS,
    )
    subscriptions = []
    for text, target_text in rows:
        held = decode(text)
        shown = {
            name: held[name] for name in ("id", "offerName", "quantity", "status", "suspensionReasons") if name in held
        }
        if target_text is not None:
            target = decode(target_text)
            shown["upgradedTo"] = {"id": target["id"], "offerName": target["offerName"]}
        subscriptions.append(shown)
    return {
        "id": document["id"],
        "companyName": document["companyProfile"]["companyName"],
        "total": total,
        "subscriptions": subscriptions,
    }
