"""
What the emulator remembers, in one SQLite file that several processes may serve at once.

Everything goes through one connection, used by the thread that serves. Reading needs no transaction; whatever decides
on what it has read happens inside :meth:`Store.transaction`, which takes the write lock first, so that of many
processes upgrading one subscription exactly one wins.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

Tree = dict[str, Any]

decode = msgspec.json.decode


def encode(tree: object) -> str:
    return msgspec.json.encode(tree).decode()


TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS customers (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL, special TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS subscriptions (
    seq INTEGER PRIMARY KEY, customer TEXT NOT NULL, id TEXT NOT NULL, offer TEXT NOT NULL, status TEXT NOT NULL,
    parent TEXT, upgraded_from TEXT, listed REAL NOT NULL DEFAULT 0, document TEXT NOT NULL,
    special TEXT NOT NULL DEFAULT '{}', UNIQUE (customer, id));
CREATE INDEX IF NOT EXISTS subscriptions_in_order ON subscriptions (customer, seq);
CREATE INDEX IF NOT EXISTS subscriptions_by_offer ON subscriptions (customer, offer);
CREATE INDEX IF NOT EXISTS add_ons ON subscriptions (customer, parent) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS orders (
    seq INTEGER PRIMARY KEY, customer TEXT NOT NULL, id TEXT NOT NULL, listed REAL NOT NULL DEFAULT 0,
    document TEXT NOT NULL, UNIQUE (customer, id));
CREATE INDEX IF NOT EXISTS orders_in_order ON orders (customer, seq);
CREATE TABLE IF NOT EXISTS upgrades (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, customer TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
    from_offer TEXT NOT NULL, to_offer TEXT NOT NULL, upgrade_type TEXT NOT NULL, request_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS upgrades_by_source ON upgrades (customer, source);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, request_id TEXT NOT NULL,
    correlation_id TEXT NOT NULL, status INTEGER, accepted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS controls (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, document TEXT NOT NULL, left INTEGER);
CREATE TABLE IF NOT EXISTS windows (
    control INTEGER NOT NULL, bucket TEXT NOT NULL, ends REAL NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (control, bucket)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applications (
    client TEXT NOT NULL, tenant TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (client, tenant)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grants (
    value TEXT PRIMARY KEY, kind TEXT NOT NULL, expires REAL NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sign_ins (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, path TEXT NOT NULL, client TEXT NOT NULL, way TEXT NOT NULL,
    scope TEXT NOT NULL, status INTEGER, error TEXT NOT NULL);
"""

# `facts` stays when the state is reset: tokens already given out remain good.
FORGOTTEN_BY_RESET = (
    "customers", "subscriptions", "orders", "upgrades", "journal", "controls", "windows", "applications", "grants",
    "sign_ins",
)  # fmt: skip


class Subscription(NamedTuple):
    """A subscription as the API shows it, and beside it what only the emulator knows."""

    document: Tree
    special: Tree
    upgraded_from: str | None


class Entry:
    """One line of the journal: a request to the API. *status* None means that no answer was sent."""

    __slots__ = ("accepted", "correlation_id", "method", "path", "request_id", "seq", "status", "time")

    def __init__(self, started: float, method: str, path: str, request_id: str, correlation_id: str) -> None:
        self.time = started
        self.method = method
        self.path = path
        self.request_id = request_id
        self.correlation_id = correlation_id
        self.status: int | None = None
        self.accepted = False
        self.seq: int | None = None


