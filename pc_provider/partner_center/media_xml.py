"""XML bodies; the form is described in ``media``. Imported only when one is met."""

from __future__ import annotations

import json
import re
from typing import Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from pc_provider.partner_center.media import MAX_DEPTH, MAX_VALUES, Tree, Unreadable, number

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A bare carriage return would be read back as a line feed.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def dump(tree: Tree, root: str) -> bytes:
    """*tree* as a document whose root element is *root*."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>']
    _write(parts, root, "", tree)
    return "".join(parts).encode()


def _write(parts: list[str], name: str, attributes: str, value: Tree) -> None:
    if value is None:
        parts.append(f'<{name}{attributes} type="null"/>')
    elif isinstance(value, bool):
        parts.append(f'<{name}{attributes} type="boolean">{"true" if value else "false"}</{name}>')
    elif isinstance(value, (int, float)):
        parts.append(f'<{name}{attributes} type="number">{json.dumps(value)}</{name}>')
    elif isinstance(value, str):
        if _NOT_IN_XML.search(value):
            attributes += ' encoding="json"'
            value = json.dumps(value)
        parts.append(f"<{name}{attributes}>{value.translate(_ESCAPES)}</{name}>")
    elif isinstance(value, list):
        parts.append(f'<{name}{attributes} type="array">')
        for item in value:
            _write(parts, "item", "", item)
        parts.append(f"</{name}>")
    else:
        mark = "" if value else ' type="object"'
        parts.append(f"<{name}{attributes}{mark}>")
        for key, item in value.items():
            if _NAME.fullmatch(key):
                _write(parts, key, "", item)
            else:
                _write(parts, "item", f' key="{json.dumps(key).translate(_ESCAPES)}"', item)
        parts.append(f"</{name}>")


def load(text: str) -> Tree:
    """The tree in the document *text*. Raises Unreadable; DTDs and entities are refused before they are looked at."""
    parser = XMLParser(target=_Builder(), forbid_dtd=True)
    try:
        parser.feed(text)
        return parser.close()
    except ParseError as error:
        raise Unreadable("", f"not XML: {error}") from None
    except DefusedXmlException:
        raise Unreadable("", "the XML holds a document type or entities, which are not read") from None


class _Element:
    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.name = tag.rpartition("}")[2]
        self.attributes = attributes
        self.children: list[tuple[str, Any]] = []
        self.text: list[str] = []

    def key(self) -> str:
        """The name of this element as a field."""
        if self.name == "item" and "key" in self.attributes:
            return _literal(self.attributes["key"])
        return self.name

    def value(self) -> Tree:
        text = "".join(self.text)
        declared = self.attributes.get("type")
        if declared == "null" or self.attributes.get(_NIL, "").strip() in ("true", "1"):
            return None
        if self.children:
            if text.strip():
                raise Unreadable("", f"not the XML of a value: text beside elements in {self.name!r}")
            if declared == "array":
                return [value for _, value in self.children]
            return _fields(self.children)
        if declared == "array":
            return []
        if declared == "object":
            return {}
        if self.attributes.get("encoding") == "json":
            return _literal(text)
        if declared == "number":
            try:
                return number(text.strip())
            except ValueError as error:
                raise Unreadable("", f"{self.name!r}: {error}") from None
        if declared == "boolean" and text.strip().lower() in ("true", "false"):
            return text.strip().lower() == "true"
        return text


def _literal(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, str):
        raise Unreadable("", "not the XML of a value: text that should be a JSON string is not")
    return value


def _fields(children: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; an element that occurs again makes a list of its values."""
    fields: dict[str, list[Any]] = {}
    for key, value in children:
        fields.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in fields.items()}


class _Builder:
    """Builds the tree while the parser runs, so that the limits stop it and not only judge the result."""

    def __init__(self) -> None:
        self._open: list[_Element] = []
        self._count = 0
        self._result: Tree = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        # A scalar is one level more than the objects and lists around it.
        if len(self._open) > MAX_DEPTH:
            raise Unreadable("", f"nested deeper than {MAX_DEPTH} levels")
        if self._count > MAX_VALUES:
            raise Unreadable("", f"more than {MAX_VALUES} XML elements")
        self._open.append(_Element(tag, attributes))

    def end(self, tag: str) -> None:
        element = self._open.pop()
        value = element.value()
        if self._open:
            self._open[-1].children.append((element.key(), value))
        else:
            self._result = value

    def data(self, text: str) -> None:
        self._open[-1].text.append(text)

    def close(self) -> Tree:
        return self._result
