"""
Stack configuration and environment, read once into one validated value.

Each key of the configuration namespace ``partnercenter:`` may also come from the environment: ``clientId`` is
``PARTNERCENTER_CLIENT_ID``. The stack's value wins. What neither says about the identity is taken from the names the
Azure tools use (``ARM_*``, then ``AZURE_*``); see :mod:`pc_provider.sign_in` for the way that is chosen.

This module is imported by the provider for every preview, so it imports nothing heavy.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pc_provider.fields import Fields, is_loopback
from pc_provider.partner_center.clouds import CLOUDS
from pc_provider.partner_center.errors import InvalidInput, PartnerCenterError, printable
from pc_provider.partner_center.files import expanded
from pc_provider.partner_center.gate import RateLimit
from pc_provider.sign_in import Value, choose

if TYPE_CHECKING:
    from pc_provider.partner_center.client import PartnerCenter
    from pc_provider.partner_center.credentials.ways import SignIn

__all__ = [
    "EMULATOR",
    "KEYS",
    "Settings",
    "SettingsError",
    "connect",
    "misspelt",
    "plain_secrets",
    "reachable",
]

EMULATOR = "emulator"
ENVIRONMENT = "PARTNERCENTER_"
MEDIA_TYPES = ("application/json", "text/json", "application/xml", "text/xml", "application/x-www-form-urlencoded")

IDENTITY_KEYS = (
    "tenantId",
    "clientId",
    "clientSecret",
    "clientCertificate",
    "clientCertificatePassword",
    "refreshToken",
    "refreshTokenCommand",
    "refreshTokenFile",
    "oidcToken",
    "oidcTokenFile",
    "serviceConnectionId",
    "accessToken",
    "useManagedIdentity",
)
SECRET_KEYS = ("clientSecret", "clientCertificatePassword", "refreshToken", "oidcToken", "accessToken")
KEYS = (
    "endpoint",
    "emulatorState",
    "cloud",
    "authority",
    *IDENTITY_KEYS,
    "partners",
    "caBundle",
    "mediaType",
    "checkEligibility",
    "maxConcurrency",
    "rateLimit",
    "requestTimeout",
    "upgradeTimeout",
)
PARTNER_KEYS = tuple(key for key in KEYS if key not in ("partners", "emulatorState"))


class SettingsError(PartnerCenterError, ValueError):
    """The configuration can't be used. *problems* has one line for each, naming its key; never a secret's value."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        known = problems[0] if len(problems) == 1 else "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(known, attempted="The configuration can't be used")


@dataclass(frozen=True)
class Settings:
    """
    Everything that can be configured, with the defaults of the fields below.

    *endpoint* is a base address without a trailing slash, or ``emulator``; *sign_in* is None where nothing is
    configured that proves an identity, and *no_sign_in* then says what is missing.
    """

    endpoint: str = CLOUDS["global"].api
    emulator_state: str = ".partnercenter/emulator.db"
    cloud: str = "global"
    authority: str = CLOUDS["global"].authority
    scope: str = f"{CLOUDS['global'].api}/.default"
    tenant_id: str | None = None
    client_id: str | None = None
    sign_in: SignIn | None = None
    no_sign_in: str = ""
    ca_bundle: str | None = None
    media_type: str = "application/json"
    check_eligibility: bool = True
    max_concurrency: int = 64
    rate_limit: RateLimit | None = None
    request_timeout: float = 60.0
    upgrade_timeout: float = 1200.0
    partners: Mapping[str, Settings] = field(default_factory=dict, hash=False)

    @classmethod
    def load(cls, get: Callable[[str], str | None], environ: Mapping[str, str]) -> Settings:
        """
        Reads the stack's configuration through *get* (which takes a bare key, ``tenantId``) and *environ*.

        Raises :class:`SettingsError` with every problem found.
        """
        problems: list[str] = []
        values: dict[str, Value] = {}
        for key in KEYS:
            text, name = get(key), f"partnercenter:{key}"
            if not _filled(text):
                name = environment_name(key)
                text = environ.get(name)
            if text is not None and _filled(text):
                values[key] = Value(str(text).strip(), name)
        settings = _read(values, environ, problems)
        partners = {name: _read(entry, environ, problems) for name, entry in _partners(values, problems).items()}
        if problems:
            raise SettingsError(problems)
        return replace(settings, partners=partners)

    def for_partner(self, name: str | None) -> Settings:
        """The settings of one partner tenant; those of the whole stack for None or an empty name."""
        if not name:
            return self
        try:
            return self.partners[name]
        except KeyError:
            known = ", ".join(sorted(self.partners)) or "none; set partnercenter:partners"
            raise InvalidInput("partner", f"{printable(name, 60)!r} is not configured; known: {known}") from None

    @property
    def is_local(self) -> bool:
        """Whether Partner Center is played by something on this machine."""
        return self.endpoint == EMULATOR or is_loopback(self.endpoint)


