"""The subscriptions that a benchmark upgrades: one for each of N customers, so that none stands in another's way."""

from __future__ import annotations

OFFER_E1 = "91FD106F-4B2C-4938-95AC-F54F74E9A239"
OFFER_E3 = "796B6B5F-613C-4E24-A17C-EBA730D49C02"


def customer(number: int) -> str:
    """The tenant id of customer *number*."""
    return f"c0000000-0000-4000-8000-{number:012x}"


def subscription(number: int) -> str:
    """The id of its one subscription, on Office 365 Enterprise E1."""
    return f"50000000-0000-4000-8000-{number:012x}"


def target(number: int) -> str:
    """What a stand-in says that it became."""
    return f"70000000-0000-4000-8000-{number:012x}"
