"""The story that `make demo` tells: preview, perform, remember and refuse one upgrade, on the real Pulumi engine.

It uses the project's root `Pulumi.yaml` and an emulated Partner Center, needs no credentials, keeps everything in the
ignored folder `.demo`, and can be repeated. Exit code 1, and a sentence, when a step does not go as told.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import OFFER_E5, SUBSCRIPTION_ID

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.pulumi.engine import Engine, recorded  # noqa: E402  (found by the line above)

STACK = "make-demo"
FOLDER = ROOT / ".demo"
SETTINGS = ROOT / f"Pulumi.{STACK}.yaml"
SECONDS = 120.0

# A developer's own shell must not steer the demo to another backend or to the real Partner Center.
FOREIGN = ("PULUMI_", "PARTNERCENTER_", "ARM_", "AZURE_")


class NotAsTold(Exception):
    """A step did not do what the story says; the text says which."""


def expect(fact: bool, otherwise: str) -> None:
    """Raises NotAsTold with *otherwise* unless *fact*."""
    if not fact:
        raise NotAsTold(otherwise)


@dataclass
class Demo:
    """The stack, and a second window on the emulator's state."""

    engine: Engine
    emulator: Emulator
    state: Path

    def tell(self, text: str) -> None:
        """Print a paragraph of the story."""
        print("\n" + textwrap.fill(text, 100, break_on_hyphens=False), flush=True)

    def pulumi(self, *arguments: str, show: bool = True) -> tuple[int, str]:
        """Run Pulumi in the project's root, showing its output as it comes; exit code and output."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        environment |= {
            "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), self.engine.path(os.environ.get("PATH", ""))]),
            "PULUMI_HOME": str(FOLDER / "pulumi"),
            "PULUMI_BACKEND_URL": f"file://{FOLDER / 'stacks'}",
            "PULUMI_CONFIG_PASSPHRASE": "demo",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PARTNERCENTER_EMULATOR_STATE": str(self.state),
        }
        if show:
            print(f"\n$ pulumi {' '.join(arguments)}", flush=True)
        extra = ["--suppress-progress"] if arguments[0] in ("preview", "up", "destroy") else []
        colour = "always" if sys.stdout.isatty() else "never"
        process = subprocess.Popen(
            ["pulumi", *arguments, *extra, "--stack", STACK, "--non-interactive", "--color", colour],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None  # noqa: S101  (asked for one line up; for the type checker)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if show and line.strip():
                print(f"    {line.rstrip()}", flush=True)
        return process.wait(timeout=SECONDS), "".join(lines)

    def ask(self, path: str) -> Any:
        """What a control path of the emulator answers."""
        with urllib.request.urlopen(f"{self.emulator.url}{path}", timeout=10) as answer:  # noqa: S310  (loopback)
            return json.load(answer)

    def requests(self) -> tuple[int, int]:
        """How many requests reached Partner Center so far, and how many of them upgraded something."""
        journal = self.ask("/_emulator/journal")
        return len(journal), sum(bool(entry["accepted"]) for entry in journal)

    def status(self, subscription_id: str) -> str | None:
        """A subscription's status as Partner Center has it."""
        for customer in self.ask("/_emulator/state")["customers"]:
            for subscription in customer["subscriptions"]:
                if subscription["id"].lower() == subscription_id.lower():
                    return str(subscription["status"])
        return None

    def story(self) -> None:
        """Tell it.

        Raises:
            NotAsTold: at the first step that behaves otherwise.
        """
        code, text = self.pulumi("stack", "init", show=False)
        expect(code == 0, f"`pulumi stack init` failed:\n{text}")

        self.tell(f"1. A preview: subscription {SUBSCRIPTION_ID} can be upgraded, and nothing is upgraded yet.")
        code, text = self.pulumi("preview")
        expect(code == 0, "the preview failed")
        expect("1 to upgrade" in text, "the preview does not show one upgrade to make")
        _, upgrades = self.requests()
        expect(upgrades == 0, "the preview upgraded something")

        self.tell("2. The update makes the upgrade, once.")
        code, _ = self.pulumi("up", "--yes", "--skip-preview")
        expect(code == 0, "the update failed")
        code, text = self.pulumi("stack", "output", "--json", show=False)
        outputs = json.loads(text) if code == 0 else {}
        target = str(outputs.get("targetSubscriptionId"))
        expect(outputs.get("sourceSubscriptionId") == SUBSCRIPTION_ID, "the outputs do not show the source id")
        expect(self.status(target) == "active", "the outputs do not show the id of an active target")
        expect(self.status(SUBSCRIPTION_ID) == "suspended", "the source is not suspended")
        count, upgrades = self.requests()
        expect(upgrades == 1, f"{upgrades} upgrades were accepted, not one")
        self.tell(f"Partner Center saw {count} requests and accepted one upgrade: {SUBSCRIPTION_ID} became {target}.")

        self.tell("3. The same again: there is nothing to do.")
        code, text = self.pulumi("up", "--yes")
        expect(code == 0, "the second update failed")
        expect("2 unchanged" in text, "the second update changed something")
        expect(self.requests() == (count, 1), "the second update sent requests")
        self.tell(f"No request was sent: Partner Center has still seen {count}.")

        self.tell("4. The program now names another offer, E5. That is refused before anything is sent.")
        code, _ = self.pulumi("config", "set", "targetOfferId", OFFER_E5)
        expect(code == 0, "the configuration could not be changed")
        for command in (("preview",), ("up", "--yes")):
            code, text = self.pulumi(*command)
            name = f"`pulumi {' '.join(command)}`"
            expect(code != 0, f"{name} did not refuse another offer")
            expect("Traceback" not in text, f"{name} shows a traceback")
            for fact in (SUBSCRIPTION_ID, target, OFFER_E5, "What to do:"):
                expect(fact in text, f"the refusal of {name} does not say {fact}")
        expect(self.requests() == (count, 1), "a refused update sent requests")
        self.tell(f"No request was sent: Partner Center has still seen {count}.")

        self.tell("5. Destroying the stack only forgets the record.")
        code, text = self.pulumi("destroy", "--yes")
        expect(code == 0, "the destroy failed")
        expect("can't be undone" in text and "active and billed" in text, "the destroy does not say what stays")
        expect(self.status(target) == "active", "the target is not active any more")
        expect(self.requests() == (count, 1), "the destroy sent requests")
        self.tell(f"Partner Center has still seen {count} requests, and {target} is still active.")


def main() -> int:
    """Tell the story in a fresh folder; exit code 1 when it does not go as told."""
    started = time.monotonic()
    engine = recorded(ROOT)
    if engine is None:
        print("demo: there is no engine yet: run `make demo`", file=sys.stderr)
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "stacks").mkdir(parents=True)
    SETTINGS.unlink(missing_ok=True)
    state = FOLDER / "partner-center.sqlite"
    try:
        with Emulator(state) as emulator:
            Demo(engine, emulator, state).story()
    except NotAsTold as failure:
        print(f"\ndemo: not as told: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    finally:
        SETTINGS.unlink(missing_ok=True)
    print(f"\nThat was the whole story ({time.monotonic() - started:.0f} s). What it left is in {FOLDER.name}/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
