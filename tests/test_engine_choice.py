"""Which engine `make engine` settles on, tried with stand-ins for the command line on PATH."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tools.pulumi import engine


def stand_in(folder: Path, version: str, *, host: bool = True) -> Path:
    """A folder with a `pulumi` that reports *version*, and a language host."""
    folder.mkdir()
    for name in ("pulumi", engine.LANGUAGE_HOST) if host else ("pulumi",):
        script = folder / name
        script.write_text(f"#!/bin/sh\necho {version}\n")
        script.chmod(0o755)
    return folder


def test_the_one_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stand_in(tmp_path / "new", "v3.272.0")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin")
    found = engine.on_path(tmp_path / ".engine")
    assert (found.folder, found.version, found.source) == (str(folder), "3.272.0", "PATH")


@pytest.mark.parametrize(
    ("version", "host", "why"),
    [
        ("v3.258.9", True, "older than 3.259.0"),
        ("v3.300.0", False, "no pulumi-language-python"),
        ("what?", True, "does not say its version"),
    ],
)
def test_one_that_will_not_do_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, host: bool, why: str
) -> None:
    monkeypatch.setenv("PATH", f"{stand_in(tmp_path / 'other', version, host=host)}{os.pathsep}/bin")
    with pytest.raises(engine.Unavailable, match=why):
        engine.on_path(tmp_path / ".engine")


def test_what_an_earlier_run_made_does_not_count_as_being_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ".engine"
    home.mkdir()
    monkeypatch.setenv("PATH", f"{stand_in(home / 'bin', 'v3.272.0')}{os.pathsep}/bin")
    with pytest.raises(engine.Unavailable, match="no `pulumi` on PATH"):
        engine.on_path(home)


def test_the_choice_is_remembered_until_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stand_in(tmp_path / "new", "v3.272.0")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin")
    chosen = engine.obtain(tmp_path, only="path")
    assert chosen is not None
    monkeypatch.setenv("PATH", "/nowhere")
    assert engine.obtain(tmp_path) == chosen
    (folder / "pulumi").unlink()
    assert engine.recorded(tmp_path) is None


def test_a_damaged_record_is_no_record(tmp_path: Path) -> None:
    record = tmp_path / ".engine" / "engine.json"
    record.parent.mkdir()
    for text in ("", "{", "[]", json.dumps({"key": engine.stamp_key(), "engine": {"folder": 1}})):
        record.write_text(text)
        assert engine.recorded(tmp_path) is None


def test_with_no_way_left_one_message_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert engine.obtain(tmp_path, only="build") is None
    told = capsys.readouterr().err
    assert "there is no `go` on PATH" in told
    assert "install the Pulumi CLI, 3.259.0 or newer" in told
    assert "Go 1.25 or newer" in told
