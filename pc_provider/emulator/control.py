"""The control paths ``/_emulator/…``: to see and arrange what Partner Center would not let anyone."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec

from pc_provider.emulator import catalog, consent, disturbances, documents, entra, issuer, registration
from pc_provider.emulator.documents import Refused
from pc_provider.emulator.exchange import Answer, Fault, Request, invalid, not_found, plain
from pc_provider.emulator.store import FORGOTTEN_BY_RESET, Store, decode, encode
from pc_provider.emulator.tokens import Tokens
from pc_provider.emulator.upgrades import code_of

Tree = dict[str, Any]

WIRE: Tree = {"bom": True, "enums": "integer", "keys": "camelCase", "encoding": "utf-8"}
"""How success bodies are written: what is recorded, unless told otherwise."""
WIRE_CHOICES: dict[str, tuple[object, ...]] = {
    "bom": (True, False),
    "enums": ("integer", "snake_case", "PascalCase"),
    "keys": ("camelCase", "PascalCase"),
    "encoding": ("utf-8", "utf-16"),
}


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
        _add_customer(store, customer)
    entra.seed(store, time.time())
    store.set_fact("filled", "true")


def _add_customer(store: Store, told: object) -> Tree:
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


class Control:
    """Answers the control paths."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self.disturbances = disturbances.Disturbances(store)
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "state"): self._state,
            ("GET", "journal"): self._journal,
            ("GET", "upgrades"): lambda request: plain(200, upgrades_made(store)),
            ("POST", "customers"): self._customers,
            ("POST", "reset"): self._reset,
            ("POST", "faults"): lambda request: self._add(request, "fault", disturbances.fault),
            ("POST", "limits"): lambda request: self._add(request, "limit", disturbances.limit),
            ("POST", "latency"): lambda request: self._add(request, "latency", disturbances.latency),
            ("POST", "wire"): self._change_wire,
            ("GET", "wire"): lambda request: plain(200, self.wire),
            ("DELETE", "wire"): self._forget_wire,
            ("POST", "applications"): self._application,
            ("POST", "refresh-tokens"): self._refresh_token,
            ("POST", "device-codes"): self._device_code,
            ("POST", "oidc/token"): lambda request: issuer.any_token(store, self._told(request)),
            ("GET", "oidc/github"): lambda request: issuer.github(store, request),
            ("POST", "oidc/azure-devops"): lambda request: issuer.azure_devops(store, request),
            ("POST", "sign-in"): self._change_sign_in,
            ("GET", "sign-in"): lambda request: plain(200, tokens.rules),
            ("POST", "listing"): self._change_listing,
        }
        for name, kind in (("faults", "fault"), ("limits", "limit"), ("latency", "latency")):
            self._routes["GET", name] = lambda request, kind=kind: self._show(kind)  # type: ignore[misc]
            self._routes["DELETE", name] = lambda request, kind=kind: self._clear(kind)  # type: ignore[misc]

    @property
    def wire(self) -> Tree:
        text = self._store.fact("wire")
        return {**WIRE, **decode(text)} if text else WIRE

    @property
    def listing_delay(self) -> float:
        return float(self._store.fact("listingDelay") or 0)

    def handle(self, request: Request) -> Answer:
        """The answer to ``/_emulator/…``. Raises Fault."""
        parts = request.parts[1:]
        try:
            if len(parts) == 4 and parts[0] == "customers" and parts[2] == "subscriptions":
                return self._subscription(request, parts[1], parts[3])
            if len(parts) == 2 and parts[0] == "customers":
                return self._customer(request, parts[1])
            route = self._routes.get((request.method, "/".join(parts)))
            if route is None:
                methods = [method for method, name in self._routes if name == "/".join(parts)]
                if methods:
                    raise Fault(
                        405, 800002, f"Use {' or '.join(methods)} here", headers=(("Allow", ", ".join(methods)),)
                    )
                raise not_found()
            return route(request)
        except Refused as refused:
            raise invalid(str(refused)) from None

    def _told(self, request: Request) -> Any:
        try:
            return msgspec.json.decode(request.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Refused(f"the body is not JSON: {str(error)[:200]}") from None

    # Customers and subscriptions

    def _state(self, request: Request) -> Answer:
        """Written from the documents as they are stored: a large state is not taken apart for it."""
        by_customer: dict[str, list[str]] = {}
        for customer, document in self._store.rows("SELECT customer, document FROM subscriptions ORDER BY seq"):
            by_customer.setdefault(customer, []).append(document)
        parts = []
        for identity, text in self._store.rows("SELECT id, document FROM customers ORDER BY seq"):
            profile = decode(text)["companyProfile"]
            head = encode(
                {"id": profile["tenantId"], "companyName": profile["companyName"], "domain": profile["domain"]}
            )
            parts.append(f'{head[:-1]},"subscriptions":[{",".join(by_customer.get(identity, ()))}]}}')
        return Answer(200, body=f'{{"customers":[{",".join(parts)}]}}'.encode())

    def _customers(self, request: Request) -> Answer:
        told = self._told(request)
        with self._store.transaction():
            if isinstance(told, list):
                return plain(201, [_add_customer(self._store, customer) for customer in told])
            return plain(201, _add_customer(self._store, told))

    def _customer(self, request: Request, customer_id: str) -> Answer:
        known = self._store.customer(customer_id)
        if known is None:
            raise not_found()
        document, special = known
        if request.method == "DELETE":
            with self._store.transaction() as db:
                for table in ("subscriptions", "orders"):
                    db.execute(f"DELETE FROM {table} WHERE customer = ?", (customer_id.lower(),))  # noqa: S608
                db.execute("DELETE FROM customers WHERE id = ?", (customer_id.lower(),))
            return Answer(204, body=b"")
        if request.method == "PATCH":
            told = self._told(request)
            if not isinstance(told, dict):
                raise Refused("a customer must be an object")
            special = {**special, **documents.special(told)}
            special = {name: value for name, value in special.items() if value is not None}
            _check_special(special)
            self._store.run("UPDATE customers SET special = ? WHERE id = ?", encode(special), customer_id.lower())
        elif request.method != "GET":
            raise Fault(405, 800002, "Use GET, PATCH or DELETE here")
        return plain(200, {**document, "emulator": special})

    def _subscription(self, request: Request, customer_id: str, subscription_id: str) -> Answer:
        """PATCH sets any field, by no rule but that the emulator can still read it."""
        with self._store.transaction():
            held = self._store.subscription(customer_id, subscription_id)
            if held is None:
                raise not_found()
            document, special, _ = held
            if request.method == "DELETE":
                self._store.run(
                    "DELETE FROM subscriptions WHERE customer = ? AND id = ?",
                    customer_id.lower(),
                    subscription_id.lower(),
                )
                return Answer(204, body=b"")
            if request.method == "PATCH":
                told = self._told(request)
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
                self._store.change_subscription(customer_id, changed, special)
                document = changed
            elif request.method != "GET":
                raise Fault(405, 800002, "Use GET, PATCH or DELETE here")
        return plain(200, {**document, "emulator": special})

    def _reset(self, request: Request) -> Answer:
        reset(self._store)
        return self._state(request)

    # What happened

    def _journal(self, request: Request) -> Answer:
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            raise Refused("after must be a whole number")
        return plain(200, journal(self._store, int(after[:15])))

    # Faults, limits, latency

    def _add(self, request: Request, kind: str, read: Callable[[object], Tree]) -> Answer:
        told = self._told(request)
        documents_told = told if isinstance(told, list) else [told]
        self.disturbances.add(kind, [read(document) for document in documents_told], instead=kind != "fault")
        return self._show(kind)

    def _show(self, kind: str) -> Answer:
        return plain(200, self.disturbances.show(kind))

    def _clear(self, kind: str) -> Answer:
        self.disturbances.clear(kind)
        return plain(200, [])

    # How it answers

    def _change_wire(self, request: Request) -> Answer:
        told = self._told(request)
        if not isinstance(told, dict):
            raise Refused("wire must be an object")
        for name, value in told.items():
            if name not in WIRE_CHOICES:
                raise Refused(f"unknown: {name[:100]}; known: {', '.join(WIRE_CHOICES)}")
            if value not in WIRE_CHOICES[name]:
                raise Refused(f"{name} must be one of {', '.join(str(choice) for choice in WIRE_CHOICES[name])}")
        self._store.set_fact("wire", encode({**self.wire, **told}))
        return plain(200, self.wire)

    def _forget_wire(self, request: Request) -> Answer:
        self._store.run("DELETE FROM facts WHERE name = 'wire'")
        return plain(200, self.wire)

    def _change_sign_in(self, request: Request) -> Answer:
        self._tokens.change_rules(self._told(request))
        return plain(200, self._tokens.rules)

    def _application(self, request: Request) -> Answer:
        document = entra.application(self._told(request))
        entra.add_application(self._store, document)
        return plain(201, document)

    def _refresh_token(self, request: Request) -> Answer:
        """A refresh token as if a person had consented: ``clientId``, ``mfa``, ``expiresIn`` (seconds)."""
        told = self._told(request)
        if not isinstance(told, dict):
            raise Refused("a refresh token must be an object")
        client = documents.text_of(told, "clientId", registration.CLIENT_ID)
        try:
            application = entra.find_application(self._store, "common", client)
        except entra.Refusal as refusal:
            raise Refused(refusal.text) from None
        mfa, lifetime = told.get("mfa", True), told.get("expiresIn", self._tokens.rules["refreshTokenLifetime"])
        if not isinstance(mfa, bool):
            raise Refused("mfa must be true or false")
        if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or not -1e9 <= lifetime <= 1e9:
            raise Refused("expiresIn must be a number of seconds")
        value = "0." + secrets.token_urlsafe(48)
        entra.keep_grant(
            self._store,
            value,
            "refresh_token",
            time.time() + lifetime,
            {"clientId": application["clientId"], "tenantId": application["tenantId"], "mfa": mfa},
        )
        return plain(201, {"refreshToken": value, "clientId": application["clientId"]})

    def _device_code(self, request: Request) -> Answer:
        """A person's answer: ``userCode``, and ``answer`` approve or deny."""
        told = self._told(request)
        if not isinstance(told, dict) or told.get("answer", "approve") not in ("approve", "deny"):
            raise Refused("tell userCode, and answer: approve or deny")
        if not consent.answer_device(self._store, str(told.get("userCode", "")).upper(), told.get("answer", "approve")):
            raise not_found()
        return plain(200, {"answer": told.get("answer", "approve")})

    def _change_listing(self, request: Request) -> Answer:
        told = self._told(request)
        seconds = told.get("seconds") if isinstance(told, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 86400:
            raise Refused("seconds must be a number from 0 to 86400")
        self._store.set_fact("listingDelay", str(seconds))
        return plain(200, {"seconds": seconds})


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def journal(store: Store, after: int = 0) -> list[Tree]:
    """Every request to the API, in the order they came; those whose number is above *after*."""
    rows = store.rows(
        "SELECT seq, time, method, path, request_id, correlation_id, status, accepted FROM journal"
        " WHERE seq > ? ORDER BY time, seq",
        after,
    )
    return [
        {
            "number": seq,
            "time": stamp(moment),
            "method": method,
            "path": path,
            "requestId": request_id,
            "correlationId": correlation_id,
            "status": status,
            "accepted": bool(accepted),
        }
        for seq, moment, method, path, request_id, correlation_id, status, accepted in rows
    ]


def upgrades_made(store: Store) -> list[Tree]:
    """Every upgrade that was performed, in order."""
    rows = store.rows(
        "SELECT time, customer, source, target, from_offer, to_offer, upgrade_type, request_id FROM upgrades"
        " ORDER BY seq"
    )
    return [
        {
            "time": stamp(moment),
            "customerId": customer,
            "sourceSubscriptionId": source,
            "targetSubscriptionId": target,
            "fromOffer": _offer_name(from_offer),
            "toOffer": _offer_name(to_offer),
            "upgradeType": upgrade_type,
            "requestId": request_id,
        }
        for moment, customer, source, target, from_offer, to_offer, upgrade_type, request_id in rows
    ]


def _offer_name(offer_id: str) -> str:
    offer = catalog.OFFERS.get(offer_id.lower())
    return offer["name"] if offer else offer_id