def environment_name(key: str) -> str:
    """``clientId`` is ``PARTNERCENTER_CLIENT_ID``."""
    return ENVIRONMENT + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).upper()


def misspelt(keys: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """
    A line for each of a stack's bare *keys*, and of the names in *environ*, that looks like a setting and is none.

    Only near misses: a project may have keys of its own in the namespace.
    """
    import difflib

    known = {key.lower(): key for key in KEYS}
    given = {f"partnercenter:{key}": key.lower() for key in keys if key not in KEYS}
    read = {environment_name(key) for key in KEYS}
    given.update(
        {
            name: name.removeprefix(ENVIRONMENT).replace("_", "").lower()
            for name in environ
            if name.startswith(ENVIRONMENT) and name not in read
        }
    )
    lines = []
    for name, bare in given.items():
        for near in difflib.get_close_matches(bare, known, 1, 0.8):
            meant = environment_name(known[near]) if name.startswith(ENVIRONMENT) else f"partnercenter:{known[near]}"
            lines.append(f"{printable(name, 80)} is not a setting and has no effect; is {meant} meant?")
    return lines


def plain_secrets(values: Mapping[str, str], is_secret: Callable[[str], bool]) -> list[str]:
    """The bare keys among the stack's *values* that hold a secret and that the stack does not encrypt."""

    def holds_one(key: str) -> bool:
        return key in SECRET_KEYS or (key == "partners" and any(f'"{name}"' in values[key] for name in SECRET_KEYS))

    return [key for key in values if holds_one(key) and not is_secret(key)]


def _filled(text: object) -> bool:
    return text is not None and str(text).strip() != ""


def _read(values: Mapping[str, Value], environ: Mapping[str, str], problems: list[str]) -> Settings:
    fields = Fields(values, problems)
    cloud = fields.choice("cloud", tuple(CLOUDS), "global")
    endpoint = fields.address("endpoint", CLOUDS[cloud].api, also=EMULATOR)
    local = endpoint == EMULATOR or is_loopback(endpoint)
    named = cloud if "cloud" in values or "authority" in values else None
    chosen = choose(values, environ, problems, cloud=named, local=local)
    if chosen.cloud is not None:
        cloud = chosen.cloud
        endpoint = fields.address("endpoint", CLOUDS[cloud].api, also=EMULATOR)
    # What plays Partner Center on this machine plays its sign-in too.
    authority = endpoint if local and endpoint != EMULATOR else CLOUDS[cloud].authority
    return Settings(
        endpoint=endpoint,
        emulator_state=fields.text("emulatorState", Settings.emulator_state),
        cloud=cloud,
        authority=fields.address("authority", authority, whole=True),
        scope=f"{CLOUDS[cloud].api}/.default",
        tenant_id=chosen.tenant_id,
        client_id=chosen.client_id,
        sign_in=chosen.way,
        no_sign_in=chosen.missing,
        ca_bundle=fields.pem_file("caBundle"),
        media_type=fields.choice("mediaType", MEDIA_TYPES, Settings.media_type),
        check_eligibility=fields.flag("checkEligibility", Settings.check_eligibility),
        max_concurrency=fields.count("maxConcurrency", Settings.max_concurrency, 1, 1024),
        rate_limit=fields.rate("rateLimit"),
        request_timeout=fields.seconds("requestTimeout", Settings.request_timeout),
        upgrade_timeout=fields.seconds("upgradeTimeout", Settings.upgrade_timeout),
    )


# What belongs together when a partner's entry replaces a part of the stack's identity.
_CLIENT_PROOF = frozenset({
    "clientSecret", "clientCertificate", "clientCertificatePassword", "oidcToken", "oidcTokenFile",
    "serviceConnectionId", "useManagedIdentity",
})  # fmt: skip
_USER_PROOF = frozenset({"refreshToken", "refreshTokenCommand", "refreshTokenFile", "accessToken"})


def _partners(values: Mapping[str, Value], problems: list[str]) -> dict[str, dict[str, Value]]:
    """
    The values of each partner's entry, over those of the stack.

    A proof is never inherited by another identity: an entry with a tenant of its own does not take the stack's
    tokens, one with an app of its own does not take the stack's secret or certificate either.
    """
    if "partners" not in values:
        return {}
    text, name = values["partners"]
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        problems.append(f'{name} must be an object of objects: {{"emea": {{"tenantId": "…"}}}}')
        return {}
    result = {}
    for partner, entry in entries.items():
        label = f"{name}.{printable(partner, 60)}"
        unknown = [printable(key, 60) for key in entry if key not in PARTNER_KEYS]
        if unknown:
            problems.append(f"{label} has unknown keys: {', '.join(unknown)} (known: {', '.join(PARTNER_KEYS)})")
        own = {
            key: Value(_plain(entry[key]), f"{label}.{key}")
            for key in PARTNER_KEYS
            if key in entry and _filled(_plain(entry[key]))
        }
        left_out = {"partners"}
        if own.keys() & {*IDENTITY_KEYS, "cloud"}:
            left_out |= _USER_PROOF
        if own.keys() & ({"clientId", "cloud"} | _CLIENT_PROOF):
            left_out |= _CLIENT_PROOF
        if "cloud" in own:
            left_out |= {"endpoint", "authority"}
        result[partner] = {**{key: value for key, value in values.items() if key not in left_out}, **own}
    return result


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def connect(settings: Settings, *, stopping: threading.Event | None = None) -> PartnerCenter:
    """
    A client for *settings*; for ``endpoint: emulator`` the emulator is started in this process first.

    Raises :class:`SignInError` when nothing is configured to sign in with.
    """
    from pc_provider.partner_center.client import PartnerCenter
    from pc_provider.partner_center.credentials import credential
    from pc_provider.partner_center.pace import Pace
    from pc_provider.partner_center.transport import Transport

    settings = reachable(settings)
    transport = Transport(ca_bundle=settings.ca_bundle, max_connections=settings.max_concurrency)
    return PartnerCenter(
        settings.endpoint,
        transport,
        credential(settings, transport),
        media_type=settings.media_type,
        request_timeout=settings.request_timeout,
        pace=Pace(rate_limit=settings.rate_limit, stopping=stopping),
        stopping=stopping,
    )


_emulators: dict[str, Any] = {}
_emulators_lock = threading.Lock()


def reachable(settings: Settings) -> Settings:
    """
    *settings* with addresses that can be asked: for ``endpoint: emulator`` the emulator is started in this process,
    once for each state file.
    """
    if settings.endpoint != EMULATOR:
        return settings
    from pc_provider.emulator import Emulator

    path = str(expanded(settings.emulator_state).resolve())
    with _emulators_lock:
        emulator = _emulators.get(path)
        if emulator is None:
            emulator = _emulators[path] = Emulator(path).start()
    return replace(settings, endpoint=emulator.url, authority=emulator.url)
