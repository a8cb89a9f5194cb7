"""
The edge between Pulumi's property bags and typed values: what is checked, what is compared, what is stored.

Names are camelCase in the bags. Numbers arrive as floats, values that are not known yet as the SDK's unknowns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pulumi.output import Unknown
from pulumi.runtime import rpc

from pc_provider.partner_center.errors import printable

if TYPE_CHECKING:
    from pc_provider.upgrade import Upgraded, WantedUpgrade

__all__ = [
    "INPUTS",
    "OUTPUTS",
    "blocked",
    "failures",
    "guid_problems",
    "is_known_text",
    "is_unknown",
    "normalise",
    "outputs",
    "snake_case",
    "wanted_upgrade",
]

INPUTS = ("customerId", "subscriptionId", "targetOfferId", "upgradeType", "partner")
OUTPUTS = (
    "sourceSubscriptionId",
    "targetSubscriptionId",
    "quantity",
    "licenseErrors",
    "adopted",
    "targetStatus",
    "upgradedAt",
)
UPGRADE_TYPES = ("upgrade_only", "upgrade_with_license_transfer")
IDENTITY = ("customerId", "subscriptionId", "targetOfferId", "upgradeType")

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_NEW_COMMERCE = re.compile(r"[A-Z0-9]{12}(:[A-Z0-9]{4}(:[A-Z0-9]{12})?)?", re.IGNORECASE)


def snake_case(name: str) -> str:
    """``targetOfferId`` as ``target_offer_id``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def is_unknown(value: Any) -> bool:
    """Whether *value* is not known yet, as at a preview of what depends on something not made yet."""
    return isinstance(value, Unknown) or (isinstance(value, str) and value == rpc.UNKNOWN)


def is_known_text(value: Any) -> bool:
    """Whether *value* is a text, and known."""
    return isinstance(value, str) and not is_unknown(value)


def normalise(bag: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs in *bag*, trimmed, ``upgradeType`` filled in and numbers back from floats; unknowns stay."""
    inputs: dict[str, Any] = {}
    for name, value in bag.items():
        if name.startswith("__") or value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if is_known_text(value):
            value = value.strip()
        inputs[name] = value
    if inputs.get("upgradeType") in (None, ""):
        inputs["upgradeType"] = "upgrade_only"
    if inputs.get("partner") == "":
        del inputs["partner"]
    return inputs


def failures(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with normalised *inputs*: (property, reason), all at once. Unknown values pass."""
    found = []
    for name in ("customerId", "subscriptionId"):
        found += [(name, reason) for reason in guid_problems(name, inputs.get(name))]
    found += [("targetOfferId", reason) for reason in _offer(inputs.get("targetOfferId"))]
    kind = inputs.get("upgradeType")
    if not is_unknown(kind) and (not isinstance(kind, str) or kind.lower() not in UPGRADE_TYPES):
        found.append(("upgradeType", f"upgrade_type must be one of {', '.join(UPGRADE_TYPES)}"))
    partner = inputs.get("partner")
    if partner is not None and not is_unknown(partner) and not isinstance(partner, str):
        found.append(("partner", "partner must be a name from partnercenter:partners"))
    names = ", ".join(snake_case(name) for name in INPUTS)
    found += [
        (name, f"{snake_case(name)} is not an input; the inputs are {names}") for name in inputs if name not in INPUTS
    ]
    return found


def guid_problems(name: str, value: Any) -> list[str]:
    """Why *value* can't be the GUID that the property *name* wants; empty where it can, or is not known yet."""
    if is_unknown(value) or (isinstance(value, str) and _GUID.fullmatch(value)):
        return []
    what = f"{snake_case(name)} must be a GUID such as 11111111-2222-4333-8444-555555555555"
    return [f"{what}; it is missing" if value in (None, "") else what]


def _offer(value: Any) -> list[str]:
    if isinstance(value, str) and not is_unknown(value) and _NEW_COMMERCE.fullmatch(value):
        return [
            "target_offer_id is a new-commerce id. Upgrades serve legacy licence-based offers, whose ids are GUIDs; "
            "new-commerce subscriptions are moved by transitions, which this resource does not make"
        ]
    return guid_problems("targetOfferId", value)


def blocked(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str:
    """Why the stored upgrade can't become the declared one, "" where nothing that counts has changed."""
    changed = [
        name
        for name in IDENTITY
        if olds.get(name) not in (None, "") and name in news and not _same(olds[name], news[name])
    ]
    if not changed:
        return ""
    known = {
        "of customer": olds.get("customerId"),
        "was already upgraded to offer": olds.get("targetOfferId") or "(not recorded)",
        "by": olds.get("upgradeType"),
        "on": olds.get("upgradedAt"),
        "and is now subscription": olds.get("targetSubscriptionId"),
    }
    source = olds.get("sourceSubscriptionId") or olds.get("subscriptionId") or "(not recorded)"
    done = " ".join(f"{words} {value}" for words, value in known.items() if value)
    asked = ", ".join(f"{snake_case(name)} {printable(news[name], 100)} (was {olds[name]})" for name in changed)
    remedy = (
        f"subscription_id is {olds['targetSubscriptionId']}"
        if olds.get("targetSubscriptionId")
        else "subscription_id is this one's target_subscription_id"
    )
    return (
        f"Subscription {source} {done}. The program now asks for {asked}. "
        "An upgrade is made once and can't be undone. Nothing was sent.\n"
        f"What to do: leave this resource as it was, and declare a new one whose {remedy}."
    )


def _same(one: Any, other: Any) -> bool:
    return is_unknown(other) or str(one).strip().lower() == str(other).strip().lower()


def wanted_upgrade(inputs: Mapping[str, Any]) -> WantedUpgrade:
    """The typed value of checked inputs."""
    from pc_provider.upgrade import WantedUpgrade

    return WantedUpgrade(
        inputs["customerId"], inputs["subscriptionId"], inputs["targetOfferId"], inputs["upgradeType"].lower()
    )


def outputs(inputs: Mapping[str, Any], upgraded: Upgraded) -> dict[str, Any]:
    """What the stack stores: the inputs, and what the upgrade gave. Values that are not known are left out."""
    from pc_provider.partner_center.models import write

    users = [
        {name: value for name, value in write(user).items() if name != "attributes"} for user in upgraded.license_errors
    ]
    outs = {
        **{name: inputs[name] for name in INPUTS if name in inputs},
        "sourceSubscriptionId": upgraded.source_subscription_id,
        "targetSubscriptionId": upgraded.target_subscription_id,
        "quantity": upgraded.quantity,
        "licenseErrors": users,
        "adopted": upgraded.adopted,
        "targetStatus": upgraded.target_status,
        "upgradedAt": upgraded.upgraded_at or None,
    }
    return {name: _storable(value) for name, value in outs.items() if value is not None}


def _storable(value: Any) -> Any:
    """
    What Pulumi can store of an answer's value: after the upgrade was made, none may make the record fail.

    A lone surrogate can't be sent to the engine, and a key of the SDK's own would change what the value means.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items() if key != rpc._special_sig_key}
    return value
