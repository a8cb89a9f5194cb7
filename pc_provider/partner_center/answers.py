"""
What an answer means: a tree to read, or one error of the tree in ``errors.py`` with its remedy.

Error bodies come as a ``ServiceFault`` (code an int, a text or 0; ``source`` optional), as the gateway's
``{"statusCode", "message"}``, as Microsoft Entra's or OData's ``{"error": …}``, as a proxy's HTML, or empty (recorded).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from pc_provider.partner_center import errors, media
from pc_provider.partner_center.transport import Answer

__all__ = ["identify", "raise_for_status", "retry_after", "tree"]

_STATUS = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    429: errors.Throttled,
}

_GDAP = (
    "Give the identity a GDAP role for this customer: Directory Reader or Global Reader for upgrade_only, "
    "Directory Writer for upgrade_with_license_transfer."
)
_AUDIENCE = (
    "The token is for another audience. Ask for the scope {Partner Center base}/.default of your cloud "
    "(partnercenter:cloud); tokens for graph.windows.net are no longer accepted."
)
_MFA = "Sign in again with multifactor authentication: run `pc-provider login`."

# Documented on "Error codes", "Security at your organization" and the resource pages; facts kept in docs/reference.md.
REMEDIES: dict[str, str] = {
    "1000": "Correct the input that the message names.",
    "2032": _GDAP,
    "20002": "Check customer_id; this partner tenant needs a reseller relationship with that customer.",
    "20003": "Check subscription_id; it must be a subscription of this customer, sold by this partner.",
    "60003": "Check the tenant: Partner Center does not know it (customer_id, partnercenter:tenantId, cloud).",
    "800002": "Check subscription_id; it must be a subscription of this customer, sold by this partner.",
    "800012": "The subscription must be active. See its status in Partner Center.",
    "800082": "The subscription is not ready yet. Run `pulumi up` again in some minutes.",
    "900124": "An administrator of the partner must sign the Microsoft Partner Agreement in Partner Center.",
    "900150": _GDAP,
    "900278": "The subscription is not ready yet. Run `pulumi up` again in some minutes.",
    "900308": _GDAP,
    "900329": "This call refuses app-only sign-in here. Use a partnercenter:refreshToken (run `pc-provider login`).",
    "900420": _AUDIENCE,
    "900421": _MFA,
}

_STATUS_REMEDIES = {
    400: "Correct the input that the message names.",
    401: "Check the sign-in with `pc-provider doctor`.",
    403: _GDAP + " Check the sign-in with `pc-provider doctor`.",
    404: "Check customer_id and subscription_id, and that partnercenter:tenantId is the partner that sells to them.",
    409: "Another operation is under way, or the subscription is not ready. Run `pulumi up` again in some minutes.",
    429: "Wait as long as Partner Center says; name the limit in partnercenter:rateLimit to stay below it.",
}


def tree(answer: Answer) -> Any:
    """The decoded body of a success. Raises :class:`media.Unreadable` when it can't be decoded or is empty."""
    if not answer.body.strip():
        raise media.Unreadable("", "the body is empty")
    return media.decode(answer.body, answer.headers.get("Content-Type"))


def raise_for_status(answer: Answer, attempted: str) -> None:
    """Raises the typed error of an answer that is not 2xx; *attempted* names the operation for the message."""
    if 200 <= answer.status < 300:
        return
    code, description = _fault(answer)
    if 300 <= answer.status < 400:
        known = f"Partner Center's address answered with a redirect ({answer.status}), which is not followed"
        remedy = "Check partnercenter:endpoint; a proxy or portal may be in between."
    else:
        known = f"Partner Center answered {answer.status}"
        if code not in (None, "", 0):
            known += f", code {errors.printable(code, 40)}"
        if description:
            known += f": {description}"
        remedy = REMEDIES.get(str(code)) or _remedy_in_text(description) or _STATUS_REMEDIES.get(answer.status, "")
        if answer.status >= 500:
            remedy = "Run the same command again later; nothing is repeated that was already done."
    default = errors.ServerError if answer.status >= 500 else errors.UnexpectedAnswer
    error = _STATUS.get(answer.status, default)(
        known,
        status=answer.status,
        code=code,
        description=description,
        retry_after=retry_after(answer.headers, description),
        attempted=attempted,
        remedy=remedy,
    )
    raise error


def identify(
    error: errors.PartnerCenterError, request_id: str, correlation_id: str, headers: Mapping[str, str]
) -> None:
    """Puts the ids that support asks for on *error*: those the answer echoed, else those that were sent."""
    error.request_id = errors.printable(headers.get("MS-RequestId") or request_id, 64)
    error.correlation_id = errors.printable(headers.get("MS-CorrelationId") or correlation_id, 64)
    traced = [(name, headers.get(name)) for name in ("MS-CV", "MS-ServerId")]
    error.trace = ", ".join(f"{name} {errors.printable(value, 80)}" for name, value in traced if value)


def retry_after(headers: Mapping[str, str], message: str = "") -> float | None:
    """Seconds to wait: from ``Retry-After`` (seconds or a date), else from the gateway's "Try again in n seconds"."""
    value = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    if value:
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (TypeError, ValueError, OverflowError):
            pass
    match = re.search(r"try again in (\d{1,9}) seconds", message, re.IGNORECASE)
    return float(match[1]) if match else None


def _fault(answer: Answer) -> tuple[int | str | None, str]:
    """The code and the description of an error body, in whichever shape it came."""
    try:
        body = tree(answer)
    except ValueError:
        return None, _plain_text(answer)
    if not isinstance(body, dict):
        return None, errors.printable(body)
    body = _camel_case(body)
    inner = body.get("error", body.get("odata.error"))
    if isinstance(inner, dict):
        body = {**body, **_camel_case(inner)}
    elif isinstance(inner, str):
        body.setdefault("code", inner)
    code = body.get("code", body.get("errorCode"))
    if isinstance(code, str) and re.fullmatch(r"\d{1,18}", code.strip(), re.ASCII):
        code = int(code)
    if not isinstance(code, (int, str)) or isinstance(code, bool):
        code = None
    text = next((body[key] for key in ("description", "message", "error_description", "title") if body.get(key)), "")
    if isinstance(text, dict):
        text = _camel_case(text).get("value", "")
    return code, errors.printable(text)


def _camel_case(body: dict[str, Any]) -> dict[str, Any]:
    return {key[:1].lower() + key[1:]: value for key, value in body.items()}


def _plain_text(answer: Answer) -> str:
    kind = (answer.headers.get("Content-Type") or "").lower()
    if not answer.body.strip():
        return ""
    if "html" in kind or answer.body.lstrip()[:1] == b"<":
        text = answer.body[:4096].decode("utf-8", "replace")
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return f"a web page{f' ({errors.printable(title[1], 100)})' if title else ''}, which no Partner Center sends"
    return errors.printable(answer.body[:4096].decode("utf-8", "replace"), 200)


def _remedy_in_text(description: str) -> str:
    return _MFA if re.search(r"\bMFA\b.*required|multi-?factor", description, re.IGNORECASE) else ""
