"""Each way Partner Center is known to write a thing reads as the same value."""

from __future__ import annotations

import ast
import inspect
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from pc_provider.partner_center import enums, media, models
from pc_provider.partner_center.models import (
    BillingCycle,
    Collection,
    KeyValuePair,
    Link,
    Offer,
    OfferCategory,
    OfferLinks,
    ResourceAttributes,
    ServiceFault,
    Subscription,
    SubscriptionStatus,
    Unreadable,
    Upgrade,
    UpgradeError,
    UpgradeErrorCode,
    UpgradeResult,
    UpgradeType,
    parse_date,
    read,
    write,
)

ENUMS = [UpgradeType, UpgradeErrorCode, BillingCycle, SubscriptionStatus]


def pascal(text: str) -> str:
    return "".join(word.capitalize() for word in text.split("_"))


@pytest.mark.parametrize("kind", ENUMS)
def test_an_enumeration_reads_in_every_spelling(kind: type[enums.OpenEnum]) -> None:
    for number, member in enumerate(kind):
        camel = pascal(member.value)[0].lower() + pascal(member.value)[1:]
        for spelling in (member.value, member.value.upper(), pascal(member.value), camel):
            assert kind.of(spelling) is member
        if kind is not BillingCycle or number <= 4:
            assert kind.of(number) is member
            assert kind.of(str(number)) is member
        assert member == member.value
        assert f"{member}" == str(member) == member.value


@pytest.mark.parametrize("unknown", [17, -1, "17", "something_new", "SomethingNew", "", 10**30])
def test_an_unknown_value_of_an_enumeration_goes_back_as_it_came(unknown: Any) -> None:
    tree = {"upgradeType": unknown, "upgradeErrors": [{"code": unknown}]}
    upgrade = read(Upgrade, tree)
    assert (upgrade.upgrade_type, upgrade.upgrade_errors[0].code) == (unknown, unknown)
    assert write(upgrade) == tree


def test_numbers_of_billing_cycles_beyond_the_known_ones_stay_numbers() -> None:
    offer = read(Offer, {"supportedBillingCycles": [1, 4, 5, 6]})
    assert offer.supported_billing_cycles == [BillingCycle.MONTHLY, BillingCycle.ONE_TIME, 5, 6]


EXPECTED = Upgrade(
    target_offer=Offer(id="A1", category=OfferCategory(id="Trial")),
    upgrade_type=UpgradeType.UPGRADE_ONLY,
    is_eligible=False,
    quantity=25,
    upgrade_errors=[UpgradeError(code=UpgradeErrorCode.SUBSCRIPTION_STATUS_NOT_ACTIVE, description="no")],
)


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param(
            {
                "targetOffer": {"id": "A1", "category": {"id": "Trial"}},
                "upgradeType": "upgrade_only",
                "isEligible": False,
                "quantity": 25,
                "upgradeErrors": [{"code": "subscription_status_not_active", "description": "no"}],
            },
            id="documented",
        ),
        pytest.param(
            {
                "TargetOffer": {"Id": "A1", "Category": {"Id": "Trial"}},
                "UpgradeType": 1,
                "IsEligible": "False",
                "Quantity": 25.0,
                "UpgradeErrors": [{"Code": 2, "Description": "no", "AdditionalDetails": None}],
            },
            id="PascalCase keys, integers",
        ),
        pytest.param(
            {
                "targetOffer": {"id": "A1", "category": {"id": "Trial"}, "actions": None, "links": None},
                "upgradeType": "1",
                "isEligible": "false",
                "quantity": " 25 ",
                "upgradeErrors": {"code": "SubscriptionStatusNotActive", "description": "no"},
                "attributes": None,
            },
            id="text for numbers, null for empty, one item for a list",
        ),
        pytest.param(
            {
                "targetOffer": {"id": "A1", "category": {"id": "Trial"}, "term": "", "links": "", "actions": ""},
                "upgradeType": "upgradeOnly",
                "isEligible": 0,
                "quantity": "25.0",
                "upgradeErrors": {"UpgradeError": [{"code": "2", "description": "no"}]},
            },
            id="XML without types: empty elements, items within elements",
        ),
    ],
)
def test_an_upgrade_reads_the_same_from_every_shape(tree: Any) -> None:
    assert read(Upgrade, tree) == EXPECTED


