"""
Faults, limits and latency: what stands between a client and Partner Center, as the control paths order it.

They are kept in the state file, so that every process that serves it applies them together.
"""

from __future__ import annotations

import random
import re
import time
from functools import lru_cache
from typing import Any, NamedTuple

from pc_provider.emulator.documents import Refused
from pc_provider.emulator.store import Store, decode, encode

Tree = dict[str, Any]

KINDS = ("reset", "status", "delay", "truncate", "garbage")
MAX_SECONDS = 3600


class Fault(NamedTuple):
    """*when* ``before``: nothing was done; ``after``: it was, and only the answer suffers."""

    when: str
    kind: str
    status: int
    retry_after: str | None
    seconds: float
    body: str | None
    content_type: str


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _number(told: Tree, name: str, default: float, low: float, high: float) -> float:
    value = told.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Refused(f"{name} must be a number from {low:g} to {high:g}")
    return value


def _whole(told: Tree, name: str, default: int, low: int, high: int) -> int:
    value = _number(told, name, default, low, high)
    if value != int(value):
        raise Refused(f"{name} must be a whole number")
    return int(value)


def _choice(told: Tree, name: str, default: str, known: tuple[str, ...]) -> str:
    value = told.get(name)
    if value is None:
        return default
    if value not in known:
        raise Refused(f"{name} must be one of {', '.join(known)}")
    return str(value)


def _where(told: Tree) -> Tree:
    """Which requests are meant: method and path, each None for all."""
    method, path = told.get("method"), told.get("path")
    if method is not None and (not isinstance(method, str) or not method.isalpha()):
        raise Refused("method must be an HTTP method")
    if path is not None:
        if not isinstance(path, str) or len(path) > 500:
            raise Refused("path must be a regular expression of at most 500 characters")
        try:
            re.compile(path)
        except (re.error, OverflowError, RecursionError) as error:
            raise Refused(f"path is not a regular expression: {error}") from None
    return {"method": method.upper() if method else None, "path": path}


def fault(told: object) -> Tree:
    """A fault as it is kept, from what was told. Raises Refused."""
    if not isinstance(told, dict):
        raise Refused("a fault must be an object")
    _known(told, ("method", "path", "when", "kind", "status", "retryAfter", "seconds", "times", "body", "contentType"))
    kind = _choice(told, "kind", "status" if "status" in told else "reset", KINDS)
    retry_after = told.get("retryAfter")
    if retry_after is not None and (isinstance(retry_after, bool) or not isinstance(retry_after, (int, float, str))):
        raise Refused("retryAfter must be seconds or an HTTP date")
    if isinstance(retry_after, str) and not (retry_after.isascii() and retry_after.isprintable()):
        raise Refused("retryAfter must be seconds or an HTTP date")
    body, content_type = told.get("body"), told.get("contentType")
    for name, value in (("body", body), ("contentType", content_type)):
        if value is not None and not isinstance(value, str):
            raise Refused(f"{name} must be a text")
    if content_type is not None and not (content_type.isascii() and content_type.isprintable()):
        raise Refused("contentType must be a media type")
    return {
        **_where(told),
        "when": _choice(told, "when", "before", ("before", "after")),
        "kind": kind,
        "status": _whole(told, "status", 500, 200, 599),
        "retryAfter": None if retry_after is None else str(retry_after),
        "seconds": _number(told, "seconds", 1.0 if kind == "delay" else 0.0, 0, MAX_SECONDS),
        "times": None if "times" in told and told["times"] is None else _whole(told, "times", 1, 1, 10**9),
        "body": body,
        "contentType": content_type,
    }


def limit(told: object) -> Tree:
    """A limit as it is kept, from what was told. Raises Refused."""
    if not isinstance(told, dict):
        raise Refused("a limit must be an object")
    _known(told, ("requests", "seconds", "per", "method", "path"))
    if "requests" not in told or "seconds" not in told:
        raise Refused("a limit needs requests and seconds")
    return {
        "requests": _whole(told, "requests", 1, 0, 10**9),
        "seconds": _number(told, "seconds", 1, 0.001, 86400),
        "per": _choice(told, "per", "partner", ("partner", "customer")),
        **_where(told),
    }


def latency(told: object) -> Tree:
    """A latency as it is kept, from what was told. Raises Refused."""
    if not isinstance(told, dict):
        raise Refused("latency must be an object")
    _known(told, ("seconds", "jitter"))
    return {
        "seconds": _number(told, "seconds", 0, 0, MAX_SECONDS),
        "jitter": _number(told, "jitter", 0, 0, MAX_SECONDS),
    }


