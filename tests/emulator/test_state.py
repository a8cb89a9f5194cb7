"""The state file: it survives, several processes share it, and it is arranged by the control paths."""

from __future__ import annotations

import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, OFFER_E1, OFFER_E3, SUBSCRIPTION_ID
from pc_provider.partner_center.errors import InvalidInput
from tests.emulator.conftest import Client, codes

SERVE = "import sys; from pc_provider.emulator import serve; serve(int(sys.argv[1]), sys.argv[2], sys.argv[3] == 'tls')"


class Process:
    """An emulator of its own process, as the command line runs it."""

    def __init__(self, state: Path, *, tls: bool = False) -> None:
        command = [sys.executable, "-c", SERVE, "0", str(state), "tls" if tls else "plain"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.said = ""
        while "Stop it with" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line
        self.url = self.said.partition(" is at ")[2].split()[0]
        self.ca_bundle = self.said.partition("to trust: ")[2].partition("\n")[0] or None

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said


def test_the_first_state(client: Client) -> None:
    state = client.get("/_emulator/state").json()
    assert [customer["companyName"] for customer in state["customers"]] == ["Contoso", "Fabrikam", "Wingtip Toys"]
    [held] = state["customers"][0]["subscriptions"]
    assert held == client.subscription()
    assert (state["customers"][0]["id"], held["id"], held["offerId"]) == (CUSTOMER_ID, SUBSCRIPTION_ID, OFFER_E1)
    assert client.journal()[0]["path"].endswith(SUBSCRIPTION_ID)


def test_what_is_added_is_answered(client: Client) -> None:
    answer = client.post("/_emulator/customers", json={"subscriptions": [{"offerId": OFFER_E3, "quantity": 9}, {}]})
    added = answer.json()
    [first, second] = added["subscriptions"]
    assert (first["offerId"], first["quantity"], first["status"]) == (OFFER_E3, 9, "active")
    assert second["offerId"] == OFFER_E1
    assert added in client.get("/_emulator/state").json()["customers"]
    assert client.subscription(first["id"], added["id"]) == first


def test_fields_the_emulator_does_not_know_are_kept(client: Client) -> None:
    customer, [held] = client.add({"partnerId": "12345", "renewalTermDuration": "P1Y"})
    assert client.subscription(held, customer)["renewalTermDuration"] == "P1Y"


@pytest.mark.parametrize(
    "told",
    [
        [],
        "x",
        {"id": "contoso"},
        {"subscriptions": {}},
        {"subscriptions": [1]},
        {"subscriptions": [{"id": "x"}]},
        {"subscriptions": [{"quantity": 0}]},
        {"subscriptions": [{"quantity": True}]},
        {"subscriptions": [{"status": "lost"}]},
        {"subscriptions": [{"offerId": 5}]},
        {"subscriptions": [{"emulator": {"colour": "red"}}]},
        {"subscriptions": [{"emulator": {"upgradeErrors": [12]}}]},
        {"subscriptions": [{"id": SUBSCRIPTION_ID}, {"id": SUBSCRIPTION_ID.upper()}]},
        {"id": CUSTOMER_ID, "subscriptions": [{"id": SUBSCRIPTION_ID}]},
        {"emulator": {"roles": "reader"}},
        {"emulator": 1},
    ],
)
def test_what_cannot_be_added_changes_nothing(client: Client, told: Any) -> None:
    before = client.get("/_emulator/state").json()
    answer = client.post("/_emulator/customers", json=told)
    assert answer.status_code == (201 if told == [] else 400), answer.text
    assert client.get("/_emulator/state").json() == before


def test_subscriptions_change_from_outside(client: Client) -> None:
    path = f"/_emulator/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}"
    changed = client.patch(path, json={"status": "expired", "quantity": 4}).json()
    assert (changed["status"], changed["quantity"]) == ("expired", 4)
    assert codes(client.upgrade()["upgradeErrors"]) == [2]
    suspended = client.patch(path, json={"status": "suspended"}).json()
    assert suspended["suspensionReasons"] == ["CustomerCancellation"]
    client.patch(path, json={"status": "active", "emulator": {"provisioned": False}})
    assert codes(client.upgrade()["upgradeErrors"]) == [9]
    client.patch(path, json={"emulator": {"provisioned": None}})
    assert client.upgrade()["upgradeErrors"] == []
    assert client.delete(path).status_code == 204
    assert client.get(f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}").json()["code"] == 20003
    assert client.patch(path, json={}).status_code == 404


def test_customers_change_from_outside(client: Client) -> None:
    path = f"/_emulator/customers/{CUSTOMER_ID}"
    assert client.patch(path, json={"emulator": {"roles": []}}).json()["emulator"] == {"roles": []}
    assert client.get(f"/v1/customers/{CUSTOMER_ID}").status_code == 403
    assert client.patch(path, json={"emulator": {"roles": None}}).json()["emulator"] == {}
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_reset_forgets_everything(client: Client) -> None:
    first = client.get("/_emulator/state").json()
    client.upgrade()
    client.control("faults", [{"status": 500, "times": None}])
    client.control("latency", {"seconds": 5})
    client.control("limits", {"requests": 0, "seconds": 5})
    client.control("wire", {"bom": False})
    client.control("listing", {"seconds": 5})
    assert client.post("/_emulator/reset").status_code == 200
    again = client.get("/_emulator/state").json()
    assert [customer["id"] for customer in again["customers"]] == [customer["id"] for customer in first["customers"]]
    assert again["customers"][0]["subscriptions"][0]["status"] == "active"
    assert client.journal() == client.get("/_emulator/upgrades").json() == []
    assert client.get(f"/v1/customers/{CUSTOMER_ID}").content.startswith(b"\xef\xbb\xbf")


def test_the_journal_has_every_request_in_order(client: Client) -> None:
    client.get("/v1/nothing", headers={"Authorization": ""})
    client.upgrade(headers={"ms-requestid": "r1", "ms-correlationid": "c1"})
    lines = client.journal()
    assert [(line["method"], line["status"], line["accepted"]) for line in lines] == [
        ("GET", 401, False),
        ("POST", 200, True),
    ]
    assert (lines[1]["requestId"], lines[1]["correlationId"]) == ("r1", "c1")
    assert lines[0]["time"] < lines[1]["time"]
    assert lines[0]["time"].endswith("Z")
    assert client.get(f"/_emulator/journal?after={lines[0]['number']}").json() == lines[1:]


def test_the_state_survives(state: Path) -> None:
    with Emulator(state) as emulator, Client(emulator) as client:
        target = client.upgrade()["targetSubscriptionId"]
        client.control("faults", [{"status": 503}])
        lines = client.journal()
    with Emulator(state) as emulator, Client(emulator) as client:
        assert client.journal() == lines
        assert client.get("/v1/customers").status_code == 503
        assert client.subscription(target)["status"] == "active"
    assert emulator.url


def test_a_request_that_did_not_arrive_whole_is_none(emulator: Emulator, client: Client) -> None:
    body = b'{"targetOffer":{"id":"%s"},"upgradeType":1}' % OFFER_E3.encode()
    head = (
        f"POST /v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}/upgrades HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer emulator\r\nContent-Type: application/json\r\nContent-Length: {len(body) + 1}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode() + body)
    assert client.subscription()["status"] == "active"
    assert [line["method"] for line in client.journal()] == ["GET"]


def test_memory_is_its_own(client: Client) -> None:
    with Emulator() as emulator, Client(emulator) as own:
        own.upgrade()
        assert client.subscription()["status"] == "active"


def test_two_servers_of_one_state(state: Path) -> None:
    with Emulator(state) as one, Emulator(state) as two, Client(one) as first, Client(two) as second:
        first.control("limits", {"requests": 3, "seconds": 60, "path": "/customers$"})
        asked = [client.get("/v1/customers").status_code for client in (first, second, first, second)]
        assert asked == [200, 200, 200, 429]
        assert first.upgrade()["upgradeErrors"] == []
        assert codes(second.upgrade()["upgradeErrors"]) == [2]
        assert first.journal() == second.journal()


def test_of_several_processes_that_upgrade_one_subscription_one_wins(state: Path) -> None:
    processes = [Process(state) for _ in range(3)]
    bodies = {"targetOffer": {"id": OFFER_E3}, "upgradeType": 1}
    try:
        with httpx.Client(trust_env=False, headers={"Authorization": "Bearer emulator"}, timeout=60) as client:
            held = client.post(
                f"{processes[0].url}/_emulator/customers",
                json=[{"subscriptions": [{"offerId": OFFER_E1}]} for _ in range(8)],
            ).json()

            def upgrade(number: int) -> int:
                url, customer = processes[number % 3].url, held[number // 6]
                path = f"/v1/customers/{customer['id']}/subscriptions/{customer['subscriptions'][0]['id']}/upgrades"
                answer = client.post(url + path, json=bodies)
                return int(b"targetSubscriptionId" in answer.content)

            with ThreadPoolExecutor(12) as pool:
                won = sum(pool.map(upgrade, range(48)))
            journal = client.get(f"{processes[1].url}/_emulator/journal").json()
    finally:
        ended = [process.end(signal.SIGTERM) for process in processes]
    assert won == sum(line["accepted"] for line in journal) == 8
    assert len(journal) == 48
    assert all(code == 0 and "Traceback" not in said for code, said in ended)


def test_an_upgrade_that_was_performed_is_in_the_journal_whatever_dies(state: Path) -> None:
    process = Process(state)
    with httpx.Client(base_url=process.url, trust_env=False, headers={"Authorization": "Bearer emulator"}) as client:
        client.post("/_emulator/faults", json=[{"kind": "delay", "when": "after", "seconds": 60}])
        path = f"/v1/customers/{CUSTOMER_ID}/subscriptions/{SUBSCRIPTION_ID}/upgrades"
        body = {"targetOffer": {"id": OFFER_E3}, "upgradeType": 1}

        def send() -> None:
            with pytest.raises(httpx.TransportError):
                client.post(path, json=body, timeout=60)

        sender = threading.Thread(target=send)
        sender.start()
        while not any(
            line["accepted"] for line in httpx.get(f"{process.url}/_emulator/journal", trust_env=False).json()
        ):
            pass
        process.end(signal.SIGKILL)
        sender.join()
    with Emulator(state) as emulator, Client(emulator) as again:
        assert again.subscription()["status"] == "suspended"
        assert [line["accepted"] for line in again.journal() if line["method"] == "POST"] == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_how_to_reach_it_and_ends_cleanly(state: Path, number: int) -> None:
    process = Process(state, tls=True)
    assert process.url.startswith("https://127.0.0.1:")
    assert process.ca_bundle == f"{state}.ca.pem"
    trusted = ssl.create_default_context(cafile=process.ca_bundle)
    command = next(line for line in process.said.splitlines() if line.strip().startswith("curl"))
    assert f"--cacert {process.ca_bundle}" in command
    with httpx.Client(verify=trusted, trust_env=False) as client:
        url = command.split()[-1]
        assert client.get(url, headers={"Authorization": "Bearer emulator"}).status_code == 200
        code, said = process.end(number)
    assert (code, said) == (0, "Stopped; the state stays.\n")


def test_the_authority_is_made_once_and_its_key_is_private(state: Path) -> None:
    certificates = []
    for _ in range(2):
        with Emulator(state, tls=True) as emulator, Client(emulator) as client:
            assert client.get("/v1/customers").status_code == 200
            assert emulator.ca_bundle is not None
            certificates.append(Path(emulator.ca_bundle).read_bytes())
    assert certificates[0] == certificates[1]
    assert stat.S_IMODE(Path(f"{state}.ca.key").stat().st_mode) == 0o600


def test_a_port_in_use_is_a_clear_error(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port: {port} can't be used"):
            Emulator(state, port).start()


def test_a_state_that_is_no_state_is_a_clear_error(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("not a database, and long enough to be looked at " * 20)
    for path in (other, tmp_path, Path("/proc/nothing/state.db")):
        with pytest.raises(InvalidInput, match="can't be used as the emulator's state"):
            Emulator(path).start()


def test_importing_the_emulator_loads_nothing_heavy() -> None:
    code = (
        "import sys, pc_provider.emulator; heavy = {'uvicorn', 'msgspec', 'sqlite3', 'ssl', 'asyncio', 'cryptography',"
        " 'trustme', 'httpx', 'msal'} & set(sys.modules); sys.exit(', '.join(sorted(heavy)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
