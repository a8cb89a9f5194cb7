"""
Every definition of the reference page for subscription upgrades, and the few others an upgrade touches.

``read(Upgrade, tree)`` makes a value from decoded JSON, XML or a form (see ``media``), and ``write(value)`` the tree
that says it in the documented form. Reading is tolerant, because Partner Center writes one thing in several ways: keys
in any case, enumerations as numbers, ``snake_case`` or ``PascalCase``, numbers and booleans as text, null for an empty
list. What the reference does not name is kept in ``extra`` and written back. ``read(type(value), write(value))`` is
``value``, whatever body carried the tree.

A field is None, or an empty list, when the answer did not have it; neither is written. Dates stay the text that came
(``parse_date`` reads them).

Source: Microsoft's REST reference, "Manage orders - Perform a subscription upgrade", where no other is named.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from pc_provider.partner_center.enums import BillingCycle, OpenEnum, SubscriptionStatus, UpgradeErrorCode, UpgradeType
from pc_provider.partner_center.media import Unreadable
from pc_provider.partner_center.reading import parse_date, read, write

__all__ = [
    "BillingCycle",
    "Collection",
    "CompanyProfile",
    "Customer",
    "Definition",
    "KeyValuePair",
    "Link",
    "Offer",
    "OfferCategory",
    "OfferLinks",
    "OfferProduct",
    "OpenEnum",
    "Order",
    "OrderLineItem",
    "ResourceAttributes",
    "ResourceLinks",
    "ServiceFault",
    "Subscription",
    "SubscriptionStatus",
    "Unreadable",
    "Upgrade",
    "UpgradeError",
    "UpgradeErrorCode",
    "UpgradeResult",
    "UpgradeType",
    "UserLicenseError",
    "parse_date",
    "read",
    "write",
]

T = TypeVar("T")


class Definition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", repr_omit_defaults=True):
    """What all definitions share."""

    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    """Fields the reference does not name, under their names on the wire, unchanged. Not itself a field on the wire."""


class ResourceAttributes(Definition, frozen=True, kw_only=True):
    """What Partner Center says about an object rather than in it."""

    etag: str | None = None
    """The version of the object, opaque."""
    object_type: str | None = None
    """The name of the object's definition."""


class KeyValuePair(Definition, frozen=True, kw_only=True):
    """A name and its value, such as one header of a link."""

    key: str | None = None
    """The name."""
    value: str | None = None
    """The value."""


class Link(Definition, frozen=True, kw_only=True):
    """A request that leads to a related resource."""

    uri: str | None = None
    """The address, absolute or relative to the base of the service."""
    method: str | None = None
    """The HTTP method."""
    headers: list[KeyValuePair] = msgspec.field(default_factory=list)
    """Headers to send with it."""
    body: str | None = None
    """The body to send with it."""


class ResourceLinks(Definition, frozen=True, kw_only=True):
    """The links of a resource."""

    self_: Link | None = msgspec.field(default=None, name="self")
    """The resource itself; ``self`` on the wire."""
    next: Link | None = None
    """The next page."""
    previous: Link | None = None
    """The page before."""


class OfferLinks(Definition, frozen=True, kw_only=True):
    """The links of an offer."""

    learn_more: Link | None = None
    """A description for people."""
    self_: Link | None = msgspec.field(default=None, name="self")
    """The offer itself; ``self`` on the wire."""
    next: Link | None = None
    """The next page."""
    previous: Link | None = None
    """The page before."""


class OfferCategory(Definition, frozen=True, kw_only=True):
    """The category an offer is listed in."""

    id: str | None = None
    """The category's id."""
    name: str | None = None
    """The category's name."""
    rank: int | None = None
    """Its place among the categories of one product line."""
    locale: str | None = None
    """The language of the texts, such as ``en-US``."""
    country: str | None = None
    """The country where it applies, as a two-letter ISO code."""
    links: ResourceLinks | None = None
    """Links of the category."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class OfferProduct(Definition, frozen=True, kw_only=True):
    """The product an offer sells."""

    id: str | None = None
    """The product's id."""
    name: str | None = None
    """The product's name."""
    unit: str | None = None
    """What one of its quantity is, in words."""