def _known(told: Tree, names: tuple[str, ...]) -> None:
    unknown = [str(name) for name in told if name not in names]
    if unknown:
        raise Refused(f"unknown: {', '.join(unknown)[:100]}; known: {', '.join(names)}")


class Disturbances:
    """What is in force now, read from the store at each request."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def show(self, kind: str) -> list[Tree]:
        rows = self._store.rows("SELECT document, left FROM controls WHERE kind = ? ORDER BY seq", kind)
        return [{**decode(document), **({} if left is None else {"left": left})} for document, left in rows]

    def add(self, kind: str, documents: list[Tree], *, instead: bool = False) -> None:
        """Adds to what is in force; *instead* replaces what has the same scope (for a latency: all)."""
        with self._store.transaction() as db:
            for document in documents:
                if instead:
                    self._remove_like(kind, document)
                times = document.get("times")
                db.execute(
                    "INSERT INTO controls (kind, document, left) VALUES (?, ?, ?)", (kind, encode(document), times)
                )

    def _remove_like(self, kind: str, document: Tree) -> None:
        scope = [document.get(name) for name in ("method", "path", "per")]
        for seq, text in self._store.rows("SELECT seq, document FROM controls WHERE kind = ?", kind):
            known = decode(text)
            if [known.get(name) for name in ("method", "path", "per")] == scope:
                self._store.run("DELETE FROM controls WHERE seq = ?", seq)
                self._store.run("DELETE FROM windows WHERE control = ?", seq)

    def clear(self, kind: str) -> None:
        with self._store.transaction() as db:
            db.execute("DELETE FROM windows WHERE control IN (SELECT seq FROM controls WHERE kind = ?)", (kind,))
            db.execute("DELETE FROM controls WHERE kind = ?", (kind,))

    def now(self) -> list[tuple[int, str, Tree]]:
        """Everything in force, in the order it was ordered."""
        rows = self._store.rows("SELECT seq, kind, document FROM controls WHERE left IS NULL OR left > 0 ORDER BY seq")
        return [(seq, kind, decode(document)) for seq, kind, document in rows]

    def over_limit(self, now: list[tuple[int, str, Tree]], method: str, path: str, customer: str) -> float | None:
        """
        Counts the request against each limit that means it.

        Answers the seconds until the window of a limit it is over ends; None when it is within all.
        """
        wait = None
        for seq, kind, document in now:
            if kind == "limit" and _meant(document, method, path, api=True):
                bucket = customer if document["per"] == "customer" else ""
                left = self._count(seq, bucket, document)
                if left is not None:
                    wait = max(left, wait or 0)
        return wait

    def _count(self, seq: int, bucket: str, document: Tree) -> float | None:
        with self._store.transaction() as db:
            moment = time.time()
            found = db.execute("SELECT ends, used FROM windows WHERE control = ? AND bucket = ?", (seq, bucket))
            row = found.fetchone()
            ends, used = row if row and row[0] > moment else (moment + document["seconds"], 0)
            within = used < document["requests"]
            db.execute("INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?)", (seq, bucket, ends, used + within))
            return None if within else float(ends - moment)

    def take_fault(self, now: list[tuple[int, str, Tree]], method: str, path: str, *, api: bool) -> Fault | None:
        """The first fault that means this request and is not used up; it is used once more by this."""
        for seq, kind, document in now:
            if kind != "fault" or not _meant(document, method, path, api=api):
                continue
            if document["times"] is not None and not self._store.run(
                "UPDATE controls SET left = left - 1 WHERE seq = ? AND left > 0", seq
            ):
                continue
            return Fault(
                document["when"],
                document["kind"],
                document["status"],
                document["retryAfter"],
                document["seconds"],
                document["body"],
                document["contentType"] or "application/json; charset=utf-8",
            )
        return None


def delay(now: list[tuple[int, str, Tree]]) -> float:
    """Seconds of latency for one request, evenly spread over ``seconds ± jitter``."""
    total = 0.0
    for _, kind, document in now:
        if kind == "latency":
            spread = document["jitter"]
            total += max(0.0, document["seconds"] + random.uniform(-spread, spread))  # noqa: S311 - no secret
    return total


def _meant(document: Tree, method: str, path: str, *, api: bool) -> bool:
    """Without a path, requests to the API are meant; with one, also those to the sign-in that it matches."""
    if document["method"] not in (None, method):
        return False
    if document["path"] is None:
        return api
    return _pattern(document["path"]).search(path) is not None
