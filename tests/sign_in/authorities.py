"""A sign-in service of one test: discovery, and a token endpoint that a function plays; and certificates for it."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from .conftest import TENANT, Answer, Asked, as_json

Form = dict[str, str]


def form_of(asked: Asked) -> Form:
    return {name: values[0] for name, values in parse_qs(asked.body).items()}


def discovery(asked: Asked, **other: str) -> dict[str, str]:
    base = f"https://{asked.headers['host']}/{TENANT}/oauth2/v2.0"
    return {"issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token", **other}


def authority(token_answer: Callable[[Asked], Answer], **other: str) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        if "openid-configuration" in asked.path:
            return as_json(discovery(asked, **other))
        return token_answer(asked)

    return answer


def issuing(
    refuse: Callable[[Form], dict[str, Any] | None] = lambda form: None, **more: Any
) -> Callable[[Asked], Answer]:
    """A token endpoint that gives ``t``, unless *refuse* says what is wrong with the form."""

    def answer(asked: Asked) -> Answer:
        refusal = refuse(form_of(asked))
        return as_json(refusal, 400) if refusal else as_json({"access_token": "t", "expires_in": 3599, **more})

    return authority(answer)


class Certificate:
    """A self-signed certificate of an app registration, and its key."""

    def __init__(self, *, days: int = 30, elliptic: bool = False) -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        self.key: Any = ec.generate_private_key(ec.SECP256R1()) if elliptic else rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.partner.example")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .sign(self.key, hashes.SHA256())
        )

    def key_pem(self, password: str | None = None) -> str:
        shield: Any = (
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        )
        return self.key.private_bytes(  # type: ignore[no-any-return]
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, shield
        ).decode()

    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def pfx(self, password: str | None = None) -> bytes:
        shield: Any = (
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        )
        return pkcs12.serialize_key_and_certificates(b"app", self.key, self.certificate, None, shield)

    def check(self, assertion: str) -> dict[str, Any]:
        """The claims of a client assertion that this certificate's key has signed. Raises otherwise."""
        head, body, signature = assertion.split(".")
        header = json.loads(_decoded(head))
        digest = hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).digest()
        assert header["alg"] == "PS256"
        assert _decoded(header["x5t#S256"]) == digest
        assert base64.b64decode(header["x5c"][0]) == self.certificate.public_bytes(serialization.Encoding.DER)
        self.key.public_key().verify(
            _decoded(signature),
            f"{head}.{body}".encode(),
            padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH),
            hashes.SHA256(),
        )
        claims: dict[str, Any] = json.loads(_decoded(body))
        return claims


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
