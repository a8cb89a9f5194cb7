"""docs/reference.md has every row of the reference, each with its code and its test, and is current."""

from __future__ import annotations

from tools import reference


def test_every_row_of_the_reference_has_its_code_and_its_test() -> None:
    assert reference.problems() == []


def test_the_reference_page_is_current() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.render(), "run `make reference`"


def test_the_list_of_rows_is_whole() -> None:
    rows = {table.title: len(table.rows) for table in reference.tables()}
    assert rows == {
        "Operations": 2,
        "Path parameters": 2,
        "Request headers": 4,
        "Request media types": 5,
        "Response media types": 4,
        "Statuses": 6,
        "Upgrade": 6,
        "UpgradeResult": 6,
        "UpgradeError": 4,
        "UserLicenseError": 5,
        "ServiceFault": 4,
        "Offer": 30,
        "OfferCategory": 7,
        "OfferProduct": 3,
        "OfferLinks": 4,
        "ResourceLinks": 3,
        "Link": 4,
        "KeyValuePair": 2,
        "ResourceAttributes": 2,
        "UpgradeType": 3,
        "UpgradeErrorCode": 12,
        "BillingCycle": 7,
        "Collection": 4,
        "Subscription": 20,
        "Customer": 7,
        "CompanyProfile": 5,
        "Order": 9,
        "OrderLineItem": 8,
        "SubscriptionStatus": 7,
    }
