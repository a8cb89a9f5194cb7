"""A person's first consent: by a code on another machine, or by this machine's browser and back."""

from __future__ import annotations

import html
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CLIENT_SECRET
from pc_provider.login import sign_in
from pc_provider.partner_center.credentials.token import claims
from pc_provider.partner_center.errors import PartnerCenterError, SignInError
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings

from .conftest import Desk


def quiet(text: str) -> None:
    """Says nothing."""


Fields = dict[str, str]


def browser(desk: Desk, *, before: Callable[[str, Fields], None] = lambda *_: None) -> Callable[[str], None]:
    """A browser: opens the address and sends the form that comes back; in a thread, as a real one would."""

    def visit(address: str) -> None:
        answer = desk.transport.send("GET", address)
        assert answer.status == 200, answer.body
        page = html.unescape(answer.body.decode())
        back = re.findall(r'action="([^"]+)"', page)[0]
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page))
        before(back, fields)
        send(back, fields)

    def browse(address: str) -> None:
        threading.Thread(target=visit, args=[address], daemon=True).start()

    return browse


def send(url: str, fields: Fields | None = None) -> tuple[int, str]:
    """What the receiver answers to a form, or to an address without one."""
    content = urlencode(fields).encode() if fields is not None else None
    try:
        with urllib.request.urlopen(url, content, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("secret", ["", CLIENT_SECRET])
def test_by_this_machines_browser(desk: Desk, everything_logged: pytest.LogCaptureFixture, secret: str) -> None:
    settings = desk.settings({"clientSecret": secret} if secret else {})
    answer = sign_in(settings, desk.transport, device_code=False, say=quiet, browse=browser(desk))
    token = answer["refresh_token"]
    person = desk.credential({"refreshToken": token, "clientSecret": secret})
    said = claims(person.token())
    assert said["scp"] == "user_impersonation"
    assert desk.call(person.token()) == 200
    for secret_text in (token, answer["access_token"], answer["id_token"]):
        assert secret_text not in everything_logged.text


def test_only_the_answer_to_this_sign_in_is_taken(desk: Desk, everything_logged: pytest.LogCaptureFixture) -> None:
    seen = []

    def forged(back: str, fields: Fields) -> None:
        state = fields["state"]
        for other in ({}, {"code": "evil"}, {"code": "evil", "state": "guess"}, {"code": "evil", "state": state[:-1]}):
            seen.append(send(back, other))
        seen.append(send(f"{back}/favicon.ico"))
        seen.append(send(f"{back}/?code=evil&state=guess"))

    answer = sign_in(desk.settings(), desk.transport, device_code=False, say=quiet, browse=browser(desk, before=forged))
    assert answer["refresh_token"]
    assert [status for status, _ in seen] == [404] * 6
    assert all("terminal" in text for _, text in seen)


def test_a_person_who_declines_in_the_browser(desk: Desk) -> None:
    def decline(address: str) -> None:
        asked = parse_qs(urlsplit(address).query)
        fields = {"error": "access_denied", "error_description": "AADSTS65004: no", "state": asked["state"][0]}
        threading.Thread(target=send, args=[asked["redirect_uri"][0], fields], daemon=True).start()

    with pytest.raises(SignInError) as caught:
        sign_in(desk.settings(), desk.transport, device_code=False, say=quiet, browse=decline)
    assert caught.value.codes == (65004,)
    assert desk.asked() == []


@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_by_device_code(desk: Desk, everything_logged: pytest.LogCaptureFixture, answer: str) -> None:
    said: list[str] = []

    def person(text: str) -> None:
        said.append(text)
        code = text.rsplit(" ", 1)[-1]
        desk.control("POST", "device-codes", {"userCode": code, "answer": answer})

    if answer == "deny":
        with pytest.raises(SignInError) as caught:
            sign_in(desk.settings(), desk.transport, device_code=True, say=person)
        assert caught.value.codes == (65004,)
        return
    given = sign_in(desk.settings(), desk.transport, device_code=True, say=person)
    assert said[0].startswith(f"Open {desk.url}/devicelogin in a browser and enter the code ")
    assert desk.call(desk.credential({"refreshToken": given["refresh_token"]}).token()) == 200
    assert given["refresh_token"] not in everything_logged.text


def test_over_plain_http_the_addresses_shown_are_plain(transport: Transport) -> None:
    with Emulator() as emulator:
        settings = Settings.load({"endpoint": emulator.url}.get, {})
        seen = []

        def stop(address: str) -> None:
            seen.append(address)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sign_in(settings, transport, device_code=False, say=quiet, browse=stop)
        assert seen[0].startswith(f"{emulator.url}/")


def test_an_app_that_is_not_configured_is_asked_for(transport: Transport) -> None:
    with pytest.raises(PartnerCenterError, match="the app to sign in to is not configured") as caught:
        sign_in(Settings(), transport, device_code=True, say=quiet)
    assert "partnercenter:clientId" in caught.value.remedy


def test_a_port_that_is_taken_is_named(desk: Desk) -> None:
    taken = int(desk.url.rsplit(":", 1)[1])
    with pytest.raises(PartnerCenterError, match=f"port {taken} of this machine can't be used") as caught:
        sign_in(desk.settings(), desk.transport, device_code=False, port=taken, say=quiet)
    assert "--port" in caught.value.remedy
