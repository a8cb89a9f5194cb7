"""How a tree becomes a definition and back; ``models`` says what is tolerated and why."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, TypeVar

import msgspec

from pc_provider.partner_center.enums import OpenEnum
from pc_provider.partner_center.errors import printable
from pc_provider.partner_center.media import Unreadable

D = TypeVar("D", bound=msgspec.Struct)

# Takes a value that is not None. Returns None for what the wire has to say "absent"; raises Unreadable.
Reader = Callable[[Any], Any]


def read(cls: type[D], tree: Any) -> D:
    """
    The *cls* that *tree* says, where *tree* is decoded JSON, XML or form (plain dicts, lists and scalars).

    Raises Unreadable, with the path of the value, where something cannot mean what its field holds.
    """
    return typing.cast(D, _struct_reader(cls)(tree))


def write(value: msgspec.Struct) -> dict[str, Any]:
    """*value* as a tree in the documented form: camelCase keys, ``snake_case`` enumerations, absent fields left out."""
    tree: dict[str, Any] = {}
    for name, key, keep_empty in _written(type(value)):
        item = getattr(value, name)
        if item is None or (not keep_empty and (item == [] or item == {})):
            continue
        tree[key] = _plain(item)
    for key, item in value.extra.items():  # type: ignore[attr-defined]
        tree.setdefault(key, item)
    return tree


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return write(value)
    if isinstance(value, OpenEnum):
        return value.value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


@cache
def _written(cls: type[msgspec.Struct]) -> list[tuple[str, str, bool]]:
    # A collection without items says so; elsewhere an empty list is as good as none.
    return [(f.name, f.encode_name, cls.__name__ == "Collection") for f in _fields(cls)]


def _fields(cls: Any) -> list[msgspec.structs.FieldInfo]:
    """The fields that are on the wire."""
    return [field for field in msgspec.structs.fields(cls) if field.name != "extra"]


@cache
def _struct_reader(cls: Any) -> Reader:
    fields = {f.encode_name: (f.encode_name, f.name, _reader(f.type)) for f in _fields(cls)}
    spellings = {wire.lower(): field for wire, field in fields.items()}

    def read_struct(tree: Any) -> Any:
        if not isinstance(tree, dict):
            raise Unreadable("", f"{_shown(tree)} is not an object")
        found: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, value in tree.items():
            field = fields.get(key) or spellings.get(key.lower())
            if field is None:
                extra[key] = value
                continue
            wire, name, reader = field
            # Where a field comes in two spellings the documented one counts, as the last of equal keys does in JSON.
            if value is not None and (key == wire or wire not in tree):
                try:
                    known = reader(value)
                except Unreadable as error:
                    raise error.within(wire) from None
                if known is not None:
                    found[name] = known
        return cls(**found, extra=extra)

    return read_struct


@cache
def _reader(kind: Any) -> Reader:
    origin = typing.get_origin(kind)
    if origin is list:
        return _list_reader(typing.get_args(kind)[0])
    if origin is dict:
        return _read_dict
    choices = typing.get_args(kind) if origin in (typing.Union, types.UnionType) else (kind,)
    choices = tuple(choice for choice in choices if choice is not type(None))
    for choice in choices:
        struct = typing.get_origin(choice) or choice
        if issubclass(struct, OpenEnum):
            return _enum_reader(struct)
        if issubclass(struct, msgspec.Struct):
            return _unless_blank(_struct_reader(choice))
    if choices == (int, str):
        return _read_code
    return {str: _read_text, int: _unless_blank(_read_int), bool: _unless_blank(_read_bool)}[choices[0]]


def _unless_blank(reader: Reader) -> Reader:
    """An empty XML element or form field is the only way either has to say "nothing"."""
    return lambda value: None if isinstance(value, str) and not value.strip() else reader(value)


def _list_reader(kind: Any) -> Reader:
    item_reader = _reader(kind)
    known = (
        {f.encode_name.lower() for f in msgspec.structs.fields(kind)} if hasattr(kind, "__struct_fields__") else set()
    )

    def read_list(value: Any) -> list[Any]:
        if isinstance(value, str) and not value.strip():
            return []
        if isinstance(value, dict) and len(value) == 1 and not known.intersection(key.lower() for key in value):
            # XML serializers put the items of a list into elements of their own: <errors><Error/><Error/></errors>.
            (value,) = value.values()
        found = []
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if item is not None:
                try:
                    found.append(item_reader(item))
                except Unreadable as error:
                    raise error.within(f"[{index}]") from None
        return [item for item in found if item is not None]

    return read_list


def _enum_reader(kind: type[OpenEnum]) -> Reader:
    def read_enum(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise Unreadable("", f"{_shown(value)} is not one of an enumeration")
        return kind.of(value)

    return read_enum


def _read_text(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise Unreadable("", f"{_shown(value)} is not text")


def _read_int(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str):
        try:
            return int(value) if re.fullmatch(r"\s*[+-]?\d+\s*", value, re.ASCII) else _whole(float(value))
        except (ValueError, OverflowError):
            raise Unreadable("", f"{_shown(value)} is not a whole number") from None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise Unreadable("", f"{_shown(value)} is not a whole number")


def _whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError
    return int(value)


def _read_bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise Unreadable("", f"{_shown(value)} is neither true nor false")


def _read_code(value: Any) -> int | str:
    if isinstance(value, (int, float)):
        return _read_int(value)
    text = _read_text(value)
    return int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else text


def _read_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and not value.strip():
        return {}
    if not isinstance(value, dict):
        raise Unreadable("", f"{_shown(value)} is not an object")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(printable(value, 40))


_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII
)


def parse_date(text: str | None) -> datetime | None:
    """
    The moment that *text* names, or None where it names none.

    Partner Center writes dates with and without ``Z``, and with any number of fraction digits (those beyond the
    microsecond are dropped). Without an offset it means UTC. Its clock has been hours off: do not compare with a local
    one.
    """
    match = _DATE.fullmatch((text or "").strip())
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups(default="")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int(fraction[:6].ljust(6, "0")),
            timezone(-offset if sign == "-" else offset),
        )
    except ValueError:
        return None
