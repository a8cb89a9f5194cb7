"""
The token services of other systems: GitHub Actions, Azure DevOps, and the managed identity of an Azure machine.

A registration trusts the first two by their issuer and subject (a federated credential); the tokens are signed with a
key of the state file.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from pc_provider.emulator import entra
from pc_provider.emulator.documents import Refused
from pc_provider.emulator.exchange import Answer, Request, plain
from pc_provider.emulator.registration import TENANT_ID
from pc_provider.emulator.store import Store
from pc_provider.emulator.tokens import Tokens

Tree = dict[str, Any]

LIFETIME = 300
"""Seconds a token for an exchange is good for, as at GitHub."""


def signing_key(store: Store) -> Any:
    """The key of these issuers, made when it is first needed."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    text = store.fact("issuerKey")
    if text is None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        store.run("INSERT OR IGNORE INTO facts VALUES ('issuerKey', ?)", pem)
        text = store.fact("issuerKey") or pem
    return serialization.load_pem_private_key(text.encode(), password=None)


def public_pem(store: Store) -> str:
    from cryptography.hazmat.primitives import serialization

    key = signing_key(store).public_key()
    pem: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def token(store: Store, issuer: str, subject: str, audience: str, lifetime: float = LIFETIME) -> str:
    """A token of another issuer, to be exchanged for one of Entra's."""
    import jwt

    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "nbf": now,
        "exp": int(now + lifetime),
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode(claims, signing_key(store), algorithm="RS256", headers={"kid": "emulator"})


def github(store: Store, request: Request) -> Answer:
    """``ACTIONS_ID_TOKEN_REQUEST_URL``: any bearer token stands for ``ACTIONS_ID_TOKEN_REQUEST_TOKEN``."""
    if not request.bearer:
        return plain(401, {"message": "The request token is missing."})
    audience = request.query.get("audience", "https://github.com/contoso")
    return plain(200, {"count": 1, "value": token(store, entra.GITHUB_ISSUER, entra.GITHUB_SUBJECT, audience)})


def azure_devops(store: Store, request: Request) -> Answer:
    """``SYSTEM_OIDCREQUESTURI``: any bearer token stands for ``SYSTEM_ACCESSTOKEN``."""
    if not request.bearer:
        return plain(401, {"message": "The access token of the pipeline is missing."})
    if not request.query.get("serviceconnectionid"):
        return plain(400, {"message": "The parameter serviceConnectionId is missing."})
    audience = "api://AzureADTokenExchange"
    return plain(200, {"oidcToken": token(store, entra.AZURE_DEVOPS_ISSUER, entra.AZURE_DEVOPS_SUBJECT, audience)})


def any_token(store: Store, told: object) -> Answer:
    """A token as it is told: ``issuer``, ``subject``, ``audience``, ``lifetime`` (seconds, may be negative)."""
    if not isinstance(told, dict):
        raise Refused("a token must be an object")
    texts = {
        "issuer": entra.GITHUB_ISSUER,
        "subject": entra.GITHUB_SUBJECT,
        "audience": entra.FEDERATION_AUDIENCES[0],
    }
    for name in texts:
        texts[name] = told.get(name, texts[name])
        if not isinstance(texts[name], str):
            raise Refused(f"{name} must be a text")
    lifetime = told.get("lifetime", LIFETIME)
    if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or not -86400 <= lifetime <= 86400:
        raise Refused("lifetime must be a number of seconds from -86400 to 86400")
    return plain(
        200,
        {
            "token": token(store, texts["issuer"], texts["subject"], texts["audience"], lifetime),
            "publicKey": public_pem(store),
        },
    )


def managed_identity(store: Store, tokens: Tokens, request: Request) -> Answer:
    """
    The identity of a machine (header ``Metadata: true``) or of an app service (header ``X-IDENTITY-HEADER``).

    Without ``client_id`` it is the one assigned by the system; with it, a registration that is a managed identity.
    """
    if request.headers.get("metadata", "").lower() != "true" and not request.headers.get("x-identity-header"):
        return plain(400, {"error": "invalid_request", "error_description": "Required metadata header not specified"})
    resource = request.query.get("resource", "").rstrip("/")
    if not resource:
        return plain(
            400, {"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"}
        )
    client = request.query.get("client_id")
    try:
        entra.known_resource(request, resource)
        application = entra.find_application(store, "common", client) if client else SYSTEM_ASSIGNED
    except entra.Refusal as refusal:
        return refusal.answer()
    if not application.get("managedIdentity"):
        return plain(400, {"error": "invalid_request", "error_description": "Identity not found"})
    lifetime = tokens.rules["tokenLifetime"]
    access = tokens.issue(app_claims(application, resource, "2"), lifetime)
    now = int(time.time())
    return plain(
        200,
        {
            "access_token": access,
            "client_id": application["clientId"],
            "expires_in": str(int(lifetime)),
            "expires_on": str(now + int(lifetime)),
            "ext_expires_in": str(int(lifetime)),
            "not_before": str(now),
            "resource": resource,
            "token_type": "Bearer",
        },
    )


SYSTEM_ASSIGNED: Tree = {
    "clientId": "2d9b0c5e-7a1f-4e63-8c0d-5b4a3f2e1d0c",
    "tenantId": TENANT_ID,
    "managedIdentity": True,
}


def app_claims(application: Tree, audience: str, proof: str) -> Tree:
    """The claims of a token for an application on its own."""
    principal = str(uuid.uuid5(uuid.NAMESPACE_URL, application["clientId"].lower()))
    return {
        "aud": audience,
        "iss": f"https://sts.windows.net/{application['tenantId']}/",
        "appid": application["clientId"],
        "appidacr": proof,
        "idtyp": "app",
        "oid": principal,
        "sub": principal,
        "tid": application["tenantId"],
        "roles": application.get("roles", []),
    }
