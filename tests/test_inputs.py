"""The edge to Pulumi's property bags: what is checked, compared and stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.output import Unknown
from pulumi.runtime import rpc

from pc_provider import inputs
from pc_provider.partner_center.models import ServiceFault, UserLicenseError
from pc_provider.upgrade import Upgraded, WantedUpgrade

CUSTOMER = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
SOURCE = "a356ac8c-e310-44f4-bf85-c7f29044af99"
TARGET = "7d8f1c9e-2b5a-4f60-9d3e-1a2b3c4d5e6f"
E3 = "796B6B5F-613C-4E24-A17C-EBA730D49C02"
E5 = "A044B16A-1861-4308-8086-A3A3B506FAC2"
UNKNOWN: Any = Unknown()  # type: ignore[no-untyped-call]
WANTED = {"customerId": CUSTOMER, "subscriptionId": SOURCE, "targetOfferId": E3, "upgradeType": "upgrade_only"}
STORED = {
    **WANTED,
    "sourceSubscriptionId": SOURCE,
    "targetSubscriptionId": TARGET,
    "quantity": 25.0,
    "licenseErrors": [],
    "adopted": False,
    "targetStatus": "active",
    "upgradedAt": "2026-11-23T20:00:00Z",
}


def fails(**other: Any) -> dict[str, str]:
    values = {name: value for name, value in {**WANTED, **other}.items() if value is not ...}
    found = inputs.failures(inputs.normalise(values))
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


# Normalising


def test_numbers_come_back_from_floats_and_texts_are_trimmed() -> None:
    assert inputs.normalise({"quantity": 25.0, "half": 0.5, "customerId": f" {CUSTOMER}\n", "gone": None}) == {
        "quantity": 25,
        "half": 0.5,
        "customerId": CUSTOMER,
        "upgradeType": "upgrade_only",
    }


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_the_upgrade_type_has_a_default(empty: object) -> None:
    assert inputs.normalise({"upgradeType": empty})["upgradeType"] == "upgrade_only"


def test_an_empty_partner_is_none_and_pulumis_own_names_are_left_out() -> None:
    assert inputs.normalise({"partner": " ", "__provider": "x", "upgradeType": "y"}) == {"upgradeType": "y"}


@pytest.mark.parametrize("unknown", [UNKNOWN, rpc.UNKNOWN])
def test_unknown_values_stay_as_they_are(unknown: Any) -> None:
    assert inputs.normalise(dict.fromkeys(WANTED, unknown)) == dict.fromkeys(WANTED, unknown)
    assert inputs.is_unknown(unknown)
    assert not inputs.is_known_text(unknown)


# Checking


def test_what_can_be_sent_is_accepted() -> None:
    assert fails() == {}
    assert fails(customerId=CUSTOMER.upper(), targetOfferId=E3.lower(), partner="emea") == {}
    assert fails(upgradeType="UPGRADE_WITH_LICENSE_TRANSFER") == {}


@pytest.mark.parametrize("name", [*WANTED, "partner"])
def test_an_unknown_value_passes(name: str) -> None:
    assert fails(**{name: UNKNOWN}) == {}


@pytest.mark.parametrize("name", ["customerId", "subscriptionId", "targetOfferId"])
@pytest.mark.parametrize("value", ["x", CUSTOMER + "0", f"{{{CUSTOMER}}}", CUSTOMER.replace("-", ""), 5, True, [], {}])
def test_an_id_is_a_guid(name: str, value: object) -> None:
    found = fails(**{name: value})
    assert list(found) == [name]
    assert found[name].startswith(f"{inputs.snake_case(name)} must be a GUID such as ")


@pytest.mark.parametrize("missing", [..., None, "", " "])
def test_a_missing_id_is_said_to_be_missing(missing: object) -> None:
    found = fails(customerId=missing, subscriptionId=missing, targetOfferId=missing)
    assert list(found) == ["customerId", "subscriptionId", "targetOfferId"]
    assert all(reason.endswith("it is missing") for reason in found.values())


@pytest.mark.parametrize("offer", ["CFQ7TTC0LF8S:0002:CFQ7TTC0KX9G", "CFQ7TTC0LF8S:0002", "cfq7ttc0lf8s"])
def test_a_new_commerce_offer_is_explained(offer: str) -> None:
    assert "new-commerce" in fails(targetOfferId=offer)["targetOfferId"]
    assert "transitions" in fails(targetOfferId=offer)["targetOfferId"]


@pytest.mark.parametrize("kind", ["none", "upgrade", 1, 1.0, True, {}, []])
def test_the_upgrade_type_is_one_of_two(kind: object) -> None:
    assert fails(upgradeType=kind) == {
        "upgradeType": "upgrade_type must be one of upgrade_only, upgrade_with_license_transfer"
    }


@pytest.mark.parametrize("partner", [5, True, {"a": 1}, ["emea"]])
def test_a_partner_is_a_name(partner: object) -> None:
    assert list(fails(partner=partner)) == ["partner"]


def test_all_failures_come_at_once_and_other_names_are_refused() -> None:
    found = fails(customerId="x", subscriptionId=..., targetOfferId=5, upgradeType="x", partner=1, quantity=3.0)
    assert list(found) == ["customerId", "subscriptionId", "targetOfferId", "upgradeType", "partner", "quantity"]
    assert found["quantity"].startswith("quantity is not an input; the inputs are customer_id, subscription_id, ")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just(UNKNOWN)
    | st.sampled_from([CUSTOMER, E3]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*inputs.INPUTS, "quantity", "__provider"]) | st.text(), anything))
def test_no_bag_is_too_strange_to_be_checked_and_compared(bag: dict[str, Any]) -> None:
    checked = inputs.normalise(bag)
    assert inputs.normalise(checked) == checked or any(value != value for value in checked.values())
    for name, reason in inputs.failures(checked):
        assert isinstance(name, str)
        assert reason
    assert isinstance(inputs.blocked(STORED, checked), str)
    assert isinstance(inputs.blocked(bag, checked), str)


# Blocking


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"customerId": CUSTOMER.upper(), "subscriptionId": SOURCE.upper(), "targetOfferId": E3.lower()},
        {"upgradeType": "Upgrade_Only"},
        {"partner": "emea"},
        dict.fromkeys(WANTED, UNKNOWN),
    ],
)
def test_what_means_the_same_is_not_blocked(same: dict[str, Any]) -> None:
    assert inputs.blocked(STORED, {**WANTED, **same}) == ""


@pytest.mark.parametrize("name", WANTED)
def test_each_part_of_the_identity_blocks(name: str) -> None:
    reason = inputs.blocked(STORED, {**WANTED, name: "other"})
    assert f"{inputs.snake_case(name)} other (was {WANTED[name]})" in reason


def test_a_second_upgrade_is_blocked_with_all_that_is_known() -> None:
    assert inputs.blocked(STORED, {**WANTED, "targetOfferId": E5}) == (
        f"Subscription {SOURCE} of customer {CUSTOMER} was already upgraded to offer {E3} by upgrade_only on "
        f"2026-11-23T20:00:00Z and is now subscription {TARGET}. The program now asks for target_offer_id {E5} "
        f"(was {E3}). An upgrade is made once and can't be undone. Nothing was sent.\n"
        f"What to do: leave this resource as it was, and declare a new one whose subscription_id is {TARGET}."
    )


def test_all_changes_are_named() -> None:
    reason = inputs.blocked(STORED, {**WANTED, "targetOfferId": E5, "upgradeType": "upgrade_with_license_transfer"})
    assert f"target_offer_id {E5} (was {E3}), upgrade_type upgrade_with_license_transfer (was upgrade_only)" in reason


def test_a_known_change_blocks_beside_an_unknown_one() -> None:
    assert inputs.blocked(STORED, {**WANTED, "customerId": UNKNOWN, "targetOfferId": E5})


@pytest.mark.parametrize("lacks", STORED)
def test_an_older_state_that_lacks_a_field_still_blocks(lacks: str) -> None:
    older = {name: value for name, value in STORED.items() if name != lacks}
    assert inputs.blocked(older, WANTED) == ""
    changed = "upgradeType" if lacks == "targetOfferId" else "targetOfferId"
    reason = inputs.blocked(older, {**WANTED, changed: "other"})
    assert "None" not in reason
    assert "Nothing was sent" in reason


# Storing


def made(**other: Any) -> Upgraded:
    values: dict[str, Any] = {
        "source_subscription_id": SOURCE,
        "target_subscription_id": TARGET,
        "target_offer_id": E3,
        "upgrade_type": "upgrade_only",
        "quantity": 25,
        "license_errors": (),
        "adopted": False,
        "target_status": "active",
        "upgraded_at": "2026-11-23T20:00:00Z",
    }
    return Upgraded(**{**values, **other})


def test_inputs_become_a_typed_value() -> None:
    wanted = inputs.wanted_upgrade({**WANTED, "upgradeType": "Upgrade_Only"})
    assert wanted == WantedUpgrade(CUSTOMER, SOURCE, E3, "upgrade_only")
    assert wanted.identity == f"{CUSTOMER}/{SOURCE}"
    assert wanted.request_id == WantedUpgrade(CUSTOMER.upper(), SOURCE.upper(), E3.lower()).request_id
    assert wanted.request_id != WantedUpgrade(CUSTOMER, SOURCE, E5).request_id


def test_the_stored_outputs_are_the_inputs_and_what_the_upgrade_gave() -> None:
    assert inputs.outputs(WANTED, made()) == {**STORED, "quantity": 25}
    assert set(inputs.outputs({**WANTED, "partner": "emea"}, made())) == {*inputs.INPUTS, *inputs.OUTPUTS}


def test_what_is_not_known_is_left_out() -> None:
    outs = inputs.outputs(WANTED, made(quantity=None, upgraded_at=""))
    assert not {"quantity", "upgradedAt"} & set(outs)


def test_license_errors_are_stored_as_plain_values() -> None:
    user = UserLicenseError(
        user_object_id="u", name="Ada", email="a@b.example", errors=[ServiceFault(code=5, description="no")]
    )
    assert inputs.outputs(WANTED, made(license_errors=[user]))["licenseErrors"] == [
        {"userObjectId": "u", "name": "Ada", "email": "a@b.example", "errors": [{"code": 5, "description": "no"}]}
    ]
