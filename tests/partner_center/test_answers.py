"""Every answer that is not a success: one typed error, one message, one remedy."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any, NamedTuple

import httpx
import pytest

from pc_provider.partner_center import errors
from pc_provider.partner_center.answers import REMEDIES, identify, raise_for_status, retry_after
from pc_provider.partner_center.transport import Answer

JSON = "application/json; charset=utf-8"
WHAT = "Reading the upgrades of subscription s of customer c"


def refusal(
    status: int, body: bytes | dict[str, Any] = b"", content_type: str | None = JSON, **headers: str
) -> errors.ServiceError:
    """The error for an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        named["Content-Type"] = content_type
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    with pytest.raises(errors.ServiceError) as caught:
        raise_for_status(Answer(status, httpx.Headers(named), content), WHAT)
    assert caught.value.status == status
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    return caught.value


# The status decides the type, and what to do where the code says nothing

STATUSES = [
    (300, errors.UnexpectedAnswer, "Check partnercenter:endpoint"),
    (301, errors.UnexpectedAnswer, "Check partnercenter:endpoint"),
    (302, errors.UnexpectedAnswer, "Check partnercenter:endpoint"),
    (307, errors.UnexpectedAnswer, "Check partnercenter:endpoint"),
    (308, errors.UnexpectedAnswer, "Check partnercenter:endpoint"),
    (400, errors.BadRequest, "Correct the input"),
    (401, errors.Unauthorized, "pc-provider doctor"),
    (403, errors.Forbidden, "GDAP role"),
    (404, errors.NotFound, "Check customer_id and subscription_id"),
    (405, errors.UnexpectedAnswer, ""),
    (409, errors.Conflict, "again in some minutes"),
    (415, errors.UnexpectedAnswer, ""),
    (418, errors.UnexpectedAnswer, ""),
    (429, errors.Throttled, "partnercenter:rateLimit"),
    (500, errors.ServerError, "again later"),
    (502, errors.ServerError, "again later"),
    (503, errors.ServerError, "again later"),
    (504, errors.ServerError, "again later"),
    (599, errors.ServerError, "again later"),
]


@pytest.mark.parametrize(("status", "kind", "remedy"), STATUSES)
def test_each_status_has_a_type_a_message_and_a_remedy(
    status: int, kind: type[errors.ServiceError], remedy: str
) -> None:
    error = refusal(status)
    assert type(error) is kind
    assert error.attempted == WHAT
    assert str(status) in error.known
    assert remedy in error.remedy


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    raise_for_status(Answer(status, {}, b""), WHAT)


# The body says more, in whichever shape it comes


class Fault(NamedTuple):
    body: bytes | dict[str, Any]
    known: str
    code: int | str | None = None
    content_type: str | None = JSON
    status: int = 400


