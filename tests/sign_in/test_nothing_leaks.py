"""
Secrets, tokens and keys of every way to sign in are in nothing that a run on the real engine writes or prints.

The provider's process logs everything at DEBUG, its arguments too; then all files and all output are searched.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pc_provider.emulator.registration import OFFER_E1, OFFER_E3
from tests.conftest import NewStack
from tests.engine.harness import Run, Stack

from .authorities import Certificate
from .conftest import Desk

PROGRAM = f"""
import json, os
from pc_provider import SubscriptionUpgrade

for partner, (customer, subscription) in json.loads(os.environ["SOURCES"]).items():
    SubscriptionUpgrade(
        partner,
        customer_id=customer,
        subscription_id=subscription,
        target_offer_id={OFFER_E3!r},
        partner=partner,
    )
"""
LOG_EVERYTHING = """
import logging, os, sys
logging.basicConfig(level=logging.DEBUG, filename=os.path.join(os.environ["LOGS"], f"{os.getpid()}.log"))
logging.debug("arguments %r", sys.orig_argv)
"""
TOKENS = {
    "an access token": re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]+"),
    "a refresh token": re.compile(rb"\b[012]\.[A-Za-z0-9_-]{43,}"),
    "a private key": re.compile(rb"PRIVATE KEY-----"),
    "a bearer header": re.compile(rb"[Bb]earer [A-Za-z0-9._-]{8,}"),
}


class Planted:
    """Partners with one way each, the secrets in them, and a stack that upgrades one subscription by each."""

    def __init__(self, desk: Desk, new_stack: NewStack, tmp_path: Path) -> None:
        self.desk = desk
        self.partners: dict[str, dict[str, Any]] = {}
        self.canaries: list[str] = []
        self._new_stack = new_stack
        self._logs = tmp_path / "logs"
        self._logs.mkdir()
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(LOG_EVERYTHING)
        self._environ = {"PYTHONPATH": str(tmp_path / "site"), "LOGS": str(self._logs)}

    def secret(self, text: str) -> str:
        self.canaries.append(text)
        return text

    def app(self, **told: object) -> dict[str, str]:
        document = self.desk.control("POST", "applications", told)
        return {"tenantId": document["tenantId"], "clientId": document["clientId"]}

    def stack(self) -> Stack:
        # A customer each: nobody may hold the same offer twice.
        told = [{"subscriptions": [{"friendlyName": partner, "offerId": OFFER_E1}]} for partner in self.partners]
        sources = {
            customer["subscriptions"][0]["friendlyName"]: [customer["id"], customer["subscriptions"][0]["id"]]
            for customer in self.desk.control("POST", "customers", told)
        }
        return self._new_stack(
            PROGRAM,
            config={
                "partnercenter:endpoint": self.desk.url,
                "partnercenter:caBundle": str(self.desk.emulator.ca_bundle),
                "partnercenter:checkEligibility": "false",
            },
            secrets={"partnercenter:partners": json.dumps(self.partners)},
            environ={**self._environ, "SOURCES": json.dumps(sources)},
        )

    def search(self, stack: Stack, run: Run) -> None:
        """Raises an assertion that names what was found and where, without showing it."""
        written = {str(path): path.read_bytes() for path in _files(stack.folder, self._logs)}
        assert any(b"msal" in text for text in written.values()), "the provider's process has not logged"
        assert any(b"httpcore" in text for text in written.values())
        written["what was printed"] = run.text.encode()
        written["the state"] = json.dumps(stack.export()).encode()
        found = [
            (index, where)
            for where, text in written.items()
            for index, canary in enumerate(self.canaries)
            if canary.encode() in text
        ]
        found_tokens = [
            (what, where) for where, text in written.items() for what, pattern in TOKENS.items() if pattern.search(text)
        ]
        assert (found, found_tokens) == ([], [])
        assert "Traceback" not in run.text


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


@pytest.fixture
def planted(desk: Desk, new_stack: NewStack, tmp_path: Path) -> Planted:
    return Planted(desk, new_stack, tmp_path)


def test_when_every_way_succeeds(planted: Planted, tmp_path: Path) -> None:
    desk, secret = planted.desk, planted.secret
    certificate = Certificate()
    password = secret("canary-password-1")
    certified = planted.app(certificates=[certificate.pem()])
    kept = tmp_path / "kept"
    store = f"""'{sys.executable}' -c 'import sys; open("{kept}", "w").write(sys.stdin.read())'"""
    planted.partners = {
        "secret": {**planted.app(clientSecrets=["canary-secret-1"]), "clientSecret": secret("canary-secret-1")},
        "pem": {
            **certified,
            "clientCertificate": certificate.key_pem(password) + certificate.pem(),
            "clientCertificatePassword": password,
        },
        "oidc": {"oidcToken": secret(desk.control("POST", "oidc/token", {"lifetime": 3600})["token"])},
        "person": {
            "refreshToken": secret(desk.control("POST", "refresh-tokens", {})["refreshToken"]),
            "refreshTokenCommand": store,
        },
        "given": {"accessToken": secret(desk.credential().token())},
    }
    planted.canaries += certificate.key_pem().splitlines()[1:3]
    stack = planted.stack()
    run = stack.up().succeeded()
    assert len(stack.resources()) == 5
    secret(kept.read_text())
    planted.search(stack, run)


def test_when_every_way_fails(planted: Planted) -> None:
    desk, secret = planted.desk, planted.secret
    certificate = Certificate()
    expired = desk.credential().token()
    desk.rules(revoke=True)
    no_mfa = desk.control("POST", "refresh-tokens", {"mfa": False})["refreshToken"]
    planted.partners = {
        "wrong-secret": {"clientSecret": secret("canary-secret-2")},
        "wrong-password": {
            "clientCertificate": certificate.key_pem("right") + certificate.pem(),
            "clientCertificatePassword": secret("canary-password-2"),
        },
        "untrusted": {"oidcToken": secret(desk.control("POST", "oidc/token", {"subject": "repo:x"})["token"])},
        "unreadable": {"oidcToken": secret("canary assertion")},
        "dead": {"refreshToken": secret(desk.control("POST", "refresh-tokens", {"expiresIn": -1})["refreshToken"])},
        "no-mfa": {"refreshToken": secret(no_mfa), "refreshTokenCommand": f"cat {secret('canary-argument')}"},
        "revoked": {"accessToken": secret(expired)},
        "opaque": {"accessToken": secret("canary-token-1")},
        "unreachable": {"authority": "http://127.0.0.1:9", "clientSecret": secret("canary-secret-3")},
    }
    stack = planted.stack()
    run = stack.up("--continue-on-error", "--parallel", "16").failed()
    assert stack.resources() == []
    for expected in (
        "AADSTS7000215",
        "AADSTS700213",
        "AADSTS700082",
        "900421",
        "clientCertificatePassword",
        ":9 could not",
    ):
        assert expected in run.text, run.text
    planted.search(stack, run)


def test_a_run_can_store_the_new_refresh_token_in_its_own_stack(planted: Planted, desk: Desk) -> None:
    first = planted.secret(desk.control("POST", "refresh-tokens", {})["refreshToken"])
    planted.partners = {"person": {}}
    stack = planted.stack()
    stack.configure(
        {"partnercenter:refreshTokenCommand": f"pulumi config set --secret partnercenter:refreshToken -s {stack.name}"},
        secrets={"partnercenter:refreshToken": first},
    )
    run = stack.up().succeeded()
    shown = json.loads(stack.pulumi("config", "--show-secrets", "--json").succeeded().stdout)
    newest = shown["partnercenter:refreshToken"]
    assert newest["secret"] is True
    assert desk.call(desk.credential({"refreshToken": newest["value"]}).token()) == 200
    assert newest["value"] != first
    planted.secret(newest["value"])
    planted.search(stack, run)
