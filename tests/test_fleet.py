"""A CSV file of upgrades: read and refused as a whole, asked about from the command line, declared by the example."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from pc_provider import cli, upgrade
from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E3, OFFER_E5, SUBSCRIPTION_ID
from pc_provider.fleet import FleetError, Row, read_fleet
from pc_provider.settings import Settings, connect

from .conftest import NewStack

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "fleet"
HEADER = "customer_id,subscription_id,target_offer_id"
ROW = f"{CUSTOMER_ID},{SUBSCRIPTION_ID},{OFFER_E3}"
OTHER = "11111111-2222-4333-8444-555555555555"
TRACEBACK = "Traceback"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.csv"


def problems(file: Path, content: str | bytes) -> list[str]:
    """Everything that is wrong with a file that holds *content*."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(FleetError) as refused:
        read_fleet(file)
    assert str(refused.value).startswith(f"{file} can't be used: {len(refused.value.problems)} problem")
    return list(refused.value.problems)


def test_what_is_left_out_has_its_default(file: Path) -> None:
    file.write_text(f"{HEADER}\n{ROW}\n")
    row = Row(2, SUBSCRIPTION_ID, CUSTOMER_ID, SUBSCRIPTION_ID, OFFER_E3, "upgrade_only", None)
    assert read_fleet(file) == [row]


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\r\n{ROW}\r\n".encode("utf-8-sig"),
        f"{HEADER}\n\n{ROW}\n,,\n".encode(),
        f"{HEADER};name\n{ROW};\n".replace(",", ";").encode(),
        f" Customer_ID , SUBSCRIPTION_ID,target_offer_id,\n{ROW.replace(',', ' , ')},\n".encode(),
        f'{HEADER}\n"{CUSTOMER_ID}","{SUBSCRIPTION_ID}","{OFFER_E3}"'.encode(),
    ],
    ids=["byte-order mark", "empty rows", "semicolons", "spaces and cases", "quotes"],
)
def test_what_spreadsheets_write_is_read(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    (row,) = read_fleet(file)
    assert (row.customer_id, row.subscription_id, row.target_offer_id) == (CUSTOMER_ID, SUBSCRIPTION_ID, OFFER_E3)


def test_every_problem_is_named_with_its_row(file: Path) -> None:
    content = f"""{HEADER},upgrade_type,partner,name
x,,{OFFER_E3},sideways,,
{ROW},upgrade_only,emea,a

{CUSTOMER_ID},{SUBSCRIPTION_ID.upper()},{OFFER_E5},,,b
{CUSTOMER_ID},{OTHER},CFQ7TTC0LF8S:0002:CFQ7TTC0KX9G,,,a
{OTHER},{OTHER},{OFFER_E3},,,,,surplus
"""
    found = problems(file, content)
    assert [(problem.partition(":")[0], problem.partition(": ")[2][:40]) for problem in found] == [
        ("row 2", "customer_id must be a GUID such as 11111"),
        ("row 2", "subscription_id must be a GUID such as 1"),
        ("row 2", "upgrade_type must be one of upgrade_only"),
        ("row 5", "the same subscription as in row 3"),
        ("row 6", "target_offer_id is a new-commerce id. Up"),
        ("row 6", "the same name as in row 3 (a)"),
        ("row 7", "it has 8 values for 6 columns"),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["it has no upgrades: there is no row below the first"]),
        (HEADER, ["it has no upgrades: there is no row below the first"]),
        (
            "customer_id,offer,customer_id\n",
            [
                "row 1: the column subscription_id is missing",
                "row 1: the column target_offer_id is missing",
                "row 1: 'offer' is no column; the columns are customer_id, subscription_id, target_offer_id, "
                "upgrade_type, partner, name",
                "row 1: the column customer_id is there twice",
            ],
        ),
        (f"{HEADER}\n{ROW}\n".encode("utf-16"), ['it is not UTF-8: save it as "CSV UTF-8"']),
        (f"{HEADER}\n{ROW}\n".encode("utf-16-le"), ['it is not UTF-8: save it as "CSV UTF-8"']),
        (
            f"{HEADER}\n{ROW}\n" + "x" * 200_000,
            ["row 3: it can't be read (field larger than field limit (131072)), nor what follows"],
        ),
    ],
    ids=["empty", "header only", "wrong columns", "UTF-16", "UTF-16 without a mark", "no CSV"],
)
def test_a_file_that_is_not_a_fleet_is_refused(file: Path, content: str | bytes, expected: list[str]) -> None:
    assert problems(file, content) == expected


def test_a_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(FleetError, match="No such file"):
        read_fleet(file)


def test_a_long_list_of_problems_is_cut(file: Path) -> None:
    found = problems(file, f"{HEADER}\n" + "x,y,z\n" * 200)
    assert len(found) > 400
    with pytest.raises(FleetError, match=rf"and {len(found) - 100} more"):
        read_fleet(file)


# The command line


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "state.db") as emulator:
        yield emulator