def test_writing_gives_the_documented_form() -> None:
    assert write(EXPECTED) == {
        "targetOffer": {"id": "A1", "category": {"id": "Trial"}},
        "upgradeType": "upgrade_only",
        "isEligible": False,
        "quantity": 25,
        "upgradeErrors": [{"code": "subscription_status_not_active", "description": "no"}],
    }
    assert type(write(EXPECTED)["upgradeType"]) is str


def test_what_is_not_known_is_kept_at_every_level_and_sent_back() -> None:
    tree = {
        "targetOffer": {
            "id": "A1",
            "rank": 3,
            "prerequisiteOffers": [],
            "isAddOn": False,
            "locale": "en-US",
            "x": None,
        },
        "upgradeErrors": [{"code": 2, "hint": {"Deep": [1.5, True]}}],
        "NewField": "kept",
    }
    upgrade = read(Upgrade, tree)
    assert upgrade.extra == {"NewField": "kept"}
    assert upgrade.target_offer is not None
    assert upgrade.target_offer.extra["prerequisiteOffers"] == []
    tree["upgradeErrors"] = [{"code": "subscription_status_not_active", "hint": {"Deep": [1.5, True]}}]
    assert write(upgrade) == tree


def test_of_a_field_in_two_spellings_the_documented_one_counts() -> None:
    assert read(Link, {"uri": "a", "URI": "b"}) == read(Link, {"URI": "b", "uri": "a"}) == Link(uri="a")
    assert read(Link, {"Uri": "a", "URI": "b"}) == Link(uri="b")


def test_a_collection_reads_its_items_and_pages() -> None:
    page = read(
        Collection[Subscription],
        {
            "totalCount": 1,
            "items": [{"id": "s", "status": 2}],
            "links": {"next": {"uri": "/n", "headers": [{"key": "a"}]}},
        },
    )
    assert page.items == [Subscription(id="s", status=SubscriptionStatus.SUSPENDED)]
    assert page.links is not None
    assert page.links.next == Link(uri="/n", headers=[KeyValuePair(key="a")])


@pytest.mark.parametrize("items", [[], None, "", " \n "])
def test_an_empty_collection_reads_in_every_shape_and_says_that_it_is_empty(items: Any) -> None:
    assert read(Collection[Upgrade], {"totalCount": 0, "items": items}) == Collection[Upgrade](total_count=0)
    assert write(Collection[Upgrade](total_count=0)) == {"totalCount": 0, "items": []}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, 0),
        (20002, 20002),
        ("20002", 20002),
        (20002.0, 20002),
        ("AccessDenied", "AccessDenied"),
        ("", ""),
        (None, None),
    ],
)
def test_the_code_of_a_fault_is_a_number_wherever_it_can_be(code: Any, expected: Any) -> None:
    assert read(ServiceFault, {"code": code, "data": None}).code == expected


