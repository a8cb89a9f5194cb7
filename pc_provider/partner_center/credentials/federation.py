"""
Tokens of other issuers, with which an app proves itself without a secret of its own.

Sources: GitHub's page "OpenID Connect reference"; Azure DevOps' REST reference "Oidctoken - Create"; Microsoft
Entra's page "Workload identity federation".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

from pc_provider.partner_center.credentials.ways import (
    AzureDevOps,
    GitHubActions,
    OidcToken,
    OidcTokenFile,
    WorkloadIdentity,
)
from pc_provider.partner_center.credentials.web import Web
from pc_provider.partner_center.errors import SignInError, printable
from pc_provider.partner_center.files import expanded
from pc_provider.partner_center.transport import Transport

__all__ = ["assertion"]

MAX_BYTES = 64 * 1024


def assertion(way: WorkloadIdentity, transport: Transport, timeout: float) -> Callable[[], str]:
    """The function that gets a token which is good now; msal calls it for each question it sends."""
    source = way.source
    web = Web(transport, None, timeout=timeout)

    def fetch() -> str:
        if isinstance(source, OidcToken):
            return _checked(source.token, f"the text in {way.origin}")
        if isinstance(source, OidcTokenFile):
            return _from_file(source.path, way.origin)
        if isinstance(source, GitHubActions):
            return _from_github(source, web)
        return _from_azure_devops(source, web)

    return fetch


def _from_file(path: str, origin: str) -> str:
    try:
        with expanded(path).open("rb") as file:
            data = file.read(MAX_BYTES)
    except (OSError, ValueError) as error:
        raise SignInError(
            f"the token file {printable(path, 200)} can't be read ({getattr(error, 'strerror', None) or 'not a path'})",
            remedy=f"Check {origin}, and that whatever writes the file has run.",
        ) from None
    return _checked(data.decode("utf-8", "replace").strip(), f"the text in the file {printable(path, 200)}")


def _from_github(source: GitHubActions, web: Web) -> str:
    url = f"{source.url}{'&' if '?' in source.url else '?'}audience={quote(source.audience, safe='')}"
    reply = web.get(url, headers={"Authorization": f"Bearer {source.request_token}", "Accept": "application/json"})
    if reply.status_code != 200:
        raise SignInError(
            f"GitHub gave no token for this job (status {reply.status_code})",
            remedy="Add `permissions: id-token: write` to the job; a pull request from a fork gets none.",
        )
    return _checked(json.loads(reply.text).get("value"), "what GitHub answered")


def _from_azure_devops(source: AzureDevOps, web: Web) -> str:
    url = f"{source.url}{'&' if '?' in source.url else '?'}api-version=7.1"
    reply = web.post(
        f"{url}&serviceConnectionId={quote(source.service_connection_id, safe='')}",
        headers={
            "Authorization": f"Bearer {source.access_token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            # A refusal is then a status, not a redirect to a page for people.
            "X-TFS-FedAuthRedirect": "Suppress",
        },
    )
    if reply.status_code != 200:
        raise SignInError(
            f"Azure DevOps gave no token for this job (status {reply.status_code})",
            remedy="Check that SYSTEM_ACCESSTOKEN is the job's $(System.AccessToken), and that the pipeline may use "
            "the service connection of partnercenter:serviceConnectionId.",
        )
    return _checked(json.loads(reply.text).get("oidcToken"), "what Azure DevOps answered")


def _checked(token: object, where: str) -> str:
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SignInError(f"{where} is not a token", remedy="It must be a JWT, in one line.")
    return token