@pytest.fixture
def eligibility(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `pc-provider eligibility` against the emulator, in a folder without a project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARTNERCENTER_ENDPOINT", emulator.url)

    def journal(after: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(
            f"{emulator.url}/_emulator/journal", params={"after": after}, trust_env=False
        ).json()
        return found

    def run(*arguments: object) -> Result:
        seen = max((entry["number"] for entry in journal(0)), default=0)
        result = CliRunner().invoke(cli.main, ["eligibility", *map(str, arguments)])
        assert TRACEBACK not in result.output
        assert {entry["method"] for entry in journal(seen)} <= {"GET"}
        return result

    return run


def test_the_example_is_eligible(eligibility: Any) -> None:
    result = eligibility(EXAMPLE / "fleet.csv")
    assert result.exit_code == 0
    assert "contoso-head-office" in result.output
    assert "Office 365 Enterprise E3, 25 licenses" in result.output
    assert "3 eligible. Nothing was sent." in result.output


def test_what_is_not_eligible_has_its_reason_and_fails(eligibility: Any, emulator: Emulator, file: Path) -> None:
    path = f"customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}"
    httpx.patch(f"{emulator.url}/_emulator/{path}", json={"status": "suspended"}, trust_env=False)
    file.write_text((EXAMPLE / "fleet.csv").read_text() + f"unknown,{OTHER},{OTHER},{OFFER_E3},\n")
    result = eligibility(file, "--json")
    told = json.loads(result.output)
    assert (result.exit_code, told["ok"]) == (1, False)
    assert told["counts"] == {"eligible": 2, "already upgraded": 0, "not eligible": 1, "not known": 1}
    refused, *_, unknown = told["upgrades"]
    assert refused["name"] == "contoso-head-office"
    assert "[subscription_status_not_active]" in refused["detail"]
    assert refused["remedy"].startswith("Only an active subscription can be upgraded")
    assert "request id" in unknown["detail"]
    assert unknown["remedy"]


def test_one_subscription_and_one_offer(eligibility: Any) -> None:
    result = eligibility("--customer", CUSTOMER_ID, "--subscription", SUBSCRIPTION_ID, "--offer", OFFER_E5)
    assert result.exit_code == 0
    assert "1 eligible" in result.output


def test_without_an_offer_all_that_is_offered_is_listed(eligibility: Any) -> None:
    result = eligibility("--customer", CUSTOMER_ID, "--subscription", SUBSCRIPTION_ID, "--json")
    found = {
        (one["targetOfferId"].upper(), one["upgradeType"]): one["result"]
        for one in json.loads(result.output)["upgrades"]
    }
    assert result.exit_code == 0
    assert found == {
        (OFFER_E3, "upgrade_only"): "eligible",
        (OFFER_E3, "upgrade_with_license_transfer"): "not eligible",
        (OFFER_E5, "upgrade_only"): "eligible",
        (OFFER_E5, "upgrade_with_license_transfer"): "not eligible",
    }


def test_without_an_offer_an_upgrade_that_was_made_is_told(eligibility: Any, emulator: Emulator) -> None:
    settings = Settings.load({"endpoint": emulator.url, "accessToken": "emulator"}.get, {})
    with closing(connect(settings)) as client:
        made = upgrade.perform(client, upgrade.WantedUpgrade(CUSTOMER_ID, SUBSCRIPTION_ID, OFFER_E3), timeout=30)
    result = eligibility("--customer", CUSTOMER_ID, "--subscription", SUBSCRIPTION_ID)
    assert result.exit_code == 0
    assert f"it became subscription {made.target_subscription_id}" in result.output
    assert "1 already upgraded. Nothing was sent." in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "Give either a FILE, or --customer and --subscription."),
        (("--customer", "x", "--subscription", SUBSCRIPTION_ID), 1, "customer_id must be a GUID"),
        (("--customer", CUSTOMER_ID), 1, "subscription_id must be a GUID"),
        (("--customer", CUSTOMER_ID, "--subscription", SUBSCRIPTION_ID, "--partner", "emea"), 1, "partner: 'emea'"),
        (("missing.csv",), 2, "does not exist"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(
    eligibility: Any, arguments: tuple[str, ...], code: int, text: str
) -> None:
    result = eligibility(*arguments)
    assert result.exit_code == code
    assert text in result.output


# The example, on the engine


def test_the_example_on_the_engine(new_stack: NewStack) -> None:
    stack = new_stack(EXAMPLE)
    run = stack.up().succeeded()
    assert "3 to upgrade" in run.text
    assert stack.outputs() == {"upgrades": 3}
    names = {resource["urn"].rpartition("::")[2] for resource in stack.resources()}
    assert names == {"contoso-head-office", "fabrikam", "wingtip-toys"}

    (stack.program_folder / "fleet.csv").write_text(f"{HEADER}\nx,y,z\n{ROW}\n{ROW}\n")
    refused = stack.preview().failed()
    for text in ("fleet.csv can't be used: 4 problems", "row 2: customer_id must", "row 4: the same subscription as"):
        assert text in refused.text
    assert TRACEBACK not in refused.text
