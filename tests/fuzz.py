"""
Bad input by the thousand: ``python -m tests.fuzz [--inputs 20000] [--seed 0] [target ...]``.

A target takes one input, made from a ``Random``, and raises when the code under it does anything but accept the input
or refuse it with its own error. The suite runs each target a thousand times (``test_fuzz``); this, many more. A failure
names the seed that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from pc_provider.partner_center import media, models
from pc_provider.partner_center.errors import InvalidInput
from tests.emulator.bad_input import emulator
from tests.partner_center import strategies

Target = Callable[[Random], None]

CONTENT_TYPES = [
    *media.REQUEST_TYPES,
    "",
    "text/html",
    "application/json; charset=utf-16",
    "text/xml; charset=latin1",
    "\x00",
]

TOKENS = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\u0000", b"\\ud800", b"null", b"NaN", b"1e999", b"-0", b"9" * 30),
    *(
        b"<",
        b">",
        b"</",
        b"/>",
        b"<!DOCTYPE a>",
        b"<![CDATA[",
        b"]]>",
        b"&lt;",
        b"&#0;",
        b"&#x110000;",
        b"<?x ?>",
        b'xmlns=""',
    ),
    *(b' type="array"', b' type="number"', b' encoding="json"', b' key="x"', b' xmlns:i="u"', b"i:nil"),
    *(b"=", b"&", b".", b"[0]", b"[]", b"[1000000000]", b'["', b"%", b"%00", b"%FF", b"+", b"$types=", b"{}"),
    *(b"\x00", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xff", b"\r\n", b" " * 20),
]

SCALARS: list[Any] = [
    *(None, True, False, 0, 1, 2, 17, -1, 2**70, 1.0, 2.5, 1e300, -0.0),
    *(
        "",
        " ",
        "1",
        "true",
        "upgrade_only",
        "UpgradeOnly",
        "25.0",
        "1e5",
        "nan",
        "2024-05-01T00:00:00Z",
        "\x00\ud800",
        "é",
    ),
]


def names(cls: Any) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(cls)]


ODD_KEYS = ["", "$types", "item", "a b", "ITEMS", "x"]
KEYS = [*ODD_KEYS, *sorted({name for cls in strategies.DEFINITIONS for name in names(cls)})]


def some_tree(random: Random, keys: list[str], depth: int = 0) -> Any:
    """An object of *keys*, below it any that occur, with values that may or may not belong to them."""
    kind = random.random() if depth else 1
    if depth > 5 or kind < 0.4:
        return random.choice(SCALARS)
    if kind < 0.55:
        return [some_tree(random, KEYS, depth + 1) for _ in range(random.randrange(4))]
    chosen = (random.choice(keys) for _ in range(random.randrange(5)))
    return {random.choice((str, spelled_out))(key): some_tree(random, KEYS, depth + 1) for key in chosen}


def spelled_out(key: str) -> str:
    return key[:1].upper() + key[1:]


def mutated(random: Random, body: bytes) -> bytes:
    """*body* after a few accidents: cut, repeated, overwritten, interleaved, in another encoding."""
    for _ in range(random.randrange(6)):
        start = random.randrange(len(body) + 1)
        end = min(len(body), start + random.choice((0, 1, 2, 8, 64)))
        body = (
            body[:start]
            + random.choice((b"", random.choice(TOKENS), bytes(random.choices(range(128), k=2)), body[start:end] * 2))
            + body[end:]
        )
    if random.random() < 0.1:
        body = body.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig")))
    if random.random() < 0.02:
        body = random.choice(TOKENS) * random.choice((70, 5000)) + body
    return body


def some_body(random: Random, cls: Any) -> tuple[bytes, str]:
    """A body about *cls* and the content type it comes with, which mostly but not always is its own."""
    media_type = random.choice(media.REQUEST_TYPES)
    body = media.encode(some_tree(random, [*ODD_KEYS, *names(cls) * 2]), media_type, "Upgrade")
    if random.random() < 0.7:
        body = mutated(random, body)
    return body, media_type if random.random() < 0.9 else random.choice(CONTENT_TYPES)


def readers(random: Random) -> None:
    """Any body is read or refused as unreadable, and what was read can be written and read again."""
    cls = random.choice(strategies.DEFINITIONS)
    body, content_type = some_body(random, cls)
    try:
        value = models.read(cls, media.decode(body, content_type))
    except models.Unreadable:
        return
    again = random.choice(media.REQUEST_TYPES)
    try:
        sent = media.encode(models.write(value), again, cls.__name__)
    except InvalidInput:
        # One item in the place of a list becomes a list, which can be one level too many.
        return
    assert repr(models.read(cls, media.decode(sent, again))) == repr(value)


TARGETS: dict[str, Target] = {"readers": readers, "emulator": emulator}


def run(name: str, inputs: int, seed: int = 0) -> None:
    """Give *name* its *inputs*, one for each seed from *seed* on."""
    for number in range(seed, seed + inputs):
        try:
            TARGETS[name](Random(number))
        except Exception as error:
            raise AssertionError(f"{name}: repeat with --seed {number} --inputs 1 {name}") from error


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feed bad input to every reader.")
    parser.add_argument("--inputs", type=int, default=20_000, help="inputs for each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all of them by default")
    arguments = parser.parse_args()
    for name in arguments.targets or TARGETS:
        if name not in TARGETS:
            parser.error(f"no target {name!r}; there are {', '.join(TARGETS)}")
        start = time.monotonic()
        run(name, arguments.inputs, arguments.seed)
        print(f"{name}: {arguments.inputs} inputs in {time.monotonic() - start:.0f} s, none of them a surprise")
    return 0


if __name__ == "__main__":
    sys.exit(main())
