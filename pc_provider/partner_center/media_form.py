"""Form bodies; the form is described in ``media``. Imported only when one is met."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pc_provider.partner_center.errors import printable
from pc_provider.partner_center.media import MAX_DEPTH, MAX_VALUES, Tree, Unreadable, number

_TYPES = "$types"
_PLAIN = re.compile(r"[A-Za-z_@$-][A-Za-z0-9_@$-]*", re.ASCII)
_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d*)\]|\[("(?:[^"\\]|\\.)*")\]|\[([^\[\]"]+)\]', re.ASCII)


def dump(tree: Tree) -> bytes:
    """The object *tree* as form fields. Raises ValueError for anything but a ``dict``."""
    if not isinstance(tree, dict):
        raise ValueError("only an object can be sent as a form")
    pairs: list[tuple[str, str]] = []
    types: dict[str, str] = {}
    for key, value in tree.items():
        _write(pairs, types, _step("", key), value)
    if types:
        pairs.append((_TYPES, json.dumps(types, separators=(",", ":"))))
    return urlencode(pairs, errors="surrogatepass").encode("ascii")


def _step(path: str, key: str) -> str:
    if _PLAIN.fullmatch(key) and (path or key != _TYPES):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key)}]"


def _write(pairs: list[tuple[str, str]], types: dict[str, str], path: str, value: Tree) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _write(pairs, types, _step(path, key), item)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            _write(pairs, types, f"{path}[{index}]", item)
    elif isinstance(value, str):
        pairs.append((path, value))
    else:
        word, text = _typed(value)
        types[path] = word
        pairs.append((path, text))


def _typed(value: Tree) -> tuple[str, str]:
    if value is None:
        return "null", ""
    if isinstance(value, bool):
        return "boolean", json.dumps(value)
    if isinstance(value, (int, float)):
        return "number", json.dumps(value)
    return ("array" if isinstance(value, list) else "object"), ""


class _Node:
    """One place in a form: its own texts, its named parts, its numbered parts."""

    def __init__(self) -> None:
        self.texts: list[Tree] = []
        self.named: dict[str, _Node] = {}
        self.numbered: dict[int, _Node] = {}
        self.last = -1

    def value(self, path: str) -> Tree:
        if sum(map(bool, (self.texts, self.named, self.numbered))) > 1:
            raise Unreadable(path, "the form has this both as a value and as an object or list")
        if self.named:
            return {key: node.value(f"{path}.{key}" if path else key) for key, node in self.named.items()}
        if self.numbered:
            # In the order of their numbers; gaps close, so a large number costs nothing.
            return [self.numbered[index].value(f"{path}[{index}]") for index in sorted(self.numbered)]
        return self.texts[0] if len(self.texts) == 1 else self.texts


def load(text: str) -> Tree:
    """The object in the form body *text*. Raises Unreadable."""
    try:
        pairs = parse_qsl(text.strip(), keep_blank_values=True, errors="surrogatepass", max_num_fields=MAX_VALUES)
    except ValueError as error:
        raise Unreadable("", f"not a form: {error}") from None
    types = _load_types(pairs)
    root = _Node()
    for name, value in pairs:
        if name != _TYPES:
            _place(root, name).texts.append(_read(name, value, types.get(name)))
    return root.value("") if pairs else {}


def _load_types(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for name, value in pairs:
        if name == _TYPES:
            try:
                types = json.loads(value)
            except (ValueError, RecursionError):
                types = {}
            if not isinstance(types, dict):
                types = {}
    return types


def _place(root: _Node, name: str) -> _Node:
    node = root
    position = steps = 0
    while position < len(name):
        found = _STEP.match(name, position)
        steps += 1
        if not found or steps > MAX_DEPTH:
            reason = "nested too deep" if found else "not the name of a form field"
            raise Unreadable(printable(name, 80), reason)
        position = found.end()
        key, index, quoted, bracketed = found.groups()
        if index is not None:
            node = _numbered(node, name, index)
        else:
            node = node.named.setdefault(_unquote(name, quoted) if quoted else key or bracketed, _Node())
    return node


def _numbered(node: _Node, name: str, index: str) -> _Node:
    if len(index) > 9:
        raise Unreadable(printable(name, 80), "the number in brackets is too large")
    # Empty brackets append.
    place = int(index) if index else node.last + 1
    node.last = max(node.last, place)
    return node.numbered.setdefault(place, _Node())


def _unquote(name: str, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise Unreadable(printable(name, 80), "the text in brackets is not a JSON string") from None


def _read(name: str, text: str, word: object) -> Tree:
    if word == "null":
        return None
    if word == "boolean":
        return text == "true"
    if word == "array":
        return []
    if word == "object":
        return {}
    if word == "number":
        try:
            return number(text)
        except ValueError as error:
            raise Unreadable(printable(name, 80), str(error)) from None
    return text
