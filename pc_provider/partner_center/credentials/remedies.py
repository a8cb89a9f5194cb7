"""
What a person can do about each of Microsoft Entra's refusals.

Source: Microsoft Entra's page "authentication and authorization error codes".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pc_provider.partner_center.errors import SignInError, printable

__all__ = ["REMEDIES", "refused", "remedy"]

LOGIN = "Run `pc-provider login` and sign in with MFA; it stores a new refresh token."

# {origin} is the setting that holds the proof.
REMEDIES = {
    50011: "Add http://localhost as a redirect address in the app registration (Authentication > Mobile and desktop, "
    "or Web for a confidential app), or use --device-code.",
    50020: "The person belongs to another tenant. Sign in with an account of the partner tenant.",
    50034: "There is no such account in this tenant. Check partnercenter:tenantId and the account.",
    50053: "The account is locked after too many tries. Wait, or have an administrator unlock it.",
    50057: "The account is disabled. Have an administrator enable it, or sign in with another one.",
    50076: f"Partner Center asks for multi-factor authentication. {LOGIN}",
    50078: f"The multi-factor authentication is too old. {LOGIN}",
    50079: f"The account has to register for multi-factor authentication first. {LOGIN}",
    50105: "The person or app has no role in this application. Assign one under Enterprise applications.",
    50126: "The user name or password is wrong.",
    50173: f"The refresh token was revoked (a password was changed or reset). {LOGIN}",
    53000: "A conditional access policy refuses this device. Sign in from one that complies, or use an app-only way.",
    53003: "A conditional access policy refuses this sign-in. Ask the administrator which one, or use an app-only way.",
    65001: "Nobody has consented to this app yet. Run `pc-provider login` as an administrator, "
    "or grant admin consent to the Partner Center API under API permissions.",
    65004: "The consent was declined. Run `pc-provider login` again and accept it.",
    70000: f"The refresh token or code is not valid for this app. {LOGIN}",
    70008: f"The refresh token or code has expired. {LOGIN}",
    70011: "The scope is not known here. Check partnercenter:cloud.",
    70016: "The sign-in in the browser was not finished yet.",
    70021: "No federated credential of the app matches this token. Compare its issuer, subject and audience with the "
    "app registration's Certificates & secrets > Federated credentials.",
    70043: f"The refresh token has expired by a sign-in frequency policy. {LOGIN}",
    90002: "This tenant was not found. Check partnercenter:tenantId, and partnercenter:cloud if it is in another one.",
    90014: "A part of the request is missing. Check that no setting of the sign-in is empty.",
    90072: "The person belongs to another tenant. Sign in with an account of the partner tenant.",
    500011: "The tenant doesn't know the Partner Center API. Sign in to Partner Center once with it, "
    "or check partnercenter:cloud.",
    500341: f"The account was deleted. {LOGIN}",
    700003: "The device is not known any more. Sign in from a registered one.",
    70019: "The code was not used in time. Run `pc-provider login` again.",
    500112: "The redirect address is not the one that the sign-in began with. Run `pc-provider login` again.",
    700016: "The app is not in this tenant. Check partnercenter:clientId and partnercenter:tenantId; "
    "a multi-tenant app needs consent in the tenant first.",
    700022: "The scope names more than one audience. Check partnercenter:cloud.",
    700023: "The authority is another than the one that was signed for. Check partnercenter:authority.",
    700024: "The client assertion is outside its time. Check this machine's clock, and that the token is a fresh one.",
    700027: "The certificate is not one of the app's. Upload its public part under Certificates & secrets, "
    "or correct {origin}.",
    700082: f"The refresh token has expired after 90 days without use. {LOGIN}",
    700084: f"The refresh token has expired. {LOGIN}",
    700211: "No federated credential of the app matches the token's issuer. Compare the issuer under Certificates & "
    "secrets > Federated credentials.",
    700212: "No federated credential of the app matches the token's audience. Compare the audience under Certificates "
    "& secrets > Federated credentials.",
    700213: "No federated credential of the app matches the token's subject. Compare the subject under Certificates & "
    "secrets > Federated credentials: it names the repository and branch, or the service connection.",
    1000502: "The certificate has expired or is not valid yet. Put a new one into {origin}, "
    "and upload its public part to the app registration.",
    7000112: "The app is disabled in this tenant. Enable it under Enterprise applications.",
    7000215: "The client secret is wrong. Put the secret's value (not its id) of the app registration into {origin}.",
    7000218: "The app is a confidential client: configure partnercenter:clientSecret or clientCertificate as well, "
    "or allow public client flows in the app registration.",
    7000222: "The client secret has expired. Make a new one in the app registration and put it into {origin}.",
    7000229: "The app has no service principal in this tenant. Give admin consent there first.",
}
BY_ERROR = {
    "authorization_declined": REMEDIES[65004],
    "expired_token": REMEDIES[70019],
    "invalid_grant": LOGIN,
    "invalid_client": "Check {origin} and partnercenter:clientId.",
    "unauthorized_client": "The app may not use this way to sign in. Check its registration.",
    "invalid_tenant": REMEDIES[90002],
    "temporarily_unavailable": "The sign-in service has a problem of its own; try again later.",
    "server_error": "The sign-in service has a problem of its own; try again later.",
}


def remedy(codes: tuple[int, ...], error: str = "", *, origin: str = "the configuration") -> str:
    """What to do about the first code that is known, or else about the OAuth *error*."""
    for code in codes:
        if code in REMEDIES:
            return REMEDIES[code].replace("{origin}", origin)
    return BY_ERROR.get(error, "").replace("{origin}", origin)


def refused(
    answer: Mapping[str, Any],
    *,
    origin: str = "the configuration",
    service: str = "Microsoft Entra",
    status: int | None = None,
) -> SignInError:
    """The error for a refusal as Entra writes it: ``{"error", "error_description", "error_codes": [n]}``."""
    error = printable(answer.get("error") or "", 60)
    description = str(answer.get("error_description") or "")
    given = answer.get("error_codes")
    codes = tuple(code for code in given if isinstance(code, int)) if isinstance(given, list) else ()
    # Discovery and managed identities give the code in the text only.
    codes = codes or tuple(int(code) for code in re.findall(r"AADSTS(\d{4,9})", description)[:3])
    # The description goes on with trace ids and a time stamp, each on a line of its own.
    reason = printable(re.split(r"[\r\n]| Trace ID:", description, maxsplit=1)[0], 300)
    what = reason or error or (f"status {status}" if status is not None else "no reason given")
    return SignInError(
        f"{service} refused it: {what}",
        remedy=remedy(codes, error, origin=origin),
        codes=codes,
        correlation_id=printable(answer.get("correlation_id") or "", 60),
    )
