"""
Which way to sign in, chosen by what is configured.

1. What the stack's configuration or ``PARTNERCENTER_*`` configures is used, and nothing else is looked at.
2. Otherwise what the Azure tools' names configure: ``ARM_*``, then ``AZURE_*``. Names that belong to another app than
   the configured ``clientId`` are passed over.
3. Otherwise, where an app is configured and the pipeline gives tokens out (GitHub Actions, Azure DevOps): those.

With Partner Center played on this machine only the first counts, and otherwise the emulator's own app signs in.
Two ways at once, or half of one, is a problem that names the settings; none at all is not.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pc_provider.partner_center.clouds import CLOUDS
from pc_provider.partner_center.credentials.ways import (
    AccessToken,
    AppUser,
    AzureDevOps,
    ClientCertificate,
    ClientSecret,
    GitHubActions,
    ManagedIdentity,
    OidcToken,
    OidcTokenFile,
    SignIn,
    WorkloadIdentity,
)
from pc_provider.partner_center.errors import printable
from pc_provider.partner_center.files import expanded

__all__ = ["Chosen", "Value", "as_flag", "choose"]

ARM = {
    "tenantId": ("ARM_TENANT_ID",),
    "clientId": ("ARM_CLIENT_ID",),
    "clientSecret": ("ARM_CLIENT_SECRET",),
    "clientCertificate": ("ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_CERTIFICATE"),
    "clientCertificatePassword": ("ARM_CLIENT_CERTIFICATE_PASSWORD",),
    "oidcToken": ("ARM_OIDC_TOKEN",),
    "oidcTokenFile": ("ARM_OIDC_TOKEN_FILE_PATH",),
    "useManagedIdentity": ("ARM_USE_MSI",),
}
AZURE = {
    "tenantId": ("AZURE_TENANT_ID",),
    "clientId": ("AZURE_CLIENT_ID",),
    "clientSecret": ("AZURE_CLIENT_SECRET",),
    "clientCertificate": ("AZURE_CLIENT_CERTIFICATE_PATH",),
    "clientCertificatePassword": ("AZURE_CLIENT_CERTIFICATE_PASSWORD",),
    "oidcTokenFile": ("AZURE_FEDERATED_TOKEN_FILE",),
}
# Azure Pipelines' AzureCLI task gives the ids of its service connection under these names.
PIPELINE_IDS = {"tenantId": ("AZURESUBSCRIPTION_TENANT_ID",), "clientId": ("AZURESUBSCRIPTION_CLIENT_ID",)}
SERVICE_CONNECTION = (
    "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
    "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
)
ARM_CLOUDS = {"public": "global", "usgovernment": "usgov", "china": "china"}

CLIENT_PROOFS = ("clientSecret", "clientCertificate", "oidcToken", "oidcTokenFile", "useManagedIdentity")
USER_PROOFS = ("refreshToken", "refreshTokenFile")
COMPANIONS = {
    "clientCertificatePassword": ("clientCertificate",),
    "refreshTokenCommand": ("refreshToken", "refreshTokenFile"),
}


class Value(NamedTuple):
    """A configured text, and the name under which a person configured it."""

    text: str
    name: str


class Chosen(NamedTuple):
    """
    The way, or None and what is *missing*; the ids as far as they are known. *cloud* is what the Azure tools' names
    said about it, for a way of theirs.
    """

    way: SignIn | None
    tenant_id: str | None
    client_id: str | None = None
    cloud: str | None = None
    missing: str = ""


def as_flag(text: str) -> bool | None:
    """True and false in the spellings of stack configuration, shells and the Azure tools; None for another text."""
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())


def choose(
    values: Mapping[str, Value],
    environ: Mapping[str, str],
    problems: list[str],
    *,
    cloud: str | None,
    local: bool,
) -> Chosen:
    """
    The way to sign in. *values* is what stack configuration and ``PARTNERCENTER_*`` say, by key; *cloud* is None
    where neither names one. What is wrong is added to *problems*.
    """
    if "useManagedIdentity" in values and as_flag(values["useManagedIdentity"].text) is None:
        problems.append(f"{values['useManagedIdentity'].name} must be true or false")
        return Chosen(None, None)
    for key, owners in COMPANIONS.items():
        if key in values and not any(owner in values for owner in owners):
            problems.append(f"{values[key].name} is configured without partnercenter:{owners[0]}")
    if _proofs(values):
        ids = _emulators_app() if local else _first(environ, ARM, AZURE, PIPELINE_IDS, keys=("tenantId", "clientId"))
        if "useManagedIdentity" in _proofs(values):
            ids.pop("clientId", None)
        return _made({**ids, **values}, problems)
    if local:
        return _made(_emulators_app(secret=True), problems)
    for names in (ARM, AZURE):
        found = _first(environ, names)
        if not _proofs(found) or _another_app(values, found):
            continue
        merged = {**_first(environ, ARM, AZURE, keys=("tenantId", "clientId")), **found, **values}
        chosen = _made(merged, problems)
        said = _arm_cloud(environ) if names is ARM else _azure_cloud(environ)
        return chosen._replace(cloud=cloud or said)
    return _pipeline(values, environ, problems, CLOUDS[cloud or "global"].federation_audience)


def _emulators_app(*, secret: bool = False) -> dict[str, Value]:
    from pc_provider.emulator.registration import CLIENT_ID, CLIENT_SECRET, TENANT_ID

    name = "the emulator's own app"
    ids = {"tenantId": Value(TENANT_ID, name), "clientId": Value(CLIENT_ID, name)}
    return {**ids, "clientSecret": Value(CLIENT_SECRET, name)} if secret else ids


def _first(
    environ: Mapping[str, str], *tables: Mapping[str, tuple[str, ...]], keys: tuple[str, ...] | None = None
) -> dict[str, Value]:
    """For each key the first filled variable of the *tables*, in their order."""
    found: dict[str, Value] = {}
    for table in tables:
        for key, names in table.items():
            for name in names:
                text = environ.get(name, "").strip()
                if text and key not in found and (keys is None or key in keys):
                    found[key] = Value(text, name)
    return found


def _another_app(values: Mapping[str, Value], found: Mapping[str, Value]) -> bool:
    """A secret that belongs to another app than the configured one is not a proof of it."""
    return (
        "clientId" in values
        and "clientId" in found
        and values["clientId"].text.lower() != found["clientId"].text.lower()
    )


def _proofs(values: Mapping[str, Value]) -> list[str]:
    return [
        key
        for key in (*CLIENT_PROOFS, *USER_PROOFS, "accessToken")
        if key in values and (key != "useManagedIdentity" or as_flag(values[key].text))
    ]


def _made(values: Mapping[str, Value], problems: list[str]) -> Chosen:
    """The way that *values* configure; they hold at least one proof."""
    proofs = _proofs(values)
    client = [key for key in proofs if key in CLIENT_PROOFS]
    user = [key for key in proofs if key in USER_PROOFS]
    if len(client) > 1 or ("accessToken" in proofs and len(proofs) > 1) or (user and "useManagedIdentity" in client):
        named = [values[key].name for key in proofs if key not in user[1:]]
        problems.append(f"{' and '.join(named)} are ways to sign in that exclude each other; keep one of them")
        return Chosen(None, None)
    if "accessToken" in proofs:
        token = values["accessToken"]
        return Chosen(AccessToken(token.text, token.name), _id(values, "tenantId", problems, needed_by=""))
    if "useManagedIdentity" in client:
        name = values["useManagedIdentity"].name
        return Chosen(ManagedIdentity(_id(values, "clientId", problems, needed_by=""), name), None)
    needed_by = values[(user or client)[0]].name
    tenant_id = _id(values, "tenantId", problems, needed_by)
    client_id = _id(values, "clientId", problems, needed_by)
    if tenant_id is None or client_id is None:
        return Chosen(None, tenant_id, client_id)
    proof = _client_proof(values, client[0], tenant_id, client_id, problems) if client else None
    if not user:
        return Chosen(proof, tenant_id, client_id)
    return Chosen(_app_user(values, tenant_id, client_id, proof, problems), tenant_id, client_id)


def _client_proof(
    values: Mapping[str, Value], key: str, tenant_id: str, client_id: str, problems: list[str]
) -> ClientSecret | ClientCertificate | WorkloadIdentity:
    value = values[key]
    if key == "clientSecret":
        return ClientSecret(tenant_id, client_id, value.text, value.name)
    if key == "clientCertificate":
        _check_certificate(value, problems)
        password = values.get("clientCertificatePassword")
        return ClientCertificate(tenant_id, client_id, value.text, password and password.text, value.name)
    source = OidcToken(value.text) if key == "oidcToken" else OidcTokenFile(value.text)
    return WorkloadIdentity(tenant_id, client_id, source, value.name)


def _app_user(
    values: Mapping[str, Value],
    tenant_id: str,
    client_id: str,
    client: ClientSecret | ClientCertificate | WorkloadIdentity | None,
    problems: list[str],
) -> AppUser:
    command: tuple[str, ...] = ()
    if "refreshTokenCommand" in values:
        try:
            command = tuple(shlex.split(values["refreshTokenCommand"].text))
        except ValueError:
            problems.append(f"{values['refreshTokenCommand'].name} is not a command line: a quote is not closed")
    token, file = values.get("refreshToken"), values.get("refreshTokenFile")
    return AppUser(
        tenant_id,
        client_id,
        refresh_token=token.text if token else None,
        client=client,
        command=command,
        file=file.text if file else None,
        origin=(token or values["refreshTokenFile"]).name,
    )


def _id(values: Mapping[str, Value], key: str, problems: list[str], needed_by: str) -> str | None:
    if key not in values:
        if needed_by:
            problems.append(f"partnercenter:{key} is missing; {needed_by} needs it")
        return None
    text, name = values[key]
    if key == "clientId" and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        problems.append(f"{name} is not the GUID of an app registration")
        return None
    if key == "tenantId":
        if text.lower() in ("common", "organizations", "consumers"):
            problems.append(f"{name} is {text!r}; name the partner's own tenant, by its id or domain")
            return None
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", text):
            problems.append(f"{name} is neither a tenant's id (a GUID) nor its domain")
            return None
    return text


def _check_certificate(value: Value, problems: list[str]) -> None:
    if "-----BEGIN" in value.text:
        return
    try:
        path = expanded(value.text)
        if path.is_file():
            if not os.access(path, os.R_OK):
                problems.append(f"{value.name} names {printable(path, 200)}, which can't be read")
            return
    except (OSError, ValueError):
        pass  # Longer than any path, so it is text.
    try:
        der = base64.b64decode(value.text, validate=False)
    except (binascii.Error, ValueError):
        der = b""
    if len(value.text) < 256 or not der.startswith(b"\x30"):
        # A short text with a file's ending is shown, as it helps; anything else could be a key.
        path = Path(value.text[:256])
        shown = f" ({printable(path, 200)})" if path.suffix in (".pem", ".pfx", ".p12", ".cer", ".crt", ".key") else ""
        problems.append(
            f"{value.name} is neither PEM text, nor the base64 text of a PFX, nor a file that can be read{shown}"
        )


def _arm_cloud(environ: Mapping[str, str]) -> str | None:
    return ARM_CLOUDS.get(environ.get("ARM_ENVIRONMENT", "").strip().lower())


def _azure_cloud(environ: Mapping[str, str]) -> str | None:
    host = environ.get("AZURE_AUTHORITY_HOST", "").strip().rstrip("/").lower()
    host = host if "://" in host else f"https://{host}"
    return next((name for name, cloud in CLOUDS.items() if cloud.authority == host), None)


def _pipeline(values: Mapping[str, Value], environ: Mapping[str, str], problems: list[str], audience: str) -> Chosen:
    """The token service of the pipeline this runs in, if there is one and an app is configured."""
    ids = {**_first(environ, ARM, AZURE, PIPELINE_IDS, keys=("tenantId", "clientId")), **values}
    source = _token_service(values, environ, audience)
    absent = [f"partnercenter:{key}" for key in ("tenantId", "clientId") if key not in ids]
    if absent:
        known = [f"{ids[key].name} is set, but " for key in ("tenantId", "clientId") if key in ids]
        if not known and isinstance(source, str):
            return Chosen(None, None)
        missing = f"{''.join(known)}{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not set"
        return Chosen(None, None, missing=missing)
    tenant_id = _id(ids, "tenantId", problems, "")
    client_id = _id(ids, "clientId", problems, "")
    if isinstance(source, str):
        return Chosen(None, tenant_id, client_id, missing=source or "an app is named, but nothing that proves it")
    if tenant_id is None or client_id is None:
        return Chosen(None, tenant_id, client_id)
    way = WorkloadIdentity(tenant_id, client_id, source, ids["clientId"].name)
    return Chosen(way, tenant_id, client_id)


def _token_service(
    values: Mapping[str, Value], environ: Mapping[str, str], audience: str
) -> GitHubActions | AzureDevOps | str:
    """The pipeline's token service, or what keeps it from being used."""
    connection = values["serviceConnectionId"].text if "serviceConnectionId" in values else ""
    connection = connection or next((environ[name] for name in SERVICE_CONNECTION if environ.get(name)), "")
    url, token = environ.get("SYSTEM_OIDCREQUESTURI", ""), environ.get("SYSTEM_ACCESSTOKEN", "")
    if url:
        if not token:
            return "the step has no SYSTEM_ACCESSTOKEN: add `SYSTEM_ACCESSTOKEN: $(System.AccessToken)` to its env"
        if not connection:
            return "partnercenter:serviceConnectionId does not say which service connection of Azure DevOps to use"
        return AzureDevOps(url, token, connection)
    for prefix in ("ACTIONS_ID_TOKEN_REQUEST", "ARM_OIDC_REQUEST"):
        url, token = environ.get(f"{prefix}_URL", ""), environ.get(f"{prefix}_TOKEN", "")
        if url and token:
            return GitHubActions(url, token, audience)
    if environ.get("GITHUB_ACTIONS") == "true":
        return "this job may not ask GitHub for a token: add `permissions: id-token: write` to it"
    return ""
