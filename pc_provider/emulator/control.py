"""The control paths ``/_emulator/…``: to see and arrange what Partner Center would not let anyone."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from pc_provider.emulator import consent, disturbances, documents, entra, issuer, registration, reports
from pc_provider.emulator.arranging import add_customer, change_customer, change_subscription, reset, told_in
from pc_provider.emulator.documents import Refused
from pc_provider.emulator.exchange import Answer, Fault, Request, invalid, not_found, plain
from pc_provider.emulator.store import Store, decode, encode
from pc_provider.emulator.tokens import Tokens

Tree = dict[str, Any]

WIRE: Tree = {"bom": True, "enums": "integer", "keys": "camelCase", "encoding": "utf-8"}
"""How success bodies are written: what is recorded, unless told otherwise."""
WIRE_CHOICES: dict[str, tuple[object, ...]] = {
    "bom": (True, False),
    "enums": ("integer", "snake_case", "PascalCase"),
    "keys": ("camelCase", "PascalCase"),
    "encoding": ("utf-8", "utf-16"),
}


class Control:
    """Answers the control paths."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self.disturbances = disturbances.Disturbances(store)
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "state"): self._state,
            ("GET", "journal"): self._journal,
            ("GET", "upgrades"): lambda request: plain(200, reports.upgrades_made(store)),
            ("GET", "sign-ins"): lambda request: plain(200, reports.sign_ins(store)),
            ("GET", "overview"): lambda request: plain(
                200, reports.overview(store, request.query.get("find", "")[:100])
            ),
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
            ("POST", "oidc/token"): lambda request: issuer.any_token(store, told_in(request)),
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
                return change_subscription(self._store, request, parts[1], parts[3])
            if len(parts) == 2 and parts[0] == "customers":
                return change_customer(self._store, request, parts[1])
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
        told = told_in(request)
        with self._store.transaction():
            if isinstance(told, list):
                return plain(201, [add_customer(self._store, customer) for customer in told])
            return plain(201, add_customer(self._store, told))

    def _reset(self, request: Request) -> Answer:
        reset(self._store)
        return self._state(request)

    # What happened

    def _journal(self, request: Request) -> Answer:
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            raise Refused("after must be a whole number")
        return plain(200, reports.journal(self._store, int(after[:15])))

    # Faults, limits, latency

    def _add(self, request: Request, kind: str, read: Callable[[object], Tree]) -> Answer:
        told = told_in(request)
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
        told = told_in(request)
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
        self._tokens.change_rules(told_in(request))
        return plain(200, self._tokens.rules)

    def _application(self, request: Request) -> Answer:
        document = entra.application(told_in(request))
        entra.add_application(self._store, document)
        return plain(201, document)

    def _refresh_token(self, request: Request) -> Answer:
        """A refresh token as if a person had consented: ``clientId``, ``mfa``, ``expiresIn`` (seconds)."""
        told = told_in(request)
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
        told = told_in(request)
        if not isinstance(told, dict) or told.get("answer", "approve") not in ("approve", "deny"):
            raise Refused("tell userCode, and answer: approve or deny")
        if not consent.answer_device(self._store, str(told.get("userCode", "")).upper(), told.get("answer", "approve")):
            raise not_found()
        return plain(200, {"answer": told.get("answer", "approve")})

    def _change_listing(self, request: Request) -> Answer:
        told = told_in(request)
        seconds = told.get("seconds") if isinstance(told, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 86400:
            raise Refused("seconds must be a number from 0 to 86400")
        self._store.set_fact("listingDelay", str(seconds))
        return plain(200, {"seconds": seconds})
