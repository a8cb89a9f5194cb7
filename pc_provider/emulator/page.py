"""The page at ``/``: a file that asks the control paths for what it shows."""

from __future__ import annotations

from pathlib import Path

from pc_provider.emulator.exchange import Answer

SECURITY = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
     " connect-src 'self'; img-src data:"),
    ("Cache-Control", "no-cache"),
)  # fmt: skip


def answer() -> Answer:
    body = Path(__file__).with_name("page.html").read_bytes()
    return Answer(200, body=body, content_type="text/html; charset=utf-8", headers=SECURITY)
