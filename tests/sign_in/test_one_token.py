"""One token for each identity of the process: asked for once, renewed before it expires and after a 401."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pc_provider.partner_center.credentials import Credential
from pc_provider.partner_center.credentials.token import Token
from pc_provider.partner_center.credentials.ways import AccessToken
from pc_provider.partner_center.errors import SignInError

from .conftest import Desk

WAY = AccessToken("x")


class Issuer:
    """Gives tokens by hand: counted, slow, refusing, and with a clock of its own."""

    def __init__(self, lifetime: float = 3600.0) -> None:
        self.lifetime = lifetime
        self.count = 0
        self.refusing = False
        self.now = 1000.0
        self.gate = threading.Event()
        self.gate.set()

    def ask(self) -> Token:
        self.count += 1
        assert self.gate.wait(10)
        if self.refusing:
            raise SignInError("no", remedy="do this", codes=[7], correlation_id="c")
        return Token(f"token-{self.count}", self.lifetime)

    def credential(self) -> Credential:
        return Credential(self.ask, WAY, clock=lambda: self.now)


def test_many_resources_ask_once(desk: Desk) -> None:
    credential = desk.credential()
    with ThreadPoolExecutor(32) as pool:
        tokens = set(pool.map(lambda _: credential.token(), range(200)))
    assert len(tokens) == 1
    assert len(desk.asked()) == 1
    assert desk.call(tokens.pop()) == 200


def test_two_credentials_of_one_identity_share_the_token(desk: Desk) -> None:
    first, second = desk.credential(), desk.credential()
    assert first.token() == second.token()
    assert len(desk.asked()) == 1
    other = desk.credential({"cloud": "china", "endpoint": desk.url})
    assert other.token() != first.token()


def test_an_identity_nobody_holds_is_forgotten(desk: Desk) -> None:
    desk.credential().token()
    gc.collect()
    desk.credential().token()
    assert len(desk.asked()) == 2


def test_a_refused_token_is_renewed_once_for_all_who_were_refused(desk: Desk) -> None:
    credential = desk.credential()
    old = credential.token()
    desk.rules(revoke=True)
    assert desk.call(old) == 401
    with ThreadPoolExecutor(16) as pool:
        tokens = set(pool.map(lambda _: credential.token(rejected=old), range(64)))
    assert len(tokens) == 1
    assert old not in tokens
    assert desk.call(tokens.pop()) == 200
    assert len(desk.asked()) == 2


def test_a_token_is_renewed_before_it_expires(desk: Desk) -> None:
    desk.rules(tokenLifetime=3600)
    now = [0.0]
    credential = desk.credential()
    credential._clock = lambda: now[0]
    old = credential.token()
    now[0] = 3299.0
    assert credential.token() == old
    now[0] = 3301.0
    assert credential.token() != old


def test_a_short_token_is_renewed_in_its_last_tenth() -> None:
    issuer = Issuer(lifetime=100)
    credential = issuer.credential()
    assert credential.token() == "token-1"
    issuer.now += 89
    assert credential.token() == "token-1"
    issuer.now += 2
    assert credential.token() == "token-2"


def test_a_renewal_that_fails_while_the_token_is_good_is_no_error() -> None:
    issuer = Issuer()
    credential = issuer.credential()
    assert credential.token() == "token-1"
    issuer.now += 3400
    issuer.refusing = True
    assert credential.token() == "token-1"
    assert credential.token() == "token-1"
    assert issuer.count == 2
    issuer.now += 31
    assert credential.token() == "token-1"
    assert issuer.count == 3
    issuer.now += 200
    with pytest.raises(SignInError):
        credential.token()


def test_those_who_waited_get_the_same_refusal_without_asking_again() -> None:
    issuer = Issuer()
    issuer.refusing = True
    issuer.gate.clear()
    credential = issuer.credential()
    errors: list[SignInError] = []
    started = threading.Barrier(9)

    def need() -> None:
        started.wait(10)
        try:
            credential.token()
        except SignInError as error:
            errors.append(error)

    threads = [threading.Thread(target=need) for _ in range(8)]
    for thread in threads:
        thread.start()
    started.wait(10)
    # All have begun; those without the lock wait for it.
    threading.Event().wait(0.2)
    issuer.gate.set()
    for thread in threads:
        thread.join(10)
    assert issuer.count == 1
    assert len(errors) == len({id(error) for error in errors}) == 8
    assert {(str(error), error.codes, error.correlation_id) for error in errors} == {
        ("Sign-in: no\nWhat to do: do this\nFor support: correlation id c", (7,), "c")
    }
    issuer.refusing = False
    assert credential.token() == "token-2"


def test_a_given_token_is_used_as_it_is_until_it_expires(desk: Desk) -> None:
    real = desk.credential().token()
    given = desk.credential({"accessToken": real})
    assert given.token() == real
    # Given back, so that the reason of the 401 is what is reported.
    assert given.token(rejected=real) == real
    assert len(desk.asked()) == 1
    desk.rules(tokenLifetime=0)
    expired = desk.credential({"cloud": "china", "endpoint": desk.url}).token()
    with pytest.raises(SignInError, match="has expired") as caught:
        desk.credential({"accessToken": expired}).token()
    assert "partnercenter:accessToken" in caught.value.remedy
    assert expired not in str(caught.value)


def test_an_opaque_given_token_is_trusted(desk: Desk) -> None:
    assert desk.call(desk.credential({"accessToken": "emulator"}).token()) == 200
