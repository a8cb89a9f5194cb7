"""
Bodies: from plain values to bytes and back, in the media types of the reference.

A *tree* is what JSON can say: ``dict`` with text keys, ``list``, ``str``, ``int``, finite ``float``, ``bool``, None.
``decode(encode(tree, t, root), t)`` gives the tree back for each of ``REQUEST_TYPES`` (a form body needs a ``dict``).

**JSON** is written as UTF-8 without a byte-order mark, in ASCII with escapes.

**XML**: Partner Center accepts and sends it but has not published its form. This is the one written here, close to
Microsoft's "Mapping Between JSON and XML" (WCF):

- the root element is the definition's name; each field is an element of its own name, in no namespace;
- text is plain; the attribute ``type`` marks what is not: ``number``, ``boolean``, ``null``, ``array`` (of elements
  called ``item``), and ``object`` where an object is empty;
- a key that is no XML name is ``<item key="…">``, the key being a JSON string;
- text that XML 1.0 cannot hold (control characters, lone surrogates) is a JSON string under ``encoding="json"``.

Read is more than that: any prefix or namespace, ``nil``, repeated elements for a list, elements without ``type``.

**Forms** (``application/x-www-form-urlencoded``, requests only) name a value by its path: ``targetOffer.id=…``,
``items[0].id=…``, and ``["a.b"]`` for a key with other characters. All values are text, so one last field, ``$types``,
names the paths that were not (a JSON object, with the words of XML). To a service it is one more unknown field.

Reading decides the character encoding by the bytes: a mark, else where the zero bytes of UTF-16 are, else UTF-8. What
the ``charset`` parameter claims is asked only when the body is not UTF-8.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Any, NoReturn

from pc_provider.partner_center.errors import InvalidInput, printable

__all__ = [
    "FORM",
    "JSON",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "REQUEST_TYPES",
    "RESPONSE_TYPES",
    "XML",
    "Unreadable",
    "decode",
    "encode",
]

JSON = "application/json"
XML = "application/xml"
FORM = "application/x-www-form-urlencoded"

RESPONSE_TYPES = (JSON, "text/json", XML, "text/xml")
"""The media types in which Partner Center answers."""

REQUEST_TYPES = (*RESPONSE_TYPES, FORM)
"""The media types in which Partner Center takes a body."""

MAX_DEPTH = 64
"""Objects and lists within each other, in either direction. The reference needs seven."""

MAX_BYTES = 64 * 1024 * 1024
"""The longest body that is read, in bytes."""

MAX_VALUES = 1_000_000
"""The most XML elements or form fields that are read in one body."""

Tree = Any


class Unreadable(ValueError):
    """
    A body, or a value within it, that cannot be read.

    *path* names the place (``items[0].quantity``; empty for the whole body), *reason* says what is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}" if path else reason)

    def within(self, step: str) -> Unreadable:
        """The same, seen from the object or list that holds it under *step* (``quantity`` or ``[0]``)."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return Unreadable(f"{step}{dot}{self.path}", self.reason)


def kind_of(media_type: str | None) -> str | None:
    """``JSON``, ``XML`` or ``FORM`` for any spelling of a media type with its parameters; None for any other."""
    name = (media_type or "").partition(";")[0].strip().lower()
    if name == FORM:
        return FORM
    subtype = name.rpartition("/")[2]
    if subtype == "json" or subtype.endswith("+json"):
        return JSON
    if subtype == "xml" or (subtype.endswith("+xml") and subtype != "xhtml+xml"):
        return XML
    return None


def encode(tree: Tree, media_type: str, root: str) -> bytes:
    """
    The body for *tree*, in UTF-8. *root* is the name of the definition, which only XML shows.

    Raises InvalidInput for a media type that is none of ``REQUEST_TYPES``, and for a value no body can hold.
    """
    kind = kind_of(media_type)
    if kind is None:
        raise InvalidInput("mediaType", f"{printable(media_type, 80)!r} is none of {', '.join(REQUEST_TYPES)}")
    _check(tree, root)
    if kind == JSON:
        try:
            return json.dumps(tree, allow_nan=False, separators=(",", ":")).encode("ascii")
        except ValueError as error:
            raise InvalidInput(root, str(error)) from None
    try:
        if kind == XML:
            from pc_provider.partner_center import media_xml

            return media_xml.dump(tree, root)
        from pc_provider.partner_center import media_form

        return media_form.dump(tree)
    except ValueError as error:
        raise InvalidInput(root, str(error)) from None


def decode(body: bytes, content_type: str | None) -> Tree:
    """
    The tree in *body*, which *content_type* (the whole header, or None) describes.

    Without a telling content type, a body that begins with ``<`` is XML and any other JSON. Raises Unreadable for an
    empty, cut, oversized, too deep or otherwise malformed body, and for a content type such as ``text/html``.
    """
    if len(body) > MAX_BYTES:
        raise Unreadable("", f"the body of {len(body)} bytes exceeds the limit of {MAX_BYTES}")
    text = _text(body, content_type)
    name = (content_type or "").partition(";")[0].strip().lower()
    kind = kind_of(name)
    if name in ("", "text/plain", "application/octet-stream"):
        kind = XML if text.lstrip()[:1] == "<" else JSON
    if not text.strip() and kind != FORM:
        raise Unreadable("", "the body is empty")
    if kind == JSON:
        tree = _load_json(text)
    elif kind == XML:
        from pc_provider.partner_center import media_xml

        tree = media_xml.load(text)
    elif kind == FORM:
        from pc_provider.partner_center import media_form

        tree = media_form.load(text)
    else:
        raise Unreadable("", f"the content type {printable(content_type, 80)!r} is neither JSON nor XML")
    if not _within_depth(tree):
        raise Unreadable("", f"nested deeper than {MAX_DEPTH} levels")
    return tree


def number(text: str) -> int | float:
    """The JSON number that *text* is. Raises ValueError for any other text, and for one too large to hold."""
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text, re.ASCII):
        raise ValueError(f"{printable(text, 60)!r} is not a number")
    return int(text) if text.lstrip("-").isdigit() else _finite(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {printable(text, 60)} is too large")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _load_json(text: str) -> Tree:
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Unreadable("", f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Unreadable("", f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise Unreadable("", f"not JSON: {error}") from None


def _within_depth(tree: Tree) -> bool:
    level = [tree] if isinstance(tree, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return True
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
    return not level


def _check(tree: Tree, root: str) -> None:
    """Refuse what no body can hold, before a writer meets it half way."""
    level: list[Tree] = [[tree]]
    for _ in range(MAX_DEPTH + 1):
        below: list[Tree] = []
        for holder in level:
            for value in holder.values() if isinstance(holder, dict) else holder:
                if value is None or isinstance(value, (str, int)):
                    continue
                if isinstance(value, (dict, list)):
                    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
                        raise InvalidInput(root, "an object has a key that is not text")
                    below.append(value)
                elif not isinstance(value, float):
                    raise InvalidInput(root, f"a value of type {type(value).__name__} cannot be sent")
                elif not math.isfinite(value):
                    raise InvalidInput(root, f"{value} cannot be sent: it is not a number")
        if not below:
            return
        level = below
    raise InvalidInput(root, f"nested deeper than {MAX_DEPTH} levels")


_OLD_CHARSETS = ("iso-8859-1", "latin1", "latin-1", "windows-1252", "cp1252")


def _text(body: bytes, content_type: str | None) -> str:
    if body.startswith(codecs.BOM_UTF8):
        encoding = "utf-8"
    elif body.startswith(codecs.BOM_UTF16_LE) or (len(body) > 1 and body[1] == 0):
        encoding = "utf-16-le"
    elif body.startswith(codecs.BOM_UTF16_BE) or (len(body) > 1 and body[0] == 0):
        encoding = "utf-16-be"
    else:
        encoding = "utf-8"
    try:
        return body.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        claim = f"{content_type or ''} {body[:100].decode('ascii', 'replace')}".lower()
        if encoding == "utf-8" and any(name in claim for name in _OLD_CHARSETS):
            return body.decode("cp1252", "replace")
        reason = f"not {encoding.upper()}: {error.reason} at byte {error.start}"
        raise Unreadable("", reason) from None
