"""
Partner Center's operations, as typed calls.

Each call carries ``Authorization``, ``ms-requestid``, ``ms-correlationid`` and ``ms-cv`` ("Partner Center REST
headers"), and the two that the SDKs add, ``MS-Contract-Version`` and ``X-Locale``. Every error has the ids that were
echoed.
"""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

from pc_provider.partner_center import answers, media, models
from pc_provider.partner_center.delivery import Clock, Delivery, SystemClock
from pc_provider.partner_center.errors import (
    DeadlineExceeded,
    InvalidInput,
    OutcomeUnknown,
    PartnerCenterError,
    Unauthorized,
    UnexpectedAnswer,
)
from pc_provider.partner_center.pace import Pace
from pc_provider.partner_center.transport import Answer, Transport, concealing

__all__ = ["Call", "OfferedUpgrade", "PartnerCenter", "TokenSource"]

PAGES = 1000

# A request that could not be answered in the time left is not begun; seconds.
LEAST_TIME = 1.0

Model = TypeVar("Model")
Definition = TypeVar("Definition", bound=models.Definition)


class TokenSource(Protocol):
    """Where access tokens come from (``credentials``)."""

    def token(self, *, rejected: str | None = None) -> str:
        """A valid bearer token; another one than *rejected*, which a 401 refused."""


class Call(NamedTuple):
    """One user action: its correlation id, and the time (of the client's clock) at which it must have ended."""

    correlation_id: str
    deadline: float


class OfferedUpgrade(NamedTuple):
    """An upgrade that Partner Center offers: as a typed value, and as it came, to be echoed when it is chosen."""

    upgrade: models.Upgrade
    received: Any


