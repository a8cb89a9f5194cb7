"""
How answers look on the wire: media type, byte-order mark, the service's headers, and what a fault makes of them.

Success bodies begin with a byte-order mark and error bodies do not; enumerations are numbers; the ids a request carried
are echoed, and made up where it carried none.
"""

from __future__ import annotations

import base64
import codecs
import uuid
from typing import Any

import msgspec

from pc_provider.emulator.disturbances import Fault
from pc_provider.emulator.exchange import JSON, Answer, Request
from pc_provider.emulator.upgrades import ERRORS, UPGRADE_TYPES
from pc_provider.partner_center import media

Tree = dict[str, Any]

SERVER_ID = "102030001"
XML = {"application/xml": "application/xml; charset=utf-8", "text/xml": "text/xml; charset=utf-8"}


def as_json(answer: Answer) -> Answer:
    """The answer with its tree written as JSON, if it has one."""
    return answer if answer.body is not None else answer._replace(body=msgspec.json.encode(answer.tree))


def finish(answer: Answer, request: Request, settings: Tree, identity: dict[str, str] | None = None) -> Answer:
    """The answer as the service sends it: *settings* are those of ``/_emulator/wire``."""
    tree, good = answer.tree, answer.status < 400
    if good and settings["enums"] != "integer":
        tree = _worded(tree, pascal=settings["enums"] == "PascalCase")
    if settings["keys"] == "PascalCase":
        tree = _pascal(tree)
    media_type = wanted(request.headers.get("accept", ""))
    if media_type in XML:
        body, content_type = media.encode(tree, media_type, answer.root), XML[media_type]
    else:
        body = msgspec.json.encode(tree)
        content_type = JSON if media_type == media.JSON else "text/json; charset=utf-8"
    if good and settings["encoding"] == "utf-16":
        # As an older host did: marked, and without a charset.
        body = codecs.BOM_UTF16_LE + body.decode().encode("utf-16-le")
        content_type = content_type.partition(";")[0]
    elif good and settings["bom"]:
        body = codecs.BOM_UTF8 + body
    headers = answer.headers
    if identity:
        vector = request.headers.get("ms-cv") or base64.b64encode(uuid.uuid4().bytes)[:16].decode() + ".0"
        headers = (*identity.items(), ("MS-CV", vector), ("MS-ServerId", SERVER_ID), *headers)
    return answer._replace(body=body, content_type=content_type, headers=tuple(headers))


def wanted(accept: str) -> str:
    """The first media type of the header ``Accept`` that the service can answer in; JSON where there is none."""
    best, best_quality = media.JSON, 0.0
    for part in accept.split(","):
        name, _, parameters = part.strip().partition(";")
        name = name.strip().lower()
        if name in ("*/*", "application/*"):
            name = media.JSON
        elif name == "text/*":
            name = "text/json"
        if name not in media.RESPONSE_TYPES:
            continue
        quality = 1.0
        for parameter in parameters.split(";"):
            key, _, value = parameter.strip().partition("=")
            if key == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if quality > best_quality:
            best, best_quality = name, quality
    return best


def struck(fault: Fault, answer: Answer | None) -> Answer | None:
    """What the fault makes of *answer* (None: nothing was done); None for a connection that is cut."""
    if fault.kind == "reset":
        return None
    retry = (("Retry-After", fault.retry_after),) if fault.retry_after is not None else ()
    if fault.kind == "status":
        if fault.body is not None:
            return Answer(
                fault.status, headers=retry, body=fault.body.encode("utf-8", "replace"), content_type=fault.content_type
            )
        return _said(fault.status, retry)
    whole = answer or Answer(200, body=b'{"totalCount":1,"items":[{"targetOffer":{"id":"', headers=())
    if fault.kind == "garbage":
        body = fault.body.encode("utf-8", "replace") if fault.body is not None else b"\x1f\x8b\x00\xff<html>}{\xfe" * 8
        return whole._replace(body=body, headers=whole.headers + retry)
    return whole


def _said(status: int, headers: tuple[tuple[str, str], ...]) -> Answer:
    """The body that comes with a status: the gateway's, a proxy's page, a ServiceFault, or none."""
    if status < 400:
        return Answer(status, body=b"", headers=headers)
    if status == 429:
        wait = dict(headers).get("Retry-After", "57")
        tree: Tree = {"statusCode": 429, "message": f"Rate limit is exceeded. Try again in {wait} seconds."}
    elif status in (502, 503, 504):
        page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
        return Answer(status, body=page.encode(), headers=headers, content_type="text/html; charset=utf-8")
    else:
        code = {401: 400, 403: 2032, 404: 1000, 409: 800082, 500: 800003}.get(status, 800002)
        description = {
            401: "Access denied",
            403: "Access denied",
            404: "Not found",
            409: "Subscription is not ready to be updated. Try again after sometime",
            500: "Unexpected service error",
        }.get(status, "Invalid request input")
        tree = {"code": code, "description": description, "data": [], "source": "PartnerCenter"}
    return Answer(status, body=msgspec.json.encode(tree), headers=headers)


def _worded(tree: Any, *, pascal: bool) -> Any:
    """Enumerations as words: ``upgradeType`` and the code of an ``UpgradeError``."""
    if isinstance(tree, list):
        return [_worded(value, pascal=pascal) for value in tree]
    if not isinstance(tree, dict):
        return tree
    result = {}
    for name, value in tree.items():
        word = None
        if name == "upgradeType" and isinstance(value, int):
            word = UPGRADE_TYPES[value]
        elif name == "code" and tree.get("attributes") == {"objectType": "UpgradeError"}:
            word = ERRORS[value][0]
        if word is None:
            result[name] = _worded(value, pascal=pascal)
        else:
            result[name] = "".join(part.capitalize() for part in word.split("_")) if pascal else word
    return result


def _pascal(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_pascal(value) for value in tree]
    if isinstance(tree, dict):
        return {name[:1].upper() + name[1:]: _pascal(value) for name, value in tree.items()}
    return tree
