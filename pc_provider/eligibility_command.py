"""
``pc-provider eligibility``: whether Partner Center would make these upgrades now, without a Pulumi program.

It asks as a preview does, all at once, and sends nothing that changes anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pc_provider import inputs, refusal, upgrade
from pc_provider.fleet import Row, read_fleet
from pc_provider.partner_center.client import PartnerCenter
from pc_provider.partner_center.errors import PartnerCenterError, printable
from pc_provider.partner_center.models import Upgrade
from pc_provider.settings import Settings, connect
from pc_provider.stack import read_settings

__all__ = ["Found", "check", "offered", "run"]

ELIGIBLE, DONE, REFUSED, FAILED = "eligible", "already upgraded", "not eligible", "not known"
WIRE = {inputs.snake_case(name): name for name in inputs.INPUTS}
WIDTH = 190


@dataclass(frozen=True)
class Found:
    """What Partner Center says of one upgrade: *result* is one of the four words above; *remedy* is for the rest."""

    name: str
    customer_id: str
    subscription_id: str
    target_offer_id: str
    upgrade_type: str
    result: str
    detail: str
    remedy: str = ""


def run(
    *,
    file: Path | None,
    customer_id: str | None,
    subscription_id: str | None,
    target_offer_id: str | None,
    upgrade_type: str,
    stack: str | None,
    partner: str | None,
    as_json: bool,
) -> bool:
    """
    Asks and prints; whether every upgrade can be made or was made (without an offer: one of those that are offered).

    Raises PartnerCenterError for wrong ids, files, settings or sign-ins; what Partner Center answers is a result.
    """
    rows = read_fleet(file) if file else [_one(customer_id, subscription_id, target_offer_id, upgrade_type)]
    settings, _ = read_settings(stack)
    if file is None and not target_offer_id:
        found = list(offered(settings, rows[0]._replace(partner=partner)))
        well = any(one.result in (ELIGIBLE, DONE) for one in found)
    else:
        found = check(settings, [row._replace(partner=row.partner or partner) for row in rows])
        well = all(one.result in (ELIGIBLE, DONE) for one in found)
    if as_json:
        upgrades = [{WIRE.get(name, name): value for name, value in asdict(one).items()} for one in found]
        sys.stdout.write(json.dumps({"ok": well, "counts": _counts(found), "upgrades": upgrades}, indent=2) + "\n")
    else:
        _show(found)
    return well


def check(settings: Settings, rows: Sequence[Row]) -> list[Found]:
    """What Partner Center says of each of *rows*, asked at once. Raises what signing in to a partner raises."""
    partners = {row.partner for row in rows}
    with ExitStack() as opened:
        clients = {
            partner: opened.enter_context(closing(connect(settings.for_partner(partner)))) for partner in partners
        }

        def ask(row: Row) -> Found:
            return _ask(clients[row.partner], row, settings.for_partner(row.partner))

        with ThreadPoolExecutor(min(len(rows), settings.max_concurrency)) as pool:
            return list(pool.map(ask, rows))


def offered(settings: Settings, row: Row) -> Iterator[Found]:
    """Everything that a subscription can become, or what it became. Raises PartnerCenterError."""
    own = settings.for_partner(row.partner)
    with closing(connect(own)) as client:
        items = client.upgrades(row.customer_id, row.subscription_id)
        if not any(upgrade.is_eligible(item.upgrade) for item in items):
            with suppress(upgrade.NotEligible):
                yield _made(client, row, own)
                return
    for item in items:
        offer = item.upgrade.target_offer
        yield Found(
            row.name,
            row.customer_id,
            row.subscription_id,
            (offer and offer.id) or "",
            str(item.upgrade.upgrade_type or ""),
            ELIGIBLE if upgrade.is_eligible(item.upgrade) else REFUSED,
            "; ".join([_described(item.upgrade), *refusal.reasons(item.upgrade.upgrade_errors)]),
        )


def _made(client: PartnerCenter, row: Row, settings: Settings) -> Found:
    """The upgrade that was made. Raises NotEligible where none was."""
    made = upgrade.find_upgraded(
        client,
        row.customer_id,
        row.subscription_id,
        timeout=min(settings.upgrade_timeout, 4 * settings.request_timeout),
    )
    what = f"it became subscription {made.target_subscription_id}"
    return Found(row.name, row.customer_id, row.subscription_id, made.target_offer_id, "", DONE, what)


def _one(customer_id: str | None, subscription_id: str | None, offer_id: str | None, upgrade_type: str) -> Row:
    row = Row(1, subscription_id or "", customer_id or "", subscription_id or "", offer_id or "", upgrade_type, None)
    bag = {"customerId": row.customer_id, "subscriptionId": row.subscription_id, "targetOfferId": row.target_offer_id}
    failed = inputs.failures(inputs.normalise(bag))
    reasons = [reason for name, reason in failed if name != "targetOfferId" or offer_id]
    if reasons:
        raise PartnerCenterError("; ".join(reasons), attempted="Nothing was asked")
    return row


def _ask(client: PartnerCenter, row: Row, settings: Settings) -> Found:
    wanted = upgrade.WantedUpgrade(row.customer_id, row.subscription_id, row.target_offer_id, row.upgrade_type)
    timeout = min(settings.upgrade_timeout, 4 * settings.request_timeout)
    known = (row.name, *wanted)
    try:
        found = upgrade.eligibility(client, wanted, timeout=timeout)
    except (upgrade.NotEligible, upgrade.AlreadyUpgraded) as error:
        return Found(*known, REFUSED, error.known, error.remedy)
    except PartnerCenterError as error:
        ids = f" (request id {error.request_id})" if error.request_id else ""
        return Found(*known, FAILED, f"{error.known}{ids}", error.remedy)
    if isinstance(found, upgrade.Upgraded):
        return Found(*known, DONE, f"it became subscription {found.target_subscription_id}")
    return Found(*known, ELIGIBLE, _described(found))


def _described(found: Upgrade) -> str:
    offer = found.target_offer
    title = printable((offer and offer.name) or (offer and offer.id) or "?", 100)
    unit = printable((offer and offer.unit_type) or "licences", 40).lower()
    return f"{title}, {found.quantity} {unit}" if found.quantity is not None else title


def _counts(found: Sequence[Found]) -> dict[str, int]:
    return {word: sum(one.result == word for one in found) for word in (ELIGIBLE, DONE, REFUSED, FAILED)}


def _show(found: Sequence[Found]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {ELIGIBLE: "green", DONE: "green", REFUSED: "red", FAILED: "yellow"}
    table = Table(show_edge=False, pad_edge=False)
    for title in ("Subscription", "Target offer", "Upgrade type", "Result"):
        table.add_column(title, no_wrap=True)
    for title in ("Detail", "What to do"):
        table.add_column(title, overflow="fold")
    for one in found:
        name = one.name if one.name.lower() != one.subscription_id.lower() else one.subscription_id
        table.add_row(
            Text(printable(name)),
            Text(one.target_offer_id),
            Text(one.upgrade_type),
            Text(one.result, colours[one.result]),
            Text(one.detail),
            Text(one.remedy),
        )
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if found:
        console.print(table)
    counts = ", ".join(f"{count} {word}" for word, count in _counts(found).items() if count)
    console.print(Text(f"{counts or 'Nothing is offered for this subscription'}. Nothing was sent."))
