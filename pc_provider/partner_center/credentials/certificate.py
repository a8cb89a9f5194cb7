"""A certificate with its private key, from PEM or PFX, as text or from a file."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pc_provider.partner_center.credentials.ways import ClientCertificate
from pc_provider.partner_center.errors import SignInError, printable
from pc_provider.partner_center.files import expanded

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["read"]

MAX_BYTES = 1024 * 1024


def read(way: ClientCertificate) -> tuple[str, str]:
    """
    The private key and the certificate that belongs to it, both as PEM text, held in memory only.

    msal computes the thumbprint and sends the certificate along (``x5c``), so an app that trusts a subject name and
    issuer accepts it too. Raises :class:`SignInError`.
    """
    data = _bytes(way)
    password = way.password.encode() if way.password else None
    try:
        key, certificates = _pem(data, password) if b"-----BEGIN" in data else _pfx(data, password)
    except (ValueError, TypeError) as error:
        raise _unusable(way, _reason(error, password)) from None
    return _matching(way, key, certificates)


def _bytes(way: ClientCertificate) -> bytes:
    text = way.certificate
    if "-----BEGIN" in text:
        # Variables of pipelines often hold the line ends as two characters.
        return (text if "\n" in text else text.replace("\\n", "\n")).encode()
    path = Path(text)
    # Only what is known to be a file is shown as one: any other text may be a key.
    if _is_file(path):
        try:
            with expanded(path).open("rb") as file:
                return file.read(MAX_BYTES)
        except OSError as error:
            raise _unusable(way, f"the file {printable(path, 200)} can't be read ({error.strerror})") from None
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise _unusable(way, "it is neither PEM text, nor the base64 text of a PFX, nor a file") from None


def _is_file(path: Path) -> bool:
    try:
        return expanded(path).is_file()
    except (OSError, ValueError):
        # Longer than any path, or with a null byte.
        return False


def _pem(data: bytes, password: bytes | None) -> tuple[Any, list[Certificate]]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"PRIVATE KEY-----" not in data:
        raise ValueError("it holds no private key")
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise ValueError("it holds no certificate beside the private key")
    start = data.index(b"PRIVATE KEY-----")
    key = load_pem_private_key(data[data.rindex(b"-----BEGIN", 0, start) :], password)
    return key, x509.load_pem_x509_certificates(data)


def _pfx(data: bytes, password: bytes | None) -> tuple[Any, list[Certificate]]:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    key, certificate, others = load_key_and_certificates(data, password)
    if key is None or certificate is None:
        raise ValueError("it holds no private key with its certificate")
    return key, [certificate, *others]


def _matching(way: ClientCertificate, key: Any, certificates: list[Certificate]) -> tuple[str, str]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    if not isinstance(key, RSAPrivateKey):
        raise _unusable(way, "its key is not an RSA key, and Microsoft Entra takes no other")

    def shape(public: Any) -> bytes:
        return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    mine = shape(key.public_key())
    certificate = next((each for each in certificates if shape(each.public_key()) == mine), None)
    if certificate is None:
        raise _unusable(way, "none of its certificates belongs to its private key")
    if certificate.not_valid_after_utc < datetime.now(timezone.utc):
        raise _unusable(
            way,
            f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
            "Make a new one, and upload its public part to the app registration.",
        )
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        certificate.public_bytes(Encoding.PEM).decode(),
    )


def _reason(error: Exception, password: bytes | None) -> str:
    text = str(error)
    if text.startswith("it holds no"):
        return text
    if "password" in text.lower() or "decrypt" in text.lower() or "mac" in text.lower():
        asked = "does not open it" if password else "is needed and not configured"
        return f"partnercenter:clientCertificatePassword {asked}"
    return "it is neither PEM nor PFX"


def _unusable(way: ClientCertificate, reason: str, remedy: str = "") -> SignInError:
    return SignInError(
        f"the certificate of {way.origin} can't be used: {reason}",
        remedy=remedy
        or f"{way.origin} must hold a certificate with its private key: PEM text, the base64 text of a "
        "PFX, or the path of a file in either format.",
    )