NO_RELATION = "The partner has no relationship with the customer"
FAULTS = {
    "ServiceFault": Fault(
        {"code": 20002, "description": NO_RELATION, "data": ["c"], "source": "PartnerFD"},
        f"Partner Center answered 400, code 20002: {NO_RELATION}",
        20002,
    ),
    "without source": Fault(
        {"code": 20002, "description": NO_RELATION}, f"Partner Center answered 400, code 20002: {NO_RELATION}", 20002
    ),
    "PascalCase": Fault(
        {"Code": 20002, "Description": NO_RELATION, "Data": [], "Source": "PartnerFD"},
        f"Partner Center answered 400, code 20002: {NO_RELATION}",
        20002,
    ),
    "code as text": Fault({"code": "20003", "description": "d"}, "Partner Center answered 400, code 20003: d", 20003),
    "code as a word": Fault(
        {"code": "InvalidInput", "description": "d"},
        "Partner Center answered 400, code InvalidInput: d",
        "InvalidInput",
    ),
    "code 0": Fault({"code": 0, "description": "d"}, "Partner Center answered 400: d", 0),
    "code empty": Fault({"code": "", "description": "d"}, "Partner Center answered 400: d", ""),
    "code missing": Fault({"description": "d"}, "Partner Center answered 400: d"),
    "code true": Fault({"code": True, "description": "d"}, "Partner Center answered 400: d"),
    "code a list": Fault({"code": [1], "description": "d"}, "Partner Center answered 400: d"),
    "code in other digits": Fault({"code": "²", "description": "d"}, "Partner Center answered 400, code ²: d", "²"),
    "code without end": Fault(
        {"code": "9" * 9000, "description": "d"},
        f"Partner Center answered 400, code {'9' * 39}…: d",
        "9" * 9000,
    ),
    "errorCode": Fault({"errorCode": 1000, "message": "m"}, "Partner Center answered 400, code 1000: m", 1000),
    "description null": Fault({"code": 1000, "description": None}, "Partner Center answered 400, code 1000", 1000),
    "with a mark": Fault(
        b"\xef\xbb\xbf" + b'{"code": 1000, "description": "d"}', "Partner Center answered 400, code 1000: d", 1000
    ),
    "UTF-16": Fault(
        '{"code": 1000, "description": "d"}'.encode("utf-16"), "Partner Center answered 400, code 1000: d", 1000
    ),
    "XML": Fault(
        b'<?xml version="1.0"?><ServiceFault xmlns="urn:x"><code>20002</code><description>no relation</description>'
        b"<source>PartnerFD</source></ServiceFault>",
        "Partner Center answered 400, code 20002: no relation",
        20002,
        "application/xml; charset=utf-8",
    ),
    "XML in PascalCase": Fault(
        b"<ServiceFault><Code>20002</Code><Description>no relation</Description></ServiceFault>",
        "Partner Center answered 400, code 20002: no relation",
        20002,
        "text/xml",
    ),
    "the gateway": Fault(
        {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."},
        "Partner Center answered 429: Rate limit is exceeded. Try again in 57 seconds.",
        status=429,
    ),
    "OData 4": Fault(
        {"error": {"code": "Request_BadRequest", "message": "m", "innerError": {"date": "x"}}},
        "Partner Center answered 400, code Request_BadRequest: m",
        "Request_BadRequest",
    ),
    "OData 3": Fault(
        {"odata.error": {"code": "Request_BadRequest", "message": {"lang": "en", "value": "m"}}},
        "Partner Center answered 400, code Request_BadRequest: m",
        "Request_BadRequest",
    ),
    "OData in PascalCase": Fault(
        {"Error": {"Code": "X", "Message": "m"}}, "Partner Center answered 400, code X: m", "X"
    ),
    "Entra": Fault(
        {"error": "invalid_token", "error_description": "AADSTS1: d"},
        "Partner Center answered 400, code invalid_token: AADSTS1: d",
        "invalid_token",
    ),
    "problem details": Fault(
        {"type": "about:blank", "title": "Bad"},
        "Partner Center answered 400: Bad",
        content_type="application/problem+json",
    ),
    "empty": Fault(b"", "Partner Center answered 400", content_type=None),
    "white space": Fault(b" \r\n", "Partner Center answered 400"),
    "a proxy's page": Fault(
        b"<!DOCTYPE html><html><head><title>Access\r\n denied</title></head><body>x</body></html>",
        "Partner Center answered 403: a web page (Access denied), which no Partner Center sends",
        content_type="text/html",
        status=403,
    ),
    "a page without a title": Fault(
        b"<p>no<br>", "Partner Center answered 400: a web page, which no Partner Center sends", content_type=None
    ),
    "a page that calls itself JSON": Fault(
        b"\r\n<html><title>T</title>", "Partner Center answered 400: a web page (T), which no Partner Center sends"
    ),
    "plain text": Fault(b"upstream failed", "Partner Center answered 502: upstream failed", None, "text/plain", 502),
    "cut off": Fault(b'{"code": 1000, "descr', 'Partner Center answered 400: {"code": 1000, "descr'),
    "JSON text": Fault(b'"just text"', "Partner Center answered 400: just text"),
    "a list": Fault(b"[1, 2]", "Partner Center answered 400: [1, 2]"),
    "bytes": Fault(b"\xff\xfe\x00\x01\x02", "Partner Center answered 400: ��", content_type="application/octet-stream"),
    "nested too deep": Fault(b"[" * 100_000, f"Partner Center answered 400: {'[' * 199}…"),
    "an XML bomb": Fault(
        b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>',
        "Partner Center answered 400: a web page, which no Partner Center sends",
        content_type="application/xml",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_shape_of_a_fault_is_one_message(name: str) -> None:
    fault = FAULTS[name]
    error = refusal(fault.status, fault.body, fault.content_type)
    assert (error.code, error.known) == (fault.code, fault.known)
    assert str(error).startswith(f"{WHAT}: {fault.known}\nWhat to do: ")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_says_that_it_is_not_followed_and_not_where_it_leads(status: int) -> None:
    error = refusal(status, b"<html>moved</html>", "text/html", location="https://evil.example/\x1b[31mred")
    assert error.known == f"Partner Center's address answered with a redirect ({status}), which is not followed"
    assert "evil" not in str(error)


# Known codes carry a remedy

KNOWN_CODES = [
    (403, 1000, "Correct the input"),
    (403, 2032, "GDAP role"),
    (403, 20002, "reseller relationship"),
    (404, 20003, "Check subscription_id"),
    (404, 60003, "Check the tenant"),
    (404, 800002, "Check subscription_id"),
    (400, 800012, "must be active"),
    (409, 800082, "not ready yet"),
    (403, 900124, "Microsoft Partner Agreement"),
    (403, 900150, "GDAP role"),
    (409, 900278, "not ready yet"),
    (403, 900308, "GDAP role"),
    (403, 900329, "app-only"),
    (401, 900420, "another audience"),
    (401, 900421, "multifactor authentication"),
]


def test_the_table_of_codes_is_complete() -> None:
    assert sorted(str(code) for _, code, _ in KNOWN_CODES) == sorted(REMEDIES)


@pytest.mark.parametrize("written", [int, str])
@pytest.mark.parametrize(("status", "code", "remedy"), KNOWN_CODES)
def test_each_known_code_carries_a_remedy(status: int, code: int, remedy: str, written: type) -> None:
    assert remedy in refusal(status, {"code": written(code), "description": "d"}).remedy


@pytest.mark.parametrize("text", ["MFA required", "mfa is Required here", "Use multi-factor authentication"])
def test_the_older_text_for_mfa_carries_the_same_remedy(text: str) -> None:
    assert refusal(401, {"code": 0, "description": text}).remedy == REMEDIES["900421"]


# When to come back


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("57", 57), (" 3 ", 3), ("0", 0), ("1.5", 1.5), ("-1", None), ("soon", None), ("", None), ("9" * 30, None)],
)
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    assert refusal(429, retry_after=value).retry_after == seconds


def test_retry_after_as_a_date() -> None:
    soon = refusal(503, retry_after=formatdate(time.time() + 30, usegmt=True)).retry_after
    assert soon is not None
    assert 25 < soon < 31
    assert refusal(503, retry_after=formatdate(0, usegmt=True)).retry_after == 0
    assert refusal(503, retry_after="Thu, 99 Foo 99999 99:99:99 GMT").retry_after is None


def test_the_gateways_text_names_the_time_where_no_header_does() -> None:
    body = {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."}
    assert refusal(429, body).retry_after == 57
    assert refusal(429, body, retry_after="3").retry_after == 3
    assert retry_after({}, "try again in 99999999999999 seconds") is None


# What the service wrote is not trusted


def test_nothing_in_an_answer_reaches_the_terminal() -> None:
    evil = "a\x1b[2J\x07\r\nb\u202ec\u2028d\x9b\ud800"
    error = refusal(400, {"code": evil, "description": evil + "x" * 10_000})
    assert error.known.startswith("Partner Center answered 400, code a [2J b c d: a [2J b c d x")
    assert len(str(error)) < 1000
    identify(
        error, "r", "c", httpx.Headers({"MS-CV": "cv\x1b[1m", "MS-ServerId": "s" * 500, "MS-RequestId": "e" * 500})
    )
    assert all(line.isprintable() for line in str(error).split("\n"))
    assert len(str(error)) < 1500


def test_the_echoed_ids_are_shown_and_those_that_were_sent_where_none_is() -> None:
    error = refusal(500)
    echoed = {"MS-RequestId": "echoed-r", "MS-CorrelationId": "echoed-c", "MS-CV": "v", "MS-ServerId": "s1"}
    identify(error, "sent-r", "sent-c", httpx.Headers(echoed))
    assert str(error).endswith("For support: request id echoed-r, correlation id echoed-c, MS-CV v, MS-ServerId s1")
    identify(error, "sent-r", "sent-c", {})
    assert str(error).endswith("For support: request id sent-r, correlation id sent-c")
