"""
Pulumi's verbs. No HTTP and no rules are here.

The path of :class:`SubscriptionUpgradeProvider` is in the state of every stack, because Pulumi pickles the provider by
reference: it must never move, be renamed or grow fields.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from pc_provider import engine, inputs
from pc_provider.partner_center.errors import InvalidInput, NotFound, PartnerCenterError, SignInError, printable
from pc_provider.progress import Progress

if TYPE_CHECKING:
    from pc_provider.partner_center.client import PartnerCenter
    from pc_provider.settings import Settings

__all__ = ["SubscriptionUpgradeProvider"]

Result = TypeVar("Result")

# Threads for resources that only wait for a limit; requests in flight are bounded by maxConcurrency.
THREADS = 1024


class UpgradeBlocked(Exception):
    """The program asks for something else than the upgrade that was made. Nothing was sent."""


class ProviderDefect(Exception):
    """Something that this provider should have handled."""


def _clean(method: Callable[..., Result]) -> Callable[..., Result]:
    """
    Lets only errors with a message for the user out of *method*.

    ``SystemExit`` and the like must not pass: the engine would wait for the answer for ever.
    """

    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Result:
        try:
            with _process.work.under_way():
                return method(*args, **kwargs)
        except (PartnerCenterError, UpgradeBlocked) as error:
            raise error from None
        except BaseException as error:  # noqa: BLE001
            raise ProviderDefect(_defect(error)) from None

    return guarded


def _defect(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""  # noqa: PTH119
    return (
        f"the provider met something it does not know: {type(error).__name__}: {printable(error)}{where}\n"
        "What to do: run `pulumi up` again; it reads what was done before it sends anything. Then report this message."
    )


class _Process:
    """What one provider process keeps: its settings, and a client for each partner."""

    def __init__(self) -> None:
        self.work = engine.Work()
        self.progress = Progress(lambda: [client.pace.waiting() for client in list(self._clients.values())])
        self._settings: Settings | PartnerCenterError | None = None
        self._clients: dict[str, PartnerCenter] = {}
        self._lock = threading.Lock()

    def configure(self, get: Callable[[str], Any]) -> None:
        from pc_provider.settings import Settings, SettingsError

        try:
            self._settings = Settings.load(lambda key: get(f"partnercenter:{key}"), os.environ)
        except SettingsError as error:
            self._settings = error
        except BaseException as error:  # noqa: BLE001
            self._settings = PartnerCenterError(_defect(error))
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        sys.tracebacklimit = 0
        engine.widen(THREADS)
        engine.on_cancel(self.work.stopping.set)
        engine.watch(self.work)

    @property
    def settings(self) -> Settings:
        """Raises SettingsError where the configuration can't be used."""
        if self._settings is None:
            raise PartnerCenterError("the provider was called before it was configured")
        if isinstance(self._settings, PartnerCenterError):
            raise self._settings
        return self._settings

    def client(self, partner: str | None) -> PartnerCenter:
        name = partner or ""
        with self._lock:
            if name not in self._clients:
                from pc_provider.settings import connect

                self._clients[name] = connect(self.settings.for_partner(partner), stopping=self.work.stopping)
            return self._clients[name]


_process = _Process()


