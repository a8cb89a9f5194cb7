"""Hypothesis strategies: any tree a body can hold, and any value of each definition that reading could have made."""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st

from pc_provider.partner_center import models
from pc_provider.partner_center.enums import OpenEnum

ODD_TEXTS = [
    "",
    " ",
    "\r\n",
    "\x00",
    "\ud800",
    "\ufeff",
    "\uffff",
    "]]>",
    "<a/>",
    "&amp;",
    "true",
    "1",
    "null",
    "[0]",
    "a.b",
    "é",
]

text = st.sampled_from(ODD_TEXTS) | st.text(st.characters(exclude_categories=()), max_size=4)
integers = st.integers() | st.sampled_from([0, -1, 25, 2**31, 2**64, -(10**40)])
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text
keys = st.sampled_from(["rank", "Item", "item", "key", "$types", "type", "xml:lang", "a b"]) | text
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=4,
)
objects = st.dictionaries(keys, trees, max_size=2)

DEFINITIONS: list[Any] = [
    models.ResourceAttributes,
    models.KeyValuePair,
    models.Link,
    models.ResourceLinks,
    models.OfferLinks,
    models.OfferCategory,
    models.OfferProduct,
    models.Offer,
    models.ServiceFault,
    models.UpgradeError,
    models.UserLicenseError,
    models.Upgrade,
    models.UpgradeResult,
    models.Subscription,
    models.CompanyProfile,
    models.Customer,
    models.OrderLineItem,
    models.Order,
    models.Collection[models.Upgrade],
    models.Collection[models.Subscription],
]


def name_of(cls: Any) -> str:
    """``Upgrade``, or ``Collection[Upgrade]``."""
    arguments = ", ".join(argument.__name__ for argument in typing.get_args(cls))
    return f"{cls.__name__}[{arguments}]" if arguments else str(cls.__name__)


@cache
def values(cls: Any) -> st.SearchStrategy[Any]:
    """
    Any *cls*. A few fields at a time, so that a thousand cases of a large definition stay quick; every field has its
    turn.

    What reading settles is settled here too: text that means a member of an enumeration, or the number of an error, is
    not kept as text, and a key of ``extra`` is none of a field.
    """
    fields = {field.name: _of(field.type) for field in msgspec.structs.fields(cls) if field.name != "extra"}
    known = {field.encode_name.lower() for field in msgspec.structs.fields(cls) if field.name != "extra"}
    extra = st.dictionaries(keys.filter(lambda key: key.lower() not in known), trees, max_size=2)
    some = st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=3)

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        found = {name: draw(fields[name]) for name in draw(some)}
        return cls(**found, extra=draw(extra) if draw(st.integers(0, 3)) == 0 else {})

    return build()


@cache
def _of(kind: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(kind) is list:
        return st.lists(_of(typing.get_args(kind)[0]), max_size=2)
    if typing.get_origin(kind) is dict:
        return objects
    choices = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    first = choices[0]
    if issubclass(first, OpenEnum):
        unknown = (text | integers).filter(lambda value: not isinstance(first.of(value), OpenEnum))
        return st.sampled_from(list(first)) | unknown
    if issubclass(first, msgspec.Struct):
        return st.deferred(lambda: values(first))
    if choices[:2] == (int, str):
        return integers | text.filter(lambda value: not value.lstrip("-").isdigit())
    return {str: text, int: integers, bool: st.booleans()}[first]