class PartnerCenter:
    """
    Partner Center at *endpoint*, for one partner.

    *media_type* is what requests are written in (default ``application/json``) and *request_timeout* the seconds that
    one request may take (default 60). Safe to share between threads. Every method raises
    :class:`~pc_provider.partner_center.errors.PartnerCenterError`.
    """

    def __init__(
        self,
        endpoint: str,
        transport: Transport,
        credential: TokenSource,
        *,
        media_type: str = "application/json",
        request_timeout: float = 60.0,
        pace: Pace | None = None,
        clock: Clock | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        self._base = endpoint.rstrip("/") + "/v1"
        self._transport = transport
        self._credential = credential
        self._media_type = media_type
        self._timeout = request_timeout
        self.clock = clock or SystemClock(stopping)
        self.pace = pace or Pace(stopping=stopping)
        self._delivery = Delivery(self.pace, self.clock)

    def close(self) -> None:
        """Closes every connection. The client must not be used afterwards."""
        self._transport.close()

    def call(self, seconds: float) -> Call:
        """Begins a user action that may take *seconds* in all."""
        return Call(str(uuid.uuid4()), self.clock.now() + seconds)

    def upgrades(self, customer_id: str, subscription_id: str, call: Call | None = None) -> list[OfferedUpgrade]:
        """What the subscription can become: one item for each target offer and upgrade type; empty without a path."""
        path = f"{_subscription(customer_id, subscription_id)}/upgrades"
        what = f"Reading the upgrades of subscription {subscription_id} of customer {customer_id}"

        def read(answer: Answer) -> list[OfferedUpgrade]:
            tree = answers.tree(answer)
            items = models.read(models.Collection[models.Upgrade], tree).items
            received = next((value for key, value in tree.items() if key.lower() == "items"), None)
            # Only JSON says of every value what type it is, so only from JSON can an item go back as it came.
            as_it_came = "json" in (answer.headers.get("Content-Type") or "").lower()
            if not as_it_came or not isinstance(received, list) or len(received) != len(items):
                received = [models.write(item) for item in items]
            return [OfferedUpgrade(item, sent) for item, sent in zip(items, received, strict=True)]

        return self._get("GET upgrades", customer_id, path, what, read, call)

    def upgrade(
        self,
        customer_id: str,
        subscription_id: str,
        offered: OfferedUpgrade,
        *,
        request_id: str,
        call: Call | None = None,
    ) -> tuple[models.UpgradeResult, str]:
        """
        Performs the upgrade: the result, and the answer's ``Date`` ("" where it had none).

        A result with ``upgrade_errors`` means that nothing was upgraded; one with ``license_errors`` that the upgrade
        was made. Raises :class:`OutcomeUnknown` or ``ServerError`` when it is not known whether it was made.
        """
        call = call or self.call(self._timeout * 2)
        path = f"{_subscription(customer_id, subscription_id)}/upgrades"
        what = f"The upgrade of subscription {subscription_id} of customer {customer_id}"
        content = media.encode(offered.received, self._media_type, "Upgrade")

        def read(answer: Answer) -> tuple[models.UpgradeResult, str]:
            try:
                result = models.read(models.UpgradeResult, answers.tree(answer))
            except ValueError as error:
                raise OutcomeUnknown(
                    f"Partner Center answered {answer.status}, but the answer can't be read ({error})", attempted=what
                ) from None
            return result, answer.headers.get("Date") or ""

        with _attempting(what):
            return self._delivery.post(
                lambda: self._exchange("POST", path, what, read, call, content, request_id),
                operation="POST upgrades",
                customer=customer_id.lower(),
                deadline=call.deadline,
            )

    def subscription(self, customer_id: str, subscription_id: str, call: Call | None = None) -> models.Subscription:
        """One subscription of a customer."""
        path = _subscription(customer_id, subscription_id)
        what = f"Reading subscription {subscription_id} of customer {customer_id}"
        return self._get("GET subscription", customer_id, path, what, _reader(models.Subscription), call)

    def subscriptions(self, customer_id: str, call: Call | None = None) -> list[models.Subscription]:
        """All subscriptions of a customer, page after page."""
        call = call or self.call(self._timeout * 10)
        what = f"Listing the subscriptions of customer {customer_id}"
        path: str | None = f"/customers/{_segment('customer_id', customer_id)}/subscriptions"
        found: list[models.Subscription] = []
        seen: set[str] = set()
        while path is not None:
            if path in seen or len(seen) == PAGES:
                raise _not_followed("was read before, or comes after too many others", what)
            seen.add(path)
            page = self._get("GET subscriptions", customer_id, path, what, _reader(_Page), call)
            found += page.items
            link = page.links.next if page.links else None
            path = self._next_page(link.uri, what) if link and link.uri else None
        return found

    def customer(self, customer_id: str, call: Call | None = None) -> models.Customer:
        """One customer of the partner."""
        path = f"/customers/{_segment('customer_id', customer_id)}"
        return self._get(
            "GET customer", customer_id, path, f"Reading customer {customer_id}", _reader(models.Customer), call
        )

    def _next_page(self, uri: str, what: str) -> str:
        """The path of the next page. An answer can't move the client to another host."""
        try:
            url = urljoin(self._base + "/", uri.lstrip("/").removeprefix("v1/") if "://" not in uri else uri)
            beneath = url.startswith(self._base + "/") and ".." not in unquote(urlsplit(url).path)
        except ValueError:
            beneath = False
        if not beneath:
            raise _not_followed("is at another address", what)
        return url.removeprefix(self._base)

    def _get(
        self,
        operation: str,
        customer_id: str,
        path: str,
        what: str,
        read: Callable[[Answer], Model],
        call: Call | None,
    ) -> Model:
        call = call or self.call(self._timeout * 2)

        def readable(answer: Answer) -> Model:
            try:
                return read(answer)
            except ValueError as error:
                raise UnexpectedAnswer(
                    f"Partner Center answered {answer.status}, but the answer can't be read ({error})",
                    status=answer.status,
                    attempted=what,
                    remedy="Run the same command again; a proxy may have changed the answer.",
                ) from None

        with _attempting(what):
            return self._delivery.read(
                lambda: self._exchange("GET", path, what, readable, call),
                operation=operation,
                customer=customer_id.lower(),
                deadline=call.deadline,
            )

    def _exchange(
        self,
        method: str,
        path: str,
        what: str,
        read: Callable[[Answer], Model],
        call: Call,
        content: bytes | None = None,
        request_id: str | None = None,
    ) -> Model:
        """One request with a valid token; once more with a renewed one when a 401 refused it before any work."""
        request_id = request_id or str(uuid.uuid4())
        token = self._credential.token()
        try:
            return self._send(method, path, what, read, call, content, request_id, token)
        except Unauthorized:
            renewed = self._credential.token(rejected=token)
            if renewed == token:
                raise
            return self._send(method, path, what, read, call, content, request_id, renewed)

    def _send(
        self,
        method: str,
        path: str,
        what: str,
        read: Callable[[Answer], Model],
        call: Call,
        content: bytes | None,
        request_id: str,
        token: str,
    ) -> Model:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": self._media_type if "form" not in self._media_type else "application/json",
            "MS-RequestId": request_id,
            "MS-CorrelationId": call.correlation_id,
            "MS-CV": base64.b64encode(uuid.uuid4().bytes).decode()[:22] + ".0",
            "MS-Contract-Version": "v1",
            "X-Locale": "en-US",
        }
        if content is not None:
            headers["Content-Type"] = self._media_type
        echoed: Any = {}
        try:
            left = call.deadline - self.clock.now()
            if left < min(self._timeout, LEAST_TIME):
                raise DeadlineExceeded(f"{max(0.0, left):.1f} s of the time allowed were left; it was not sent")
            timeout = min(self._timeout, left)
            answer = self._transport.send(method, self._base + path, headers=headers, content=content, timeout=timeout)
            answer = concealing([token], answer)
            echoed = answer.headers
            answers.raise_for_status(answer, what)
            return read(answer)
        except PartnerCenterError as error:
            error.attempted = error.attempted or what
            answers.identify(error, request_id, call.correlation_id, echoed)
            raise


def _not_followed(reason: str, what: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"the answer's next page {reason}; it is not followed", status=200, attempted=what)


_Page = models.Collection[models.Subscription]


@contextmanager
def _attempting(what: str) -> Iterator[None]:
    """Names the operation in errors of requests that were never made."""
    try:
        yield
    except PartnerCenterError as error:
        error.attempted = error.attempted or what
        raise


def _reader(model: type[Definition]) -> Callable[[Answer], Definition]:
    return lambda answer: models.read(model, answers.tree(answer))


def _segment(field: str, value: str) -> str:
    """*value* as one segment of a path; refused where it could reach another resource."""
    if not value or value in (".", "..") or not value.isprintable() or len(value) > 128:
        raise InvalidInput(field, "must be an id")
    return quote(value, safe="")


def _subscription(customer_id: str, subscription_id: str) -> str:
    customer = _segment("customer_id", customer_id)
    return f"/customers/{customer}/subscriptions/{_segment('subscription_id', subscription_id)}"
