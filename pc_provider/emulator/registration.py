"""
Identities the emulator knows from its first state on: its app registration and what the quickstart upgrades.

They are public on purpose and open nothing but an emulator. Importing this module costs nothing.
"""

from __future__ import annotations

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "CUSTOMER_ID",
    "OFFER_E1",
    "OFFER_E3",
    "OFFER_E5",
    "REFRESH_TOKEN",
    "STATIC_TOKEN",
    "SUBSCRIPTION_ID",
    "TENANT_ID",
]

TENANT_ID = "5e1f0a2c-6b1d-4c55-9a0e-0e0b5b3f7c10"
"""The partner's tenant."""
CLIENT_ID = "c1d7a3e4-2f60-4b8e-8f5d-7a9c2b6e4d31"
"""The app registration in that tenant; it may sign in as an app and on behalf of a user."""
CLIENT_SECRET = "emulator-client-secret"  # noqa: S105 - public by design
"""That registration's client secret."""
REFRESH_TOKEN = "emulator-refresh-token"  # noqa: S105 - public by design
"""A refresh token of that registration, consented by a user with MFA."""
STATIC_TOKEN = "emulator"  # noqa: S105 - public by design
"""The bearer token that is accepted without a sign-in; it counts as a user with MFA."""

CUSTOMER_ID = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
"""The quickstart's customer."""
SUBSCRIPTION_ID = "a356ac8c-e310-44f4-bf85-c7f29044af99"
"""The quickstart's subscription: 25 licences of Office 365 Enterprise E1."""

OFFER_E1 = "91FD106F-4B2C-4938-95AC-F54F74E9A239"
"""Office 365 Enterprise E1."""
OFFER_E3 = "796B6B5F-613C-4E24-A17C-EBA730D49C02"
"""Office 365 Enterprise E3."""
OFFER_E5 = "A044B16A-1861-4308-8086-A3A3B506FAC2"
"""Office 365 Enterprise E5."""