class Offer(Definition, frozen=True, kw_only=True):
    """Something Partner Center sells: a product with its terms."""

    id: str | None = None
    """The offer's id. Its case varies between answers: compare without case."""
    name: str | None = None
    """The offer's name."""
    description: str | None = None
    """What it is, for people."""
    minimum_quantity: int | None = None
    """The smallest quantity that can be bought, in units of ``unit_type``."""
    maximum_quantity: int | None = None
    """The largest quantity that can be bought, in units of ``unit_type``."""
    uri: str | None = None
    """The path of the offer in the service."""
    category: OfferCategory | None = None
    """The category it is listed in."""
    product: OfferProduct | None = None
    """The product it sells."""
    unit_type: str | None = None
    """What one of its quantity is, such as ``Licenses``."""
    billing: str | None = None
    """How it is billed, such as ``license`` or ``usage``."""
    supported_billing_cycles: list[BillingCycle | str | int] = msgspec.field(default_factory=list)
    """How often it can be billed."""
    term: int | None = None
    """The length of one term, in ``term_unit_of_measure``."""
    term_unit_of_measure: str | None = None
    """The unit of ``term``."""
    acquisition_type: str | None = None
    """How it can be had."""
    actions: list[str] = msgspec.field(default_factory=list)
    """What can be done with it."""
    additional_properties: dict[str, Any] = msgspec.field(default_factory=dict)
    """Further properties, by name; the reference does not list them."""
    conversion_target_offers: list[str] = msgspec.field(default_factory=list)
    """Ids of the offers a trial of this one converts to."""
    upgrade_target_offers: list[str] = msgspec.field(default_factory=list)
    """Ids of the offers this one upgrades to."""
    supported_catalog_types: list[str] = msgspec.field(default_factory=list)
    """The catalogues that list it."""
    resellee_qualifications: list[str] = msgspec.field(default_factory=list)
    """What a customer must be to get it."""
    reseller_qualifications: list[str] = msgspec.field(default_factory=list)
    """What a partner must be to sell it."""
    sales_group_id: str | None = None
    """The group of offers that can share one order."""
    has_add_ons: bool | None = None
    """Whether other offers can be added on it."""
    is_auto_renewable: bool | None = None
    """Whether it renews at the end of its term."""
    is_available_for_purchase: bool | None = None
    """Whether it can be bought now."""
    is_internal: bool | None = None
    """Whether it is internal to Microsoft."""
    is_microsoft_product: bool | None = None
    """Whether it is Microsoft's own, not a third party's."""
    is_trial: bool | None = None
    """Whether it is a trial."""
    links: OfferLinks | None = None
    """Links of the offer."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class ServiceFault(Definition, frozen=True, kw_only=True):
    """The body of an error answer: 400, 401, 403, 404 and 500."""

    code: int | str | None = None
    """The service's own code of the error; an int wherever the answer's text is one. 0 occurs for unknown."""
    description: str | None = None
    """What is wrong."""
    data: list[str] = msgspec.field(default_factory=list)
    """What the error is about, such as the ids that were not found."""
    source: str | None = None
    """The component that reports it; often missing."""


class UpgradeError(Definition, frozen=True, kw_only=True):
    """A reason why a subscription cannot be, or was not, upgraded."""

    code: UpgradeErrorCode | str | int | None = None
    """The kind of reason."""
    description: str | None = None
    """The reason, for people."""
    additional_details: str | None = None
    """More on it; absent where there is none."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class UserLicenseError(Definition, frozen=True, kw_only=True):
    """A user whose licences could not be moved; the subscription was upgraded all the same."""

    user_object_id: str | None = None
    """The user's object id in the customer's directory."""
    name: str | None = None
    """The user's name."""
    email: str | None = None
    """The user's e-mail address."""
    errors: list[ServiceFault] = msgspec.field(default_factory=list)
    """Why the licences were not moved."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class Upgrade(Definition, frozen=True, kw_only=True):
    """
    One upgrade that Partner Center offers for a subscription, and the body that asks for it.

    It has no id: (``target_offer.id``, ``upgrade_type``) names it.
    """

    target_offer: Offer | None = None
    """The offer to upgrade to."""
    upgrade_type: UpgradeType | str | int | None = None
    """Whether the users' licences move along."""
    is_eligible: bool | None = None
    """Whether it can be performed now; ``upgrade_errors`` says why not."""
    quantity: int | None = None
    """The quantity of the new offer, in units of its ``unit_type``; absent means the source's."""
    upgrade_errors: list[UpgradeError] = msgspec.field(default_factory=list)
    """Why it cannot be performed."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class UpgradeResult(Definition, frozen=True, kw_only=True):
    """The answer 200 to an upgrade, which can be a failure: it was performed only when ``upgrade_errors`` is empty."""

    source_subscription_id: str | None = None
    """The subscription that was to be upgraded."""
    target_subscription_id: str | None = None
    """The new subscription."""
    upgrade_type: UpgradeType | str | int | None = None
    """What was performed."""
    upgrade_errors: list[UpgradeError] = msgspec.field(default_factory=list)
    """Why the subscription was not upgraded; empty when it was."""
    license_errors: list[UserLicenseError] = msgspec.field(default_factory=list)
    """Users whose licences were not moved, though the subscription was upgraded."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class Subscription(Definition, frozen=True, kw_only=True):
    """A customer's subscription (source: Partner Center, "Subscription resources", and recorded answers)."""

    id: str | None = None
    """The subscription's id."""
    offer_id: str | None = None
    """The offer it is of: a GUID, or for new commerce like ``CFQ7TTC0LF8S:0002:CFQ7TTC0KX9G``."""
    offer_name: str | None = None
    """The offer's name."""
    friendly_name: str | None = None
    """The name the partner gave it."""
    quantity: int | None = None
    """How many, in units of ``unit_type``."""
    unit_type: str | None = None
    """What one of its quantity is, such as ``Licenses``."""
    parent_subscription_id: str | None = None
    """For an add-on, the subscription it belongs to."""
    creation_date: str | None = None
    """When it was made. The service's clock has been hours off: never compare it with a local one."""
    effective_start_date: str | None = None
    """When it takes effect."""
    commitment_end_date: str | None = None
    """When its commitment ends."""
    status: SubscriptionStatus | str | int | None = None
    """Its state; only an active subscription can be upgraded."""
    suspension_reasons: list[str] = msgspec.field(default_factory=list)
    """Why it is suspended; ``Transition`` means that it was upgraded."""
    auto_renew_enabled: bool | None = None
    """Whether it renews at the end of its term."""
    is_trial: bool | None = None
    """Whether it is a trial."""
    billing_type: str | None = None
    """How it is billed, such as ``license``."""
    billing_cycle: BillingCycle | str | int | None = None
    """How often it is billed."""
    contract_type: str | None = None
    """The kind of contract, such as ``subscription``."""
    order_id: str | None = None
    """The order that made it."""
    links: ResourceLinks | None = None
    """Links of the subscription."""
    attributes: ResourceAttributes | None = None
    """Its attributes; ``etag`` changes with each version."""


