"""The pages on sign-in name every setting, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pc_provider.settings import KEYS, Settings, environment_name

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (DOCS / "sign-in.md", *sorted((DOCS / "sign-in").glob("*.md")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_only_settings_that_exist(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"partnercenter:(\w+)", text)) <= set(KEYS)
    assert set(re.findall(r"PARTNERCENTER_[A-Z_]+[A-Z]", text)) <= {environment_name(key) for key in KEYS}
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (page.parent / link).exists(), link


def test_every_setting_with_its_default() -> None:
    table = PAGES[0].read_text().split("## Every key")[1]
    rows = dict(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ?([^|\n]*?) ?\|", table, re.MULTILINE))
    named = {key: default for keys, default in rows.items() for key in re.findall(r"\w+", keys)}
    assert sorted(named) == sorted(KEYS)
    defaults = Settings()
    assert named["requestTimeout"] == f"{defaults.request_timeout:g}"
    assert named["upgradeTimeout"] == f"{defaults.upgrade_timeout:g}"
    assert named["maxConcurrency"] == str(defaults.max_concurrency)
    assert named["mediaType"] == f"`{defaults.media_type}`"
    assert named["emulatorState"] == f"`{defaults.emulator_state}`"
    assert named["cloud"] == f"`{defaults.cloud}`"
