"""A certificate in any of its shapes signs the app in, and every way it can be wrong is named."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pc_provider.partner_center.credentials import credential
from pc_provider.partner_center.errors import SignInError
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings

from .authorities import Certificate, form_of, issuing
from .conftest import APP, TENANT, Answer, Answering, Asked

Serve = Callable[[Callable[[Asked], Answer]], Answering]
PASSWORD = "canary-password"


@pytest.fixture(scope="module")
def own() -> Certificate:
    return Certificate()


def ask(url: str, certificate: str, password: str = "") -> str:
    values = {
        "endpoint": url,
        "tenantId": TENANT,
        "clientId": APP,
        "clientCertificate": certificate,
        "clientCertificatePassword": password,
    }
    transport = Transport()
    try:
        return credential(Settings.load(values.get, {}), transport).token()
    finally:
        transport.close()


Shape = Callable[[Certificate, Path], tuple[str, str]]


def pem_text(own: Certificate, _: Path) -> tuple[str, str]:
    return own.key_pem() + own.pem(), ""


def pem_text_in_one_line(own: Certificate, _: Path) -> tuple[str, str]:
    return (own.pem() + own.key_pem()).replace("\n", "\\n"), ""


def pem_text_with_password(own: Certificate, _: Path) -> tuple[str, str]:
    return own.key_pem(PASSWORD) + own.pem(), PASSWORD


def pem_file_with_other_certificates(own: Certificate, folder: Path) -> tuple[str, str]:
    (folder / "app.pem").write_text(Certificate().pem() + own.pem() + own.key_pem())
    return str(folder / "app.pem"), ""


def pfx_file(own: Certificate, folder: Path) -> tuple[str, str]:
    (folder / "app.pfx").write_bytes(own.pfx(PASSWORD))
    return str(folder / "app.pfx"), PASSWORD


def pfx_text(own: Certificate, _: Path) -> tuple[str, str]:
    return base64.b64encode(own.pfx()).decode(), ""


def pfx_text_in_lines(own: Certificate, _: Path) -> tuple[str, str]:
    return base64.encodebytes(own.pfx(PASSWORD)).decode(), PASSWORD


@pytest.mark.parametrize(
    "shape",
    [
        pem_text,
        pem_text_in_one_line,
        pem_text_with_password,
        pem_file_with_other_certificates,
        pfx_file,
        pfx_text,
        pfx_text_in_lines,
    ],
)
def test_the_assertion_is_signed_by_the_certificates_key(
    answering: Serve, tmp_path: Path, own: Certificate, shape: Shape
) -> None:
    served = answering(issuing())
    assert ask(served.url, *shape(own, tmp_path)) == "t"
    form = form_of(served.asked[-1])
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    claims = own.check(form["client_assertion"])
    assert claims["iss"] == claims["sub"] == APP
    assert claims["aud"].endswith(f"/{TENANT}/oauth2/v2.0/token")
    assert 0 < claims["exp"] - time.time() <= 3600


@pytest.mark.parametrize(
    ("text", "password", "reason"),
    [
        (lambda: Certificate().pem(), "", "holds no private key"),
        (lambda: Certificate().key_pem(), "", "holds no certificate"),
        (lambda: Certificate().key_pem() + Certificate().pem(), "", "none of its certificates belongs"),
        (lambda: (lambda own: own.key_pem() + own.pem())(Certificate(elliptic=True)), "", "not an RSA key"),
        (lambda: (lambda own: own.key_pem() + own.pem())(Certificate(days=-1)), "", "expired on"),
        (lambda: (lambda own: own.key_pem("p") + own.pem())(Certificate()), "", "needed and not configured"),
        (lambda: (lambda own: own.key_pem("p") + own.pem())(Certificate()), PASSWORD, "does not open it"),
        (lambda: base64.b64encode(Certificate().pfx("p")).decode(), PASSWORD, "does not open it"),
        (lambda: base64.b64encode(Certificate().pfx("p")).decode(), "", "clientCertificatePassword"),
        (lambda: "-----BEGIN PRIVATE KEY-----\ncanary-password\n-----BEGIN CERTIFICATE-----\nx", "", "neither PEM nor"),
        (lambda: base64.b64encode(b"\x30canary-password" + bytes(400)).decode(), "", "neither PEM nor PFX"),
    ],
)
def test_what_is_wrong_is_named(answering: Serve, text: Callable[[], str], password: str, reason: str) -> None:
    served = answering(issuing())
    with pytest.raises(SignInError) as caught:
        ask(served.url, text(), password)
    assert reason in str(caught.value)
    assert "partnercenter:clientCertificate" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert all("token" not in asked.path.rsplit("/", 1)[-1] for asked in served.asked)


def test_a_key_is_in_no_log(answering: Serve, own: Certificate, everything_logged: pytest.LogCaptureFixture) -> None:
    ask(answering(issuing()).url, own.key_pem(PASSWORD) + own.pem(), PASSWORD)
    assert PASSWORD not in everything_logged.text
    assert "PRIVATE KEY" not in everything_logged.text
