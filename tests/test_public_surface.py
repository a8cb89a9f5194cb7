"""What users' programs, scripts and stacks hold on to: names, types, and the provider in their state."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest
from pulumi.dynamic.dynamic import serialize_provider

import pc_provider
from pc_provider import SubscriptionUpgrade, inputs, partner_center
from pc_provider.provider import SubscriptionUpgradeProvider
from pc_provider.settings import KEYS, environment_name
from tests.engine.harness import OLDER, python_folder

PICKLE = "gASVOwAAAAAAAACMFHBjX3Byb3ZpZGVyLnByb3ZpZGVylIwbU3Vic2NyaXB0aW9uVXBncmFkZVByb3ZpZGVylJOUKYGULg=="
"""The provider in the state of every stack. Where this changes, refresh and destroy of all of them break."""

MODULES = [
    module.name
    for module in pkgutil.walk_packages(pc_provider.__path__, "pc_provider.")
    if not module.name.endswith("__main__")
]


def test_the_provider_is_in_state_as_it_always_was() -> None:
    assert serialize_provider(SubscriptionUpgradeProvider()) == PICKLE
    assert SubscriptionUpgradeProvider.serialize_as_secret_always is False


def test_an_older_sdk_writes_the_same() -> None:
    program = (
        "from pulumi.dynamic.dynamic import serialize_provider as s; from pc_provider import provider as p; "
        "print(s(p.SubscriptionUpgradeProvider()))"
    )
    command = [str(python_folder(OLDER) / "python"), "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == PICKLE


def test_the_names_of_the_package() -> None:
    assert pc_provider.__all__ == [
        "SubscriptionUpgrade",
        "get_subscription",
        "get_subscription_output",
        "get_upgrades",
        "get_upgrades_output",
    ]
    assert partner_center.__all__ == ["PartnerCenter"]
    for package in (pc_provider, partner_center):
        assert all(callable(getattr(package, name)) for name in package.__all__)
        assert set(package.__all__) <= set(dir(package))
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            getattr(package, "nothing")  # noqa: B009


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_and_exports_what_it_has(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported)


@pytest.mark.parametrize("name", ["errors", "models", "client", "transport"])
def test_public_names_are_exactly_those_exported(name: str) -> None:
    module = importlib.import_module(f"pc_provider.partner_center.{name}")
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    assert defined <= set(module.__all__)


def test_the_resource_as_a_program_sees_it() -> None:
    parameters = inspect.signature(SubscriptionUpgrade).parameters
    assert list(parameters) == [
        "resource_name",
        "customer_id",
        "subscription_id",
        "target_offer_id",
        "upgrade_type",
        "partner",
        "opts",
    ]
    assert parameters["upgrade_type"].default == "upgrade_only"
    names = {inputs.snake_case(name) for name in (*inputs.INPUTS, *inputs.OUTPUTS)}
    assert set(SubscriptionUpgrade.__annotations__) == names
    assert names >= {
        "source_subscription_id",
        "target_subscription_id",
        "upgrade_type",
        "quantity",
        "license_errors",
        "adopted",
        "target_status",
    }
    assert all("Output[" in str(hint) for hint in SubscriptionUpgrade.__annotations__.values())


def test_the_settings_as_stacks_and_environments_hold_them() -> None:
    assert set(KEYS) >= {
        "endpoint", "emulatorState", "cloud", "tenantId", "clientId", "clientSecret", "clientCertificate",
        "clientCertificatePassword", "refreshToken", "refreshTokenCommand", "oidcToken", "oidcTokenFile", "accessToken",
        "useManagedIdentity", "partners", "authority", "caBundle", "mediaType", "checkEligibility", "maxConcurrency",
        "rateLimit", "requestTimeout",
    }  # fmt: skip
    assert environment_name("clientId") == "PARTNERCENTER_CLIENT_ID"


HEAVY = ("pulumi", "httpx", "msal", "msgspec", "click", "rich", "uvicorn", "cryptography", "trustme")


@pytest.mark.parametrize(
    ("module", "loaded"),
    [
        ("pc_provider", []),
        ("pc_provider.partner_center", []),
        ("pc_provider.partner_center.errors", []),
        ("pc_provider.settings", []),
        ("pc_provider.partner_center.client", ["msgspec"]),
        ("pc_provider.provider", ["pulumi"]),
        ("pc_provider.resource", ["pulumi"]),
    ],
)
def test_what_is_not_needed_is_not_loaded(module: str, loaded: list[str]) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
