"""
The offers the emulator sells, the upgrade paths between them, and the customers of its first state.

Offer ids and names are Partner Center's own (Office 365 Enterprise). The fields are those of the reference's ``Offer``
plus those seen on the wire besides (``rank``, ``prerequisiteOffers``, ``partnerQualifications``, ``isAddOn``,
``locale``, ``country``).
"""

from __future__ import annotations

from typing import Any

from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, OFFER_E5, SUBSCRIPTION_ID

Tree = dict[str, Any]

EXCHANGE_PLAN_1 = "195416C1-3447-423A-B37B-EE59A99A19C4"
AUDIO_CONFERENCING = "C94271D8-B431-4A25-A3C5-A57737A1C909"

CATEGORY_ID = "40BE278A-DFD1-470A-9EF7-9F2596EA7FF9"


def link(uri: str) -> Tree:
    """A ``Link`` as the service writes it: relative to the version in the address."""
    return {"uri": uri, "method": "GET", "headers": []}


def _offer(
    offer_id: str, name: str, rank: int, product_id: str, *, upgrades_to: tuple[str, ...] = (), add_on: bool = False
) -> Tree:
    return {
        "id": offer_id,
        "name": name,
        "description": f"{name}, licensed by user.",
        "minimumQuantity": 1,
        "maximumQuantity": 10000000,
        "rank": rank,
        "uri": f"/3c95518e-8c37-41e3-9627-0ca339200f53/offers/{offer_id}",
        "locale": "en-us",
        "country": "US",
        "category": {
            "id": CATEGORY_ID,
            "name": "Enterprise",
            "rank": 20,
            "locale": "en-us",
            "country": "US",
            "attributes": {"objectType": "OfferCategory"},
        },
        "prerequisiteOffers": [],
        "isAddOn": add_on,
        "hasAddOns": not add_on,
        "isAvailableForPurchase": True,
        "billing": "license",
        "supportedBillingCycles": ["annual", "monthly"],
        "term": 12,
        "termUnitOfMeasure": "month",
        "isAutoRenewable": True,
        "isInternal": False,
        "isMicrosoftProduct": True,
        "isTrial": False,
        "partnerQualifications": [],
        "resellerQualifications": [],
        "reselleeQualifications": [],
        "supportedCatalogTypes": ["legacy"],
        "conversionTargetOffers": [],
        "upgradeTargetOffers": list(upgrades_to),
        "salesGroupId": "39",
        "actions": ["Cancel", "Edit"],
        "additionalProperties": {},
        "product": {"id": product_id, "name": name, "unit": "Licenses"},
        "unitType": "Licenses",
        "links": {
            "learnMore": {"uri": "https://www.microsoft.com/microsoft-365/enterprise", "method": "GET", "headers": []},
            "self": link(f"/offers/{offer_id}?country=US"),
        },
        "attributes": {"objectType": "Offer"},
    }


OFFERS: dict[str, Tree] = {
    offer["id"].lower(): offer
    for offer in (
        _offer(
            OFFER_E1,
            "Office 365 Enterprise E1",
            10,
            "18181a46-0d4e-45cd-891e-60aabd171b4e",
            upgrades_to=(OFFER_E3, OFFER_E5),
        ),
        _offer(
            OFFER_E3,
            "Office 365 Enterprise E3",
            20,
            "6fd2c87f-b296-42f0-b197-1e91e994b900",
            upgrades_to=(OFFER_E5,),
        ),
        _offer(OFFER_E5, "Office 365 Enterprise E5", 30, "c7df2760-2c81-4ef7-b578-5b5392b571df"),
        _offer(EXCHANGE_PLAN_1, "Exchange Online (Plan 1)", 40, "4b9405b0-7788-4568-add1-99614e613b69"),
        _offer(AUDIO_CONFERENCING, "Audio Conferencing", 50, "0c266dff-15dd-4b49-8397-2bb16070ed52", add_on=True),
    )
}
"""Every offer by its id in lower case."""


def targets(offer_id: str) -> list[Tree]:
    """The offers a subscription on *offer_id* can be upgraded to, best known first; empty without a path."""
    offer = OFFERS.get(offer_id.lower())
    return [OFFERS[target.lower()] for target in offer["upgradeTargetOffers"]] if offer else []


FIRST_CUSTOMERS: tuple[Tree, ...] = (
    {
        "id": CUSTOMER_ID,
        "companyName": "Contoso",
        "domain": "contoso.onmicrosoft.com",
        "subscriptions": [{"id": SUBSCRIPTION_ID, "offerId": OFFER_E1, "quantity": 25, "friendlyName": "Head office"}],
    },
    {
        "id": "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04",
        "companyName": "Fabrikam",
        "domain": "fabrikam.onmicrosoft.com",
        "subscriptions": [
            {"id": "1c2b75c1-74a5-472a-a729-7f8cefc477f9", "offerId": OFFER_E1, "quantity": 5},
            {"id": "cf72f14f-1f5a-4e2f-8f0e-2f3a5b1c7d90", "offerId": EXCHANGE_PLAN_1, "quantity": 12},
        ],
    },
    {
        "id": "46a62ece-10ad-42e5-b3f1-b2ed53e6fc08",
        "companyName": "Wingtip Toys",
        "domain": "wingtiptoys.onmicrosoft.com",
        "subscriptions": [{"id": "b34024c7-9258-4841-bd0b-1e2a5d5c9d8d", "offerId": OFFER_E3, "quantity": 140}],
    },
)
"""What ``POST /_emulator/customers`` would have to be told to make the first state."""
