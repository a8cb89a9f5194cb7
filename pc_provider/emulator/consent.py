"""
A person's part of the sign-in: the browser's redirect and the device code.

The person is always willing: a browser that opens the authorization address is sent back with a code at once, and the
page for device codes has two buttons.
"""

from __future__ import annotations

import html
import secrets
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from pc_provider.emulator import entra
from pc_provider.emulator.entra import Refusal
from pc_provider.emulator.exchange import Answer, Request, plain
from pc_provider.emulator.store import Store, decode, encode

Tree = dict[str, Any]

CODE_SECONDS = 600
DEVICE_CODE_SECONDS = 900
HTML = "text/html; charset=utf-8"


def authorize(store: Store, request: Request, tenant: str) -> Answer:
    """The authorization endpoint: back to the client with a code, by redirect or by a form that posts itself."""
    fields = request.query if request.method == "GET" else request.form()
    redirect = fields.get("redirect_uri", "")
    try:
        application = entra.find_application(store, tenant, fields.get("client_id", ""))
        _check_redirect(application, redirect)
    except Refusal as refusal:
        # Without a redirect address to trust, the person is told instead of the client.
        if refusal.number in (700016, 90002, 50011):
            return _page(400, "Sign-in failed", f"<p>AADSTS{refusal.number}: {html.escape(refusal.text)}</p>")
        return _back(
            fields, redirect, {"error": "access_denied", "error_description": f"AADSTS{refusal.number}: {refusal.text}"}
        )
    if fields.get("response_type", "").lower() != "code":
        return _back(fields, redirect, {"error": "unsupported_response_type", "error_description": "AADSTS700054"})
    if fields.get("code_challenge") and fields.get("code_challenge_method") != "S256":
        return _back(fields, redirect, {"error": "invalid_request", "error_description": "AADSTS9002325: use S256"})
    try:
        audience = entra.audience_of(request, fields)
    except Refusal as refusal:
        return _back(
            fields, redirect, {"error": refusal.error, "error_description": f"AADSTS{refusal.number}: {refusal.text}"}
        )
    code = "1." + secrets.token_urlsafe(32)
    entra.keep_grant(
        store,
        code,
        "code",
        time.time() + CODE_SECONDS,
        {
            "clientId": application["clientId"],
            "redirectUri": redirect,
            "scope": fields.get("scope", ""),
            "audience": audience,
            "challenge": fields.get("code_challenge"),
            "nonce": fields.get("nonce"),
            "mfa": application.get("mfa", True),
        },
    )
    return _back(fields, redirect, {"code": code})


def _check_redirect(application: Tree, redirect: str) -> None:
    try:
        parts = urlsplit(redirect)
        loopback = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    except ValueError:
        loopback = False
    if not loopback and redirect not in application.get("redirectUris", ()):
        raise Refusal(
            400,
            "invalid_request",
            50011,
            f"The redirect URI '{redirect[:200]}' specified in the request does not match the redirect URIs"
            " configured for the application.",
        )


def _back(fields: dict[str, str], redirect: str, values: dict[str, str]) -> Answer:
    if fields.get("state") is not None:
        values = {**values, "state": fields["state"]}
    if fields.get("response_mode") == "form_post":
        inputs = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in values.items()
        )
        form = (
            f'<form method="post" action="{html.escape(redirect)}">{inputs}<button>Continue</button></form>'
            "<script>document.forms[0].submit()</script>"
        )
        return _page(200, "Signed in", form)
    separator = "&" if "?" in redirect else "?"
    location = f"{redirect}{separator}{urlencode(values)}"
    if not location.isascii() or not location.isprintable():
        return _page(400, "Sign-in failed", "<p>The redirect URI can't be used.</p>")
    return Answer(302, body=b"", headers=(("Location", location), ("Cache-Control", "no-store")))


def device_code(store: Store, request: Request, tenant: str) -> Answer:
    """A device code and the user code that belongs to it."""
    form = request.form()
    application = entra.find_application(store, tenant, form.get("client_id", ""))
    audience = entra.audience_of(request, form)
    if audience is None:
        raise entra.missing("scope")
    user_code = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(9))
    code = "2." + secrets.token_urlsafe(32)
    entra.keep_grant(
        store,
        code,
        "device_code",
        time.time() + DEVICE_CODE_SECONDS,
        {
            "clientId": application["clientId"],
            "userCode": user_code,
            "scope": form.get("scope", ""),
            "audience": audience,
            "mfa": application.get("mfa", True),
            "answer": "",
        },
    )
    address = f"{'https' if request.secure else 'http'}://{request.host}/devicelogin"
    return plain(
        200,
        {
            "user_code": user_code,
            "device_code": code,
            "verification_uri": address,
            "expires_in": DEVICE_CODE_SECONDS,
            "interval": 1,
            "message": f"To sign in, use a web browser to open the page {address} and enter the code {user_code}"
            " to authenticate.",
        },
    )


def device_login(store: Store, request: Request) -> Answer:
    """The page where a person enters the user code: ``code``, and ``answer`` approve (the default) or deny."""
    form = request.form() if request.method == "POST" else {}
    code = form.get("code", "").strip().upper()
    if not code:
        return _page(
            200,
            "Enter the code shown on your device",
            '<form method="post"><input name="code" autofocus aria-label="Code"> '
            '<button name="answer" value="approve">Approve</button> '
            '<button name="answer" value="deny">Deny</button></form>',
        )
    answer = "deny" if form.get("answer") == "deny" else "approve"
    if not answer_device(store, code, answer):
        return _page(400, "That code did not work", "<p>Check the code and try again.</p>")
    return _page(200, "Done", "<p>You may close this window.</p>")


def answer_device(store: Store, user_code: str, answer: str) -> bool:
    """The person's answer to a user code; False if there is no such code."""
    with store.transaction():
        for value, expires, text in store.rows(
            "SELECT value, expires, document FROM grants WHERE kind = 'device_code'"
        ):
            document = decode(text)
            if document["userCode"] == user_code and expires > time.time():
                store.run(
                    "UPDATE grants SET document = ? WHERE value = ?", encode({**document, "answer": answer}), value
                )
                return True
    return False


def _page(status: int, title: str, body: str) -> Answer:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<body><h1>{title}</h1>{body}</body></html>"
    )
    return Answer(status, body=text.encode(), content_type=HTML, headers=(("Cache-Control", "no-store"),))
