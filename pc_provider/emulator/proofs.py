"""
How an application proves who it is: a secret, an assertion signed with its certificate, or a trusted issuer's token.

PyJWT and cryptography come with msal; they are imported when an assertion has to be verified.
"""

from __future__ import annotations

import hmac
import time
from typing import Any

from pc_provider.emulator.entra import FEDERATION_AUDIENCES, Refusal
from pc_provider.emulator.exchange import Request
from pc_provider.emulator.store import Store

Tree = dict[str, Any]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LEEWAY = 300
"""Seconds by which clocks may differ."""


def prove(store: Store, request: Request, application: Tree, form: dict[str, str]) -> str:
    """The way it was proved, as the token's claim ``appidacr`` has it: "1" a secret, "2" a key. Raises Refusal."""
    secret = form.get("client_secret")
    if application.get("open") and (secret or form.get("client_assertion")):
        return "1" if secret else "2"
    if secret:
        for known in application.get("clientSecrets", ()):
            if hmac.compare_digest(known.encode(), secret.encode()):
                return "1"
        if secret in application.get("expiredSecrets", ()):
            raise Refusal(
                401,
                "invalid_client",
                7000222,
                f"The provided client secret keys for app '{application['clientId']}' are expired.",
            )
        raise Refusal(
            401,
            "invalid_client",
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
            f" not the client secret ID, for a secret added to app '{application['clientId']}'.",
        )
    if form.get("client_assertion"):
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refusal(400, "invalid_request", 900144, f"The client_assertion_type must be '{ASSERTION_TYPE}'.")
        _assertion(store, request, application, form["client_assertion"])
        return "2"
    raise Refusal(
        401,
        "invalid_client",
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    )


def _assertion(store: Store, request: Request, application: Tree, assertion: str) -> None:
    import jwt

    try:
        head = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Refusal(401, "invalid_client", 50027, "Invalid JWT token: the client assertion can't be read.") from None
    client = application["clientId"].lower()
    if str(claims.get("iss", "")).lower() == client:
        key = _certificate(application, head)
        audiences = _own_endpoints(request)
        problem = (700023, "Client assertion audience claim does not match the token endpoint.")
        if str(claims.get("sub", "")).lower() != client:
            raise Refusal(401, "invalid_client", 700021, "Client assertion's subject is not the application.")
    else:
        key, audiences = _trusted(store, application, claims)
        problem = (700212, "No matching federated identity record found for presented assertion audience.")
    _verify(assertion, key, audiences, problem)


def _verify(assertion: str, key: Any, audiences: list[str], wrong_audience: tuple[int, str]) -> None:
    import jwt

    try:
        jwt.decode(
            assertion,
            key,
            algorithms=["RS256", "PS256"],
            audience=audiences,
            leeway=LEEWAY,
            options={"require": ["exp", "aud"]},
        )
    except jwt.InvalidAudienceError:
        raise Refusal(401, "invalid_client", *wrong_audience) from None
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError, jwt.MissingRequiredClaimError):
        raise Refusal(401, "invalid_client", 700024, "Client assertion is not within its valid time range.") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Refusal(
            401,
            "invalid_client",
            700027,
            "The certificate with which the client assertion is signed is not registered on the application:"
            " the signature is invalid.",
        ) from None


def _certificate(application: Tree, head: Tree) -> Any:
    """The public key of the registered certificate that the assertion's thumbprint names."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    from pc_provider.emulator.tokens import base64url

    presented = {str(head.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256")} - {""}
    for pem in application.get("certificates", ()):
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            continue
        prints = {
            base64url(certificate.fingerprint(hashes.SHA1())),  # noqa: S303 - what x5t means
            base64url(certificate.fingerprint(hashes.SHA256())),
        }
        if presented & prints:
            if (
                not certificate.not_valid_before_utc.timestamp()
                <= time.time()
                <= certificate.not_valid_after_utc.timestamp()
            ):
                raise Refusal(
                    401,
                    "invalid_client",
                    1000502,
                    "The provided certificate is not within its specified validity period.",
                )
            return certificate.public_key()
    raise Refusal(
        401,
        "invalid_client",
        700027,
        "The certificate with identifier used to sign the client assertion is not registered on the application."
        " [Reason - The key was not found.]",
    )


def _trusted(store: Store, application: Tree, claims: Tree) -> tuple[Any, list[str]]:
    """The key and the audiences of the federated credential that the token's issuer and subject name."""
    records = application.get("federatedCredentials", ())
    issued = [record for record in records if record["issuer"] == claims.get("iss")]
    if not issued:
        raise Refusal(
            401,
            "invalid_client",
            700211,
            "No matching federated identity record found for presented assertion issuer"
            f" '{str(claims.get('iss'))[:200]}'.",
        )
    for record in issued:
        if record["subject"] == claims.get("sub"):
            audiences = [record["audience"]] if "audience" in record else list(FEDERATION_AUDIENCES)
            if "publicKey" in record:
                return _public_key(record["publicKey"]), audiences
            from pc_provider.emulator.issuer import signing_key

            return signing_key(store).public_key(), audiences
    raise Refusal(
        401,
        "invalid_client",
        700213,
        "No matching federated identity record found for presented assertion subject"
        f" '{str(claims.get('sub'))[:200]}'.",
    )


def _public_key(pem: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Refusal(401, "invalid_client", 500031, "The federated credential's public key can't be used.") from None


def _own_endpoints(request: Request) -> list[str]:
    """What an application's own assertion may name as its audience: this token endpoint, or its issuer."""
    tenant = request.parts[0]
    return [
        f"{scheme}://{request.host}/{tenant}/{tail}"
        for scheme in ("https", "http")
        for tail in ("oauth2/v2.0/token", "oauth2/token", "v2.0")
    ]
