"""
Partner Center and its sign-in on your own machine.

    from pc_provider.emulator import Emulator

    with Emulator("state.db") as partner_center:
        print(partner_center.url)

Importing this is cheap: what serves is imported when it serves.
"""

from __future__ import annotations

from pc_provider.emulator.server import Emulator, serve

__all__ = ["Emulator", "serve"]