@pytest.mark.parametrize(
    ("cls", "tree", "message"),
    [
        (Upgrade, [], "a list is not an object"),
        (Upgrade, None, "'None' is not an object"),
        (Upgrade, {"quantity": "many"}, "quantity: 'many' is not a whole number"),
        (Upgrade, {"quantity": 25.5}, "quantity: '25.5' is not a whole number"),
        (Upgrade, {"quantity": "1" * 5000}, "quantity: "),
        (Upgrade, {"quantity": "inf"}, "quantity: 'inf' is not a whole number"),
        (Upgrade, {"quantity": True}, "quantity: 'True' is not a whole number"),
        (Upgrade, {"isEligible": "perhaps"}, "isEligible: 'perhaps' is neither true nor false"),
        (Upgrade, {"upgradeType": {"a": 1}}, "upgradeType: an object is not one of an enumeration"),
        (Upgrade, {"upgradeType": True}, "upgradeType: 'True' is not one of an enumeration"),
        (Upgrade, {"targetOffer": {"id": ["x"]}}, "targetOffer.id: a list is not text"),
        (Upgrade, {"upgradeErrors": [{}, {"description": {}}]}, "upgradeErrors[1].description: an object is not text"),
        (Offer, {"additionalProperties": 5}, "additionalProperties: '5' is not an object"),
        (Collection[Upgrade], {"items": [3]}, "items[0]: '3' is not an object"),
        (Collection[Upgrade], {"items": [{"quantity": "x\x1b[31m"}]}, "items[0].quantity: 'x [31m' is not"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(cls: Any, tree: Any, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(cls, tree)
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, ValueError)


UTC = timezone.utc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T10:20:30Z", datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)),
        ("2024-05-01T10:20:30", datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)),
        ("2024-05-01T10:20:30.1Z", datetime(2024, 5, 1, 10, 20, 30, 100_000, tzinfo=UTC)),
        ("2024-05-01T10:20:30.1234567Z", datetime(2024, 5, 1, 10, 20, 30, 123_456, tzinfo=UTC)),
        ("2024-05-01T10:20:30.123456789012", datetime(2024, 5, 1, 10, 20, 30, 123_456, tzinfo=UTC)),
        ("2024-05-01t10:20z", datetime(2024, 5, 1, 10, 20, tzinfo=UTC)),
        ("2024-05-01", datetime(2024, 5, 1, tzinfo=UTC)),
        (" 2024-05-01 10:20:30 +02:00 ", datetime(2024, 5, 1, 10, 20, 30, tzinfo=timezone(timedelta(hours=2)))),
        (
            "2024-05-01T10:20:30-0330",
            datetime(2024, 5, 1, 10, 20, 30, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
        ),
        ("2024-13-01T10:20:30Z", None),
        ("2024-05-01T10:20:30+99:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_keeps_its_text_and_is_read_in_every_shape(text: str | None, expected: datetime | None) -> None:
    assert read(Subscription, {"creationDate": text}).creation_date == text
    assert parse_date(text) == expected


def test_a_recorded_answer_keeps_its_meaning() -> None:
    body = (
        b'\xef\xbb\xbf{"sourceSubscriptionId":"a","targetSubscriptionId":"b","upgradeType":1,"upgradeErrors":[],'
        b'"licenseErrors":[{"userObjectId":"u","name":"n","email":"e@x","errors":[{"code":0,"description":"d","data":["x"],'
        b'"source":"PartnerApiServiceCore"}],"attributes":{"objectType":"UserLicenseError"}}],'
        b'"attributes":{"objectType":"UpgradeResult"}}'
    )
    result = read(UpgradeResult, media.decode(body, "application/json; charset=utf-8"))
    assert (result.source_subscription_id, result.target_subscription_id) == ("a", "b")
    assert result.upgrade_type is UpgradeType.UPGRADE_ONLY
    assert result.upgrade_errors == []
    assert result.license_errors[0].errors == [
        ServiceFault(code=0, description="d", data=["x"], source="PartnerApiServiceCore")
    ]
    assert result.attributes == ResourceAttributes(object_type="UpgradeResult")


def test_every_definition_and_field_says_what_it_means() -> None:
    classes = [node for node in ast.parse(inspect.getsource(models)).body if isinstance(node, ast.ClassDef)]
    classes += [node for node in ast.parse(inspect.getsource(enums)).body if isinstance(node, ast.ClassDef)]
    for node in classes:
        assert ast.get_docstring(node), node.name
        for line, following in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(line, (ast.AnnAssign, ast.Assign)) and "__" not in ast.unparse(line):
                said = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
                assert said, f"{node.name}: {ast.unparse(line)}"


def test_what_models_exports_is_there_and_complete() -> None:
    own = {
        name for name, value in vars(models).items() if inspect.isclass(value) and value.__module__ == models.__name__
    }
    assert own <= set(models.__all__)
    assert all(hasattr(models, name) for name in models.__all__)


def test_definitions_are_fixed_and_take_keywords_only() -> None:
    with pytest.raises(AttributeError):
        Offer(id="a").id = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Offer("a")  # type: ignore[call-arg, arg-type]
    assert msgspec.structs.replace(Offer(id="a"), id="b") == Offer(id="b")


def test_links_called_self_keep_that_name_on_the_wire() -> None:
    assert write(OfferLinks(self_=Link(uri="/x"))) == {"self": {"uri": "/x"}}
