"""The page at ``/``."""

from __future__ import annotations

from pathlib import Path

from pc_provider.emulator.exchange import Answer


def answer() -> Answer:
    """The page, which asks the control paths for what it shows."""
    return Answer(200, body=Path(__file__).with_name("page.html").read_bytes(), content_type="text/html; charset=utf-8")
