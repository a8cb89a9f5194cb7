"""Requests no client would send, for every address of the emulator."""

from __future__ import annotations

import atexit
import http.client
import json
import socket
from functools import lru_cache
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import (
    CLIENT_ID,
    CLIENT_SECRET,
    CUSTOMER_ID,
    OFFER_E3,
    REFRESH_TOKEN,
    SUBSCRIPTION_ID,
    TENANT_ID,
)
from pc_provider.partner_center import media

METHODS = ["GET"] * 6 + ["POST"] * 12 + ["PATCH"] * 4 + ["DELETE", "PUT", "HEAD", "OPTIONS", "get", "PROPFIND"]
WORDS: list[str] = [
    "", "*", "..", "\x00", "é", "'; DROP TABLE customers; --", "a" * 3000, "%", "{}", "\ud800", "0", "-1", "1e9", "NaN",
    CUSTOMER_ID, SUBSCRIPTION_ID.upper(), OFFER_E3, TENANT_ID, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, "emulator",
    "https://api.partnercenter.microsoft.com/.default", "openid", "http://localhost:1/", "code", "a.b.c", "US",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, 2, -1, 10**20, 1.5, 1e308, [], {}, [[]], "active", "suspended", "upgrade_only", "(", ".*",
    *WORDS,
]  # fmt: skip
UPGRADES = f"v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}/upgrades"
PATHS = [
    UPGRADES, UPGRADES.rpartition("/")[0], UPGRADES, f"v1/customers/{CUSTOMER_ID}/subscriptions", "v1/customers",
    "v1/offers", f"v1/offers/{OFFER_E3}", f"v1/customers/{CUSTOMER_ID}/orders", "v1", "V1/Customers/x/y/z", "", "v2",
    f"{TENANT_ID}/oauth2/v2.0/token", f"{TENANT_ID}/oauth2/v2.0/token", f"{TENANT_ID}/oauth2/v2.0/devicecode",
    f"{TENANT_ID}/oauth2/v2.0/authorize", f"{TENANT_ID}/v2.0/.well-known/openid-configuration", "devicelogin",
    "common/discovery/instance", "metadata/identity/oauth2/token", f"{TENANT_ID}/oauth2/token",
    *(f"_emulator/{name}" for name in (
        "state", "customers", "journal", "reset", "faults", "limits", "latency", "wire", "sign-in", "listing",
        "applications", "refresh-tokens", "device-codes", "oidc/token", "oidc/github", "oidc/azure-devops", "overview",
        f"customers/{CUSTOMER_ID}", f"customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}", "nothing", "",
    )),
]  # fmt: skip
FIELDS = [
    "targetOffer", "id", "upgradeType", "quantity", "status", "friendlyName", "subscriptions", "offerId", "emulator",
    "kind", "when", "path", "method", "seconds", "requests", "per", "times", "jitter", "bom", "enums", "tokenLifetime",
    "revoke", "tenantId", "clientId", "certificates", "federatedCredentials", "refuse", "subject", "lifetime", "mfa",
    "expiresIn", "userCode", "answer", "roles", "licenseErrors", "upgradeErrors", "conflictingOffers", "retryAfter",
]  # fmt: skip
FORM = [
    "grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "resource",
    "code", "refresh_token", "redirect_uri", "response_type", "response_mode", "code_challenge", "device_code",
    "answer",
]  # fmt: skip
GRANTS = ["client_credentials", "refresh_token", "authorization_code", "device_code", "password"]


@lru_cache(maxsize=1)
def running() -> Emulator:
    """One emulator for all inputs of the process."""
    emulator = Emulator()
    emulator.start()
    atexit.register(emulator.stop)
    return emulator


def tree(random: Random, depth: int = 0) -> Any:
    if depth > 4 or random.random() < 0.35:
        return random.choice(VALUES)
    if random.random() < 0.2:
        return [tree(random, depth + 1) for _ in range(random.randrange(4))]
    return {random.choice(FIELDS): tree(random, depth + 1) for _ in range(random.randrange(6))}