def _declared(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    """What the program declares of an upgrade that was made. Raises UpgradeBlocked where it asks for another."""
    checked = inputs.normalise(news)
    reason = inputs.blocked(olds, checked)
    if reason:
        raise UpgradeBlocked(reason)
    return checked


class SubscriptionUpgradeProvider(ResourceProvider):
    """Performs Partner Center's subscription upgrades for Pulumi."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Reads the configuration. It never raises: `check` tells of a wrong one, and `delete` needs none."""
        _process.configure(req.config.get)

    @_clean
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Names every input that can't be sent. Touches no network."""
        checked = inputs.normalise(news)
        failed = [CheckFailure(name, reason) for name, reason in inputs.failures(checked)]
        try:
            partner = checked.get("partner")
            _process.settings.for_partner(partner if inputs.is_known_text(partner) else None)
        except PartnerCenterError as error:
            failed.append(CheckFailure("", str(error)))
        return CheckResult(checked, failed)

    @_clean
    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Blocks a second upgrade; otherwise says whether the record changes. Never asks for a replacement."""
        checked = _declared(olds, news)
        partner = olds.get("partner") != checked.get("partner")
        return DiffResult(changes=partner or any(inputs.is_unknown(value) for value in checked.values()))

    @_clean
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Makes the upgrade exactly once, or adopts the one that was made."""
        from pc_provider import refusal, upgrade

        checked = inputs.normalise(props)
        wanted = inputs.wanted_upgrade(checked)
        settings = _process.settings.for_partner(checked.get("partner"))
        try:
            partner_center = _process.client(checked.get("partner"))
            with _process.progress.upgrade():
                upgraded = upgrade.perform(partner_center, wanted, timeout=settings.upgrade_timeout, tell=engine.say)
        except SignInError as error:
            error.attempted = f"{wanted} was not sent. {error.attempted}"
            raise
        for line in refusal.license_lines(upgraded.license_errors):
            engine.say(
                f"warning: subscription {wanted.subscription_id} was upgraded, but a user's licences were not moved: "
                f"{line}. Assign them in the customer's admin center."
            )
        return CreateResult(wanted.identity, inputs.outputs(checked, upgraded))

    @_clean
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The target's present status. The record is dropped only where Partner Center says that the target is gone."""
        from pc_provider import upgrade

        stored = inputs.normalise(props)
        customer_id, _, source = id_.partition("/")
        if inputs.guid_problems("customerId", customer_id) or inputs.guid_problems("subscriptionId", source):
            raise InvalidInput(
                "id", f"{printable(id_, 100)!r} is not the id of an upgrade: <customer GUID>/<source subscription GUID>"
            )
        partner_center = _process.client(stored.get("partner"))
        if not stored.get("targetSubscriptionId"):
            timeout = _process.settings.for_partner(stored.get("partner")).upgrade_timeout
            upgraded = upgrade.find_upgraded(partner_center, customer_id, source, timeout=timeout)
            found = {
                **{name: value for name, value in stored.items() if name in inputs.INPUTS},
                "customerId": stored.get("customerId", customer_id),
                "subscriptionId": stored.get("subscriptionId", source),
                "targetOfferId": stored.get("targetOfferId", upgraded.target_offer_id),
            }
            return ReadResult(id_, inputs.outputs(found, upgraded), found)
        try:
            target = partner_center.subscription(stored.get("customerId", customer_id), stored["targetSubscriptionId"])
        except NotFound as error:
            if not upgrade.is_gone(partner_center, customer_id, source, stored["targetSubscriptionId"], error):
                raise
            engine.say(
                f"warning: subscription {stored['targetSubscriptionId']} of customer {customer_id}, which "
                f"{source} was upgraded to, no longer exists; its record is dropped."
            )
            return ReadResult("", {})
        outs = {name: value for name, value in props.items() if not name.startswith("__")}
        for name, value in (("targetStatus", target.status), ("quantity", target.quantity)):
            if value is not None:
                outs[name] = value if isinstance(value, int) else str(value)
        # The engine counts a record whose inputs are as declared as unchanged, whatever a refresh read of its outputs.
        changed = [
            f"{inputs.snake_case(name)} is {printable(outs[name], 40)} (was {printable(stored[name], 40)})"
            for name in ("targetStatus", "quantity")
            if name in stored and outs.get(name) != stored[name]
        ]
        if changed:
            engine.say(
                f"Subscription {stored['targetSubscriptionId']} of customer {customer_id}, which {source} was upgraded "
                f"to, is not as it was stored: {', '.join(changed)}."
            )
        return ReadResult(id_, outs)

    @_clean
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Stores another partner name. Sends nothing."""
        checked = _declared(olds, news)
        kept = {name: value for name, value in olds.items() if name != "partner" and not name.startswith("__")}
        return UpdateResult({**kept, **({"partner": checked["partner"]} if "partner" in checked else {})})

    @_clean
    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Sends nothing: an upgrade can't be undone. Says what stays."""
        customer_id, _, source = _id.partition("/")
        target = props.get("targetSubscriptionId") or "its target"
        engine.say(
            f"warning: the upgrade of subscription {source} of customer {customer_id} can't be undone. Subscription "
            f"{target} stays active and billed until someone cancels it in Partner Center; only the record is removed."
        )
