"""
Partner Center subscription upgrades for Pulumi.

Importing this package loads nothing but what a resource needs to be declared; the rest is loaded where it is used.
"""

from __future__ import annotations

from pc_provider.resource import SubscriptionUpgrade

__all__ = ["SubscriptionUpgrade"]