def body(random: Random) -> tuple[bytes, str]:
    kind = random.random()
    if kind < 0.2:
        fields = {name: random.choice(WORDS) for name in random.choices(FORM, k=random.randrange(6))}
        fields["grant_type"] = random.choice(GRANTS)
        fields.setdefault("client_id", CLIENT_ID)
        return urlencode(fields, errors="replace").encode(), media.FORM
    if kind < 0.8:
        told = tree(random)
        if random.random() < 0.5:
            told = {
                "targetOffer": {"id": OFFER_E3},
                "upgradeType": random.choice(VALUES),
                **(told if isinstance(told, dict) else {}),
            }
        content, content_type = json.dumps(told).encode(), media.JSON
    else:
        content, content_type = (
            b"<Upgrade><targetOffer><id>x</id></targetOffer></Upgrade>",
            random.choice(media.REQUEST_TYPES),
        )
    if random.random() < 0.3:
        at = random.randrange(len(content) + 1)
        content = content[:at] + random.randbytes(random.randrange(6)) + content[at + random.randrange(6) :]
    if random.random() < 0.1:
        content_type = random.choice(["", "text/html", "x", "application/json; charset=\xff"])
    return content, content_type


def address(random: Random) -> str:
    path = random.choice(PATHS)
    if random.random() < 0.2:
        parts = path.split("/")
        parts[random.randrange(len(parts))] = quote(random.choice(WORDS), errors="replace")
        path = "/".join(parts)
    if random.random() < 0.4:
        names = ["size", "offset", "country", "find", "after", "audience", "resource", *FORM]
        path += "?" + urlencode({random.choice(names): random.choice(WORDS) for _ in range(3)}, errors="replace")
    return "/" + path


def emulator(random: Random) -> None:
    """Any request gets an answer below 500 in the shape of its address, and the emulator goes on serving."""
    host = running().url.partition("://")[2]
    content, content_type = body(random)
    method, path = random.choice(METHODS), address(random)
    headers = {
        "Host": host,
        "Connection": "close",
        "Content-Length": str(len(content)),
        "Content-Type": content_type,
        "Authorization": random.choice(
            ["Bearer emulator"] * 6 + ["", "Bearer", "Basic x", "Bearer a.b.c", "Bearer \xff"]
        ),
        "Accept": random.choice(["*/*", "application/json", "application/xml", "text/html;q=x", "\xff"]),
        random.choice(["ms-requestid", "ms-cv", "If-Match", "ValidateMfa", "Metadata"]): random.choice(
            ["true", "\xfe", ""]
        ),
    }
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    message = head.encode("latin-1") + content
    if random.random() < 0.05:
        at = random.randrange(len(message))
        broken = message[:at] + random.randbytes(3) + message[at + random.randrange(20) :]
        _send(host, broken, hang_up=True)
        message = f"GET /{UPGRADES} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        method, path = "GET", f"/{UPGRADES}"
    status, kind, answer = _read(_send(host, message), method)
    assert status < 500, f"{method} {path}: {status}"
    if status >= 400 and method != "HEAD":
        _check_shape(path, kind, answer)
    if method == "POST" and status < 300 and path.startswith("/_emulator/"):
        reset = f"POST /_emulator/reset HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        assert _read(_send(host, reset.encode()), "POST")[0] == 200


def _send(host: str, message: bytes, *, hang_up: bool = False) -> socket.socket:
    name, _, port = host.partition(":")
    connection = socket.create_connection((name, int(port)), timeout=20)
    connection.sendall(message)
    if hang_up:
        connection.close()
    return connection


def _read(connection: socket.socket, method: str) -> tuple[int, str, bytes]:
    with connection:
        answer = http.client.HTTPResponse(connection, method=method.upper())
        answer.begin()
        return answer.status, answer.headers.get_content_type(), answer.read()


def _check_shape(path: str, kind: str, answer: bytes) -> None:
    """A ServiceFault from the API and the control paths, an Entra error or a page from the sign-in."""
    if kind == "text/html":
        assert "/authorize" in path or "/devicelogin" in path, path
        return
    if kind == "text/plain":
        # What is no HTTP at all is refused by the server before it has an address.
        assert answer == b"Invalid HTTP request received."
        return
    fault = media.decode(answer, kind)
    assert ({"code", "description", "data", "source"} <= set(fault)) or "error" in fault or "message" in fault, fault
