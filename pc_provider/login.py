"""
``pc-provider login``: a person consents once, with MFA, and leaves a refresh token (the Secure Application Model).

The token goes to the stack's secrets over standard input, or with ``--print`` to standard output; it is never an
argument and never on the screen otherwise.
"""

from __future__ import annotations

import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pc_provider.partner_center.credentials.asking import App, token_of
from pc_provider.partner_center.credentials.token import claims
from pc_provider.partner_center.credentials.ways import (
    AppUser,
    ClientCertificate,
    ClientSecret,
    WorkloadIdentity,
)
from pc_provider.partner_center.errors import PartnerCenterError, SignInError, printable
from pc_provider.partner_center.transport import Transport
from pc_provider.settings import Settings, reachable
from pc_provider.stack import read_settings, store_secret

__all__ = ["run", "sign_in"]

TIMEOUT = 600.0
MAX_BYTES = 64 * 1024
DONE = "Signed in. You can close this window and go back to the terminal."
NOT_DONE = "This did not complete the sign-in. Go back to the terminal."

Say = Callable[[str], None]


def run(*, stack: str | None, partner: str | None, device_code: bool, port: int, print_token: bool) -> None:
    """Signs a person in and stores the refresh token. Raises :class:`PartnerCenterError`."""
    settings, _ = read_settings(stack, partner)
    settings = reachable(settings)
    transport = Transport(ca_bundle=settings.ca_bundle, max_connections=2)
    try:
        answer = sign_in(settings, transport, device_code=device_code, port=port, say=_say)
    finally:
        transport.close()
    refresh_token = answer["refresh_token"]
    _introduce(answer)
    if print_token:
        sys.stdout.write(f"{refresh_token}\n")
        return
    store_secret("refreshToken", refresh_token, stack=stack, partner=partner)
    entry = f"partnercenter:partners.{partner}.refreshToken" if partner else "partnercenter:refreshToken"
    _say(f"The refresh token is stored as the secret {printable(entry, 120)}. It ends 90 days after its last renewal.")


def sign_in(
    settings: Settings,
    transport: Transport,
    *,
    device_code: bool,
    port: int = 0,
    say: Say,
    browse: Callable[[str], object] = webbrowser.open,
) -> dict[str, Any]:
    """
    msal's answer, which holds a refresh token.

    *device_code* shows a code for a browser on any machine; otherwise the browser of this one is opened by *browse*
    and comes back to *port* of this machine. Raises :class:`SignInError`.
    """
    app = _app(settings, transport, device_code)
    answer = _by_device_code(app, say) if device_code else _by_browser(app, port, say, browse)
    token_of(answer, origin=app.origin)
    if not answer.get("refresh_token"):
        raise SignInError(
            "the sign-in gave no refresh token",
            remedy="Allow the app the permission offline_access in its registration.",
        )
    return answer


def _app(settings: Settings, transport: Transport, device_code: bool) -> App:
    way = settings.sign_in
    proof = way.client if isinstance(way, AppUser) else way
    if isinstance(proof, ClientSecret | ClientCertificate | WorkloadIdentity):
        # A code entered on another machine is for public clients; the app's own proof has no place there.
        return App(proof.tenant_id, proof.client_id, None if device_code else proof, settings, transport)
    if settings.tenant_id is None or settings.client_id is None:
        raise PartnerCenterError(
            "the app to sign in to is not configured",
            attempted="Login",
            remedy="Set it first: `pulumi config set partnercenter:tenantId …` and "
            "`pulumi config set partnercenter:clientId …`; a confidential app needs its clientSecret or "
            "clientCertificate too.",
        )
    return App(settings.tenant_id, settings.client_id, None, settings, transport)


def _by_device_code(app: App, say: Say) -> dict[str, Any]:
    flow = app.ask("initiate_device_flow", scopes=app.scopes)
    if "user_code" not in flow:
        token_of(flow, origin=app.origin)
    address = printable(flow.get("verification_uri") or flow.get("verification_url"), 200)
    say(f"Open {app.web.to_http(address)} in a browser and enter the code {printable(flow['user_code'], 40)}")
    return app.ask("acquire_token_by_device_flow", flow)


def _by_browser(app: App, port: int, say: Say, browse: Callable[[str], object]) -> dict[str, Any]:
    with _Receiver(port) as receiver:
        redirect = f"http://localhost:{receiver.port}"
        # The code comes in a form's body, so that it stays out of the browser's history.
        flow = app.ask(
            "initiate_auth_code_flow",
            app.scopes,
            redirect_uri=redirect,
            prompt="select_account",
            response_mode="form_post",
        )
        receiver.state = flow["state"]
        address = app.web.to_http(flow["auth_uri"])
        say(f"A browser opens to sign in. If none does, open this address on this machine:\n{printable(address, 4000)}")
        browse(address)
        came_back = receiver.wait(TIMEOUT)
    return app.ask("acquire_token_by_auth_code_flow", flow, came_back)


class _Receiver:
    """Listens on this machine for the browser's way back; takes only an answer to this sign-in (its *state*)."""

    def __init__(self, port: int) -> None:
        self.state = ""
        self._answer: dict[str, str] = {}
        self._came = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                self._take(urlsplit(self.path).query)

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                known = length.isdecimal() and int(length) <= MAX_BYTES
                self._take(self.rfile.read(int(length)).decode("ascii", "replace") if known else "")

            def _take(self, form: str) -> None:
                fields = {name: values[0] for name, values in parse_qs(form).items()}
                mine = bool(receiver.state) and fields.get("state") == receiver.state and not receiver._came.is_set()
                text = (DONE if mine and "code" in fields else NOT_DONE).encode()
                self.send_response(200 if mine else 404)
                for name, value in (
                    ("Content-Type", "text/plain; charset=utf-8"),
                    ("Content-Length", str(len(text))),
                    ("Cache-Control", "no-store"),
                    ("Referrer-Policy", "no-referrer"),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)
                if mine:
                    receiver._answer = fields
                    receiver._came.set()

            def log_message(self, *args: object) -> None:
                """Nothing: an address may hold the code."""

        try:
            self._server = HTTPServer(("127.0.0.1", port), Handler)
        except (OSError, OverflowError) as error:
            raise PartnerCenterError(
                f"port {port} of this machine can't be used ({getattr(error, 'strerror', None) or error})",
                attempted="Login",
                remedy="Name another with --port, or use --device-code.",
            ) from None
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> _Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> dict[str, str]:
        """What the browser brought. Raises :class:`SignInError` when it does not come back in time."""
        deadline = time.monotonic() + seconds
        # Waiting in short steps lets ^C through.
        while not self._came.wait(0.2):
            if time.monotonic() > deadline:
                raise SignInError(
                    f"the browser did not come back within {seconds:g} s",
                    remedy="Run it again, or use --device-code where this machine has no browser.",
                )
        return self._answer


def _introduce(answer: dict[str, Any]) -> None:
    said = {**answer.get("id_token_claims", {}), **claims(answer.get("access_token", ""))}
    person = said.get("preferred_username") or said.get("upn") or said.get("name") or "a person"
    _say(f"Signed in as {printable(person, 120)} in tenant {printable(said.get('tid', '?'), 80)}.")
    methods = said.get("amr")
    if isinstance(methods, list) and "mfa" not in methods:
        _say(
            "Warning: this sign-in was made without MFA, and Partner Center will refuse it (code 900421). "
            "Require MFA for the account, then run `pc-provider login` again."
        )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
