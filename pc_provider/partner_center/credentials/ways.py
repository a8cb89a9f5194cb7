"""
The ways to prove who is asking, one small value each. They hold what was configured and do nothing.

``origin`` names the setting a person would have to change (``partnercenter:clientSecret``); secrets never appear in
a ``repr``. Importing this module costs nothing: no msal, no httpx.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Protocol

__all__ = [
    "AccessToken",
    "AppUser",
    "AzureDevOps",
    "ClientCertificate",
    "ClientSecret",
    "GitHubActions",
    "ManagedIdentity",
    "OidcToken",
    "OidcTokenFile",
    "SignIn",
    "SignInSettings",
    "WorkloadIdentity",
]


class _Value:
    """
    What ``@dataclass(frozen=True)`` would write into each class below, once for all of them.

    Generated code for all of them costs 7 ms of every run; this costs nothing to speak of.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__:
            raise FrozenInstanceError(f"{type(self).__name__}.{name} can't be changed")
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(eq=False, repr=False)
class ClientSecret(_Value):
    """App-only, by the secret of an app registration."""

    tenant_id: str
    client_id: str
    secret: str = field(repr=False)
    origin: str = "partnercenter:clientSecret"


@dataclass(eq=False, repr=False)
class ClientCertificate(_Value):
    """
    App-only, by a certificate with its private key.

    *certificate* is PEM text, the base64 text of a PFX, or the path of a file in either format; *password* opens an
    encrypted key or PFX.
    """

    tenant_id: str
    client_id: str
    certificate: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    origin: str = "partnercenter:clientCertificate"


@dataclass(eq=False, repr=False)
class OidcToken(_Value):
    """The token of another issuer, given as text. It can't be renewed."""

    token: str = field(repr=False)


@dataclass(eq=False, repr=False)
class OidcTokenFile(_Value):
    """The token of another issuer, in a file that its owner renews: read again whenever it is needed."""

    path: str


@dataclass(eq=False, repr=False)
class GitHubActions(_Value):
    """GitHub's token service for a job with ``permissions: id-token: write``."""

    url: str
    request_token: str = field(repr=False)
    audience: str = "api://AzureADTokenExchange"


@dataclass(eq=False, repr=False)
class AzureDevOps(_Value):
    """Azure Pipelines' token service; *service_connection_id* is the id of an Azure service connection."""

    url: str
    access_token: str = field(repr=False)
    service_connection_id: str = ""


@dataclass(eq=False, repr=False)
class WorkloadIdentity(_Value):
    """App-only, by a token of an issuer that the app registration trusts (a federated credential): no stored secret."""

    tenant_id: str
    client_id: str
    source: OidcToken | OidcTokenFile | GitHubActions | AzureDevOps
    origin: str = "partnercenter:oidcToken"


@dataclass(eq=False, repr=False)
class ManagedIdentity(_Value):
    """The identity of the Azure machine this runs on; *client_id* names a user-assigned one."""

    client_id: str | None = None
    origin: str = "partnercenter:useManagedIdentity"


@dataclass(eq=False, repr=False)
class AppUser(_Value):
    """
    App+User (the Secure Application Model): a person consented once, with MFA, and left a refresh token.

    *client* is the app's own proof, None for a public client. Every use gives a new refresh token: it is handed to
    *command* (an argument list; the token goes to its standard input) or written to *file* (mode 0600), which is
    also read first where it exists.
    """

    tenant_id: str
    client_id: str
    refresh_token: str | None = field(default=None, repr=False)
    client: ClientSecret | ClientCertificate | WorkloadIdentity | None = None
    command: tuple[str, ...] = field(default=(), repr=False)
    file: str | None = None
    origin: str = "partnercenter:refreshToken"


@dataclass(eq=False, repr=False)
class AccessToken(_Value):
    """A token from elsewhere, used as it is until it expires."""

    token: str = field(repr=False)
    origin: str = "partnercenter:accessToken"


SignIn = ClientSecret | ClientCertificate | WorkloadIdentity | ManagedIdentity | AppUser | AccessToken


class SignInSettings(Protocol):
    """
    What a sign-in needs to know: the way, the authority (``https://login.microsoftonline.com``, no tenant), the
    scope (``https://api.partnercenter.microsoft.com/.default``) and the seconds one request may take.
    """

    @property
    def sign_in(self) -> SignIn | None: ...
    @property
    def authority(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def request_timeout(self) -> float: ...