class CompanyProfile(Definition, frozen=True, kw_only=True):
    """A customer's company (source: Partner Center, "Customer resources")."""

    tenant_id: str | None = None
    """The customer's Microsoft Entra tenant."""
    domain: str | None = None
    """The tenant's domain, such as ``contoso.onmicrosoft.com``."""
    company_name: str | None = None
    """The company's name."""
    links: ResourceLinks | None = None
    """Links of the profile."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class Customer(Definition, frozen=True, kw_only=True):
    """A partner's customer (source: Partner Center, "Customer resources")."""

    id: str | None = None
    """The customer's id, the same as its tenant's."""
    commerce_id: str | None = None
    """The customer's id in commerce."""
    company_profile: CompanyProfile | None = None
    """The company."""
    relationship_to_partner: str | None = None
    """What the partner is to the customer, such as ``reseller``."""
    allow_delegated_access: bool | None = None
    """Whether the partner may administer the customer's tenant."""
    links: ResourceLinks | None = None
    """Links of the customer."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class OrderLineItem(Definition, frozen=True, kw_only=True):
    """One position of an order (source: Partner Center, "Order resources")."""

    line_item_number: int | None = None
    """Its place in the order, from 0."""
    offer_id: str | None = None
    """The offer that was ordered."""
    subscription_id: str | None = None
    """The subscription it made."""
    parent_subscription_id: str | None = None
    """For an add-on, the subscription it belongs to."""
    friendly_name: str | None = None
    """The name the partner gave it."""
    quantity: int | None = None
    """How many, in units of the offer's ``unit_type``."""
    links: ResourceLinks | None = None
    """Links of the position."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class Order(Definition, frozen=True, kw_only=True):
    """An order, as far as an upgrade makes one (source: Partner Center, "Order resources")."""

    id: str | None = None
    """The order's id."""
    reference_customer_id: str | None = None
    """The customer it is for."""
    billing_cycle: BillingCycle | str | int | None = None
    """How often it is billed."""
    currency_code: str | None = None
    """The currency of its prices, as a three-letter ISO code."""
    line_items: list[OrderLineItem] = msgspec.field(default_factory=list)
    """What was ordered."""
    creation_date: str | None = None
    """When it was made."""
    status: str | None = None
    """Its state, such as ``completed``."""
    links: ResourceLinks | None = None
    """Links of the order."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""


class Collection(Definition, Generic[T], frozen=True, kw_only=True):
    """A list of resources, or one page of it: ``Collection[Upgrade]``, ``Collection[Subscription]`` and so on."""

    total_count: int | None = None
    """How many there are; 0 where there are none."""
    items: list[T] = msgspec.field(default_factory=list)
    """Those of this page. Written even when empty."""
    links: ResourceLinks | None = None
    """``next`` leads to the next page."""
    attributes: ResourceAttributes | None = None
    """Its attributes."""