class Store:
    """The state file, opened; *path* None keeps everything in memory."""

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(
            ":memory:" if path is None else path, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA busy_timeout = 30000")
        if path is not None:
            self._use_write_ahead_log()
            # The state outlives the process; that it should outlive a power cut is not worth a sync per request.
            self._db.execute("PRAGMA synchronous = OFF")
        with self.transaction() as db:
            for statement in TABLES.split(";"):
                db.execute(statement)

    def _use_write_ahead_log(self) -> None:
        # Changing the mode does not wait for other processes that open the file at the same moment.
        for _ in range(200):
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError:
                time.sleep(0.02)
            else:
                return
        self._db.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Takes the write lock, and commits or rolls back."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self, statement: str, *values: object) -> list[Any]:
        return self._db.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()

    def run(self, statement: str, *values: object) -> int:
        """Runs one statement on its own; answers how many rows it changed."""
        return self._db.execute(statement, values).rowcount

    # Facts

    def fact(self, name: str) -> str | None:
        row = self.row("SELECT value FROM facts WHERE name = ?", name)
        return row[0] if row else None

    def set_fact(self, name: str, value: str) -> None:
        self.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value)

    # Customers

    def customer(self, customer_id: str) -> tuple[Tree, Tree] | None:
        """A customer's document and what only the emulator knows of it."""
        row = self.row("SELECT document, special FROM customers WHERE id = ?", customer_id.lower())
        return (decode(row[0]), decode(row[1])) if row else None

    def add_customer(self, document: Tree, special: Tree) -> None:
        self.run(
            "INSERT INTO customers (id, document, special) VALUES (?, ?, ?)",
            document["id"].lower(),
            encode(document),
            encode(special),
        )

    def customers(self, offset: int, size: int) -> tuple[int, list[Tree]]:
        total = self.row("SELECT count(*) FROM customers")[0]
        rows = self.rows("SELECT document FROM customers ORDER BY seq LIMIT ? OFFSET ?", size, offset)
        return total, [decode(row[0]) for row in rows]

    # Subscriptions

    def subscription(self, customer_id: str, subscription_id: str) -> Subscription | None:
        row = self.row(
            "SELECT document, special, upgraded_from FROM subscriptions WHERE customer = ? AND id = ?",
            customer_id.lower(),
            subscription_id.lower(),
        )
        return Subscription(decode(row[0]), decode(row[1]), row[2]) if row else None

    def subscriptions(self, customer_id: str, offset: int, size: int) -> tuple[int, list[Tree]]:
        """How many the customer has that are listed by now, and those from *offset* on."""
        now = time.time()
        total = self.row(
            "SELECT count(*) FROM subscriptions WHERE customer = ? AND listed <= ?", customer_id.lower(), now
        )[0]
        rows = self.rows(
            "SELECT document FROM subscriptions WHERE customer = ? AND listed <= ? ORDER BY seq LIMIT ? OFFSET ?",
            customer_id.lower(),
            now,
            size,
            offset,
        )
        return total, [decode(row[0]) for row in rows]

    def add_subscriptions(
        self,
        customer_id: str,
        subscriptions: list[tuple[Tree, Tree]],
        *,
        upgraded_from: str | None = None,
        listed: float = 0,
    ) -> None:
        """Adds documents, each with what only the emulator knows of it."""
        self._db.executemany(
            "INSERT INTO subscriptions (customer, id, offer, status, parent, upgraded_from, listed, document, special)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    customer_id.lower(),
                    document["id"].lower(),
                    document["offerId"].lower(),
                    document["status"],
                    (document.get("parentSubscriptionId") or "").lower() or None,
                    upgraded_from,
                    listed,
                    encode(document),
                    encode(special),
                )
                for document, special in subscriptions
            ],
        )

    def change_subscription(self, customer_id: str, document: Tree, special: Tree) -> None:
        self.run(
            "UPDATE subscriptions SET offer = ?, status = ?, parent = ?, document = ?, special = ?"
            " WHERE customer = ? AND id = ?",
            document["offerId"].lower(),
            document["status"],
            (document.get("parentSubscriptionId") or "").lower() or None,
            encode(document),
            encode(special),
            customer_id.lower(),
            document["id"].lower(),
        )

    def has_active_add_ons(self, customer_id: str, subscription_id: str) -> bool:
        row = self.row(
            "SELECT 1 FROM subscriptions WHERE customer = ? AND parent = ? AND status = 'active'",
            customer_id.lower(),
            subscription_id.lower(),
        )
        return row is not None

    def holds(self, customer_id: str, offer_id: str) -> bool:
        """Whether the customer has an active subscription on the offer."""
        row = self.row(
            "SELECT 1 FROM subscriptions WHERE customer = ? AND offer = ? AND status = 'active'",
            customer_id.lower(),
            offer_id.lower(),
        )
        return row is not None

    def upgraded_at(self, customer_id: str, source_id: str) -> float | None:
        """When the subscription was upgraded, in seconds since 1970; None if it never was."""
        row = self.row(
            "SELECT time FROM upgrades WHERE customer = ? AND source = ?", customer_id.lower(), source_id.lower()
        )
        return row[0] if row else None

    # Journal

    def record(self, entry: Entry) -> None:
        """Writes the line, or corrects its status if it is already there."""
        if entry.seq is not None:
            self.run("UPDATE journal SET status = ? WHERE seq = ?", entry.status, entry.seq)
            return
        cursor = self._db.execute(
            "INSERT INTO journal (time, method, path, request_id, correlation_id, status, accepted)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                entry.time,
                entry.method,
                entry.path,
                entry.request_id,
                entry.correlation_id,
                entry.status,
                entry.accepted,
            ),
        )
        entry.seq = cursor.lastrowid
