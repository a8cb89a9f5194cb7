"""Bodies as they come: marks, charsets, XML of other hands, forms, and what is refused."""

from __future__ import annotations

import codecs
from typing import Any
from urllib.parse import quote

import pytest

from pc_provider.partner_center import media
from pc_provider.partner_center.errors import InvalidInput
from pc_provider.partner_center.models import Offer, Upgrade, UpgradeType, read, write

FORM = media.FORM
TREE = {"id": "é€😀", "n": 5}
JSON_TEXT = '{"id":"é€😀","n":5}'
XML_TEXT = '<Offer><id>é€😀</id><n type="number">5</n></Offer>'

ENCODED = [
    pytest.param(lambda text: text.encode(), id="UTF-8"),
    pytest.param(lambda text: codecs.BOM_UTF8 + text.encode(), id="UTF-8 with mark"),
    pytest.param(lambda text: codecs.BOM_UTF8 * 2 + text.encode(), id="UTF-8 with two marks"),
    pytest.param(lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"), id="UTF-16LE with mark"),
    pytest.param(lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"), id="UTF-16BE with mark"),
    pytest.param(lambda text: text.encode("utf-16-le"), id="UTF-16LE"),
    pytest.param(lambda text: text.encode("utf-16-be"), id="UTF-16BE"),
]


@pytest.mark.parametrize("encoded", ENCODED)
@pytest.mark.parametrize(
    "charset", ["", "; charset=utf-8", '; charset="UTF-16"', "; charset=us-ascii", "; charset=zip"]
)
def test_the_bytes_and_not_the_claim_decide_the_encoding(encoded: Any, charset: str) -> None:
    for media_type in ("application/json", "text/json", "Application/JSON", "application/problem+json"):
        assert media.decode(encoded(JSON_TEXT), media_type + charset) == TREE
    for media_type in ("application/xml", "text/xml", "application/atom+xml"):
        assert media.decode(encoded(XML_TEXT), media_type + charset) == TREE
        for declared in ("utf-8", "utf-16", "iso-8859-1"):
            prolog = f'<?xml version="1.0" encoding="{declared}"?>\n<!-- a remark -->'
            assert media.decode(encoded(prolog + XML_TEXT), media_type + charset) == TREE


@pytest.mark.parametrize("claim", ["application/json; charset=iso-8859-1", "application/json;charset=Windows-1252"])
def test_an_old_charset_is_believed_where_the_body_is_not_unicode(claim: str) -> None:
    assert media.decode('{"name":"Müller"}'.encode("cp1252"), claim) == {"name": "Müller"}


def test_an_old_charset_may_be_claimed_by_the_xml_itself() -> None:
    body = '<?xml version="1.0" encoding="ISO-8859-1"?><a><name>Müller</name></a>'.encode("latin-1")
    assert media.decode(body, "text/xml") == {"name": "Müller"}


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/octet-stream; charset=utf-8"])
def test_without_a_telling_content_type_the_body_tells(content_type: str | None) -> None:
    assert media.decode(JSON_TEXT.encode(), content_type) == TREE
    assert media.decode(b"\n " + XML_TEXT.encode(), content_type) == TREE


@pytest.mark.parametrize("media_type", media.REQUEST_TYPES)
def test_bodies_are_written_as_plain_utf_8(media_type: str) -> None:
    body = media.encode({"id": "é", "n": 5}, media_type, "Offer")
    assert (
        body
        == {
            "json": b'{"id":"\\u00e9","n":5}',
            "xml": '<?xml version="1.0" encoding="utf-8"?><Offer><id>é</id><n type="number">5</n></Offer>'.encode(),
            "x-www-form-urlencoded": b"id=%C3%A9&n=5&%24types=%7B%22n%22%3A%22number%22%7D",
        }[media_type.rpartition("/")[2]]
    )


def test_media_types_are_those_of_the_reference() -> None:
    assert media.REQUEST_TYPES == (
        "application/json",
        "text/json",
        "application/xml",
        "text/xml",
        "application/x-www-form-urlencoded",
    )
    assert media.RESPONSE_TYPES == ("application/json", "text/json", "application/xml", "text/xml")


# XML

DATA_CONTRACT = """<?xml version="1.0" encoding="utf-16"?>
<Upgrade xmlns="http://schemas.datacontract.org/2004/07/Microsoft.Store" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
  <IsEligible>true</IsEligible>
  <Quantity>25</Quantity>
  <TargetOffer xmlns:a="http://schemas.microsoft.com/2003/10/Serialization/Arrays" i:type="Offer">
    <Actions><a:string>Edit</a:string><a:string>Cancel</a:string></Actions>
    <UpgradeTargetOffers><a:string>one</a:string></UpgradeTargetOffers>
    <ConversionTargetOffers/>
    <Description i:nil="true"/>
    <Id>A1</Id>
    <Product><Name>It &amp; <![CDATA[<you>]]></Name></Product>
  </TargetOffer>
  <UpgradeErrors><UpgradeError><Code>2</Code></UpgradeError></UpgradeErrors>
  <UpgradeType>UpgradeOnly</UpgradeType>
</Upgrade>"""


def test_xml_of_another_serializer_reads_as_the_same_definition() -> None:
    upgrade = read(Upgrade, media.decode(DATA_CONTRACT.encode(), "application/xml; charset=utf-8"))
    assert write(upgrade) == {
        "targetOffer": {
            "id": "A1",
            "product": {"name": "It & <you>"},
            "actions": ["Edit", "Cancel"],
            "upgradeTargetOffers": ["one"],
        },
        "upgradeType": "upgrade_only",
        "isEligible": True,
        "quantity": 25,
        "upgradeErrors": [{"code": "subscription_status_not_active"}],
    }


def test_repeated_elements_are_a_list() -> None:
    tree = media.decode(b"<Offer><actions>Edit</actions><id>x</id><actions>Cancel</actions></Offer>", "text/xml")
    assert read(Offer, tree).actions == ["Edit", "Cancel"]


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'
REMOTE = '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>'


@pytest.mark.parametrize("text", [BOMB, EXTERNAL, REMOTE, "<!DOCTYPE a><a/>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_document_types_and_entities_are_never_read(text: str, encoding: str) -> None:
    with pytest.raises(media.Unreadable, match="document type or entities"):
        media.decode(text.encode(encoding), "application/xml")


DEEP = 100_000


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/json", b"", "the body is empty"),
        ("application/json", b" \r\n", "the body is empty"),
        ("application/json", codecs.BOM_UTF8, "the body is empty"),
        ("application/json", b'{"items": [{"id"', "not JSON: .* line 1"),
        ("application/json", b"<html>Bad gateway</html>", "not JSON"),
        ("application/json", b'{"a": NaN}', "NaN is not JSON"),
        ("application/json", b'{"a": -Infinity}', "-Infinity is not JSON"),
        ("application/json", b'{"a": 1e999}', "the number 1e999 is too large"),
        ("application/json", b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
        ("application/json", b"[" * DEEP + b"]" * DEEP, "nested deeper than 64 levels"),
        ("application/json", b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
        ("application/json", b'{"a":' * DEEP, "not JSON|nested deeper"),
        ("application/json", b'{"a": "\xff"}', "not UTF-8: .* at byte 7"),
        ("application/json", codecs.BOM_UTF16_LE + b"{\x00\x00\xd8}\x00", "not UTF-16-LE"),
        ("application/xml", b"<a><b></a>", "not XML: mismatched tag"),
        ("application/xml", b"<a>" * 70 + b"</a>" * 70, "nested deeper than 64 levels"),
        ("application/xml", b"<a>" * DEEP, "nested deeper than 64 levels"),
        ("application/xml", b"<a>text<b/></a>", "text beside elements in 'a'"),
        ("application/xml", b'<a type="number">x</a>', "'a': 'x' is not a number"),
        ("application/xml", b'<a encoding="json">x</a>', "should be a JSON string"),
        ("application/xml", b"{}", "not XML"),
        ("application/xml", b"<a>&undefined;</a>", "not XML"),
        (FORM, b"a=1&a.b=2", "a: the form has this both as a value and as an object or list"),
        (FORM, b"a[0]=1&a.b=2", "both"),
        (FORM, b"a[0=1", "not the name of a form field"),
        (FORM, b"a[9999999999]=1", "the number in brackets is too large"),
        (FORM, b"a" + b".a" * 100 + b"=1", "nested too deep"),
        (FORM, b"a=%FF", "not a form"),
        (FORM, b'["\\q"]=1', "not a JSON string"),
        (FORM, b"n=x&$types=" + quote('{"n":"number"}').encode(), "n: 'x' is not a number"),
        ("text/html", b"<html></html>", "the content type 'text/html' is neither JSON nor XML"),
        ("application/xhtml+xml", b"<html></html>", "is neither JSON nor XML"),
        ("image/png\x1b[31m", b"x", "the content type 'image/png \\[31m' is neither"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(content_type: str, body: bytes, reason: str) -> None:
    with pytest.raises(media.Unreadable, match=reason):
        media.decode(body, content_type)


def test_too_long_a_body_is_refused() -> None:
    with pytest.raises(media.Unreadable, match="the body of 67108865 bytes exceeds the limit of 67108864"):
        media.decode(b" " * (media.MAX_BYTES + 1), "application/json")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/xml", b"<a>" + b"<b/>" * 1_000_001 + b"</a>"), (FORM, b"a&" * 1_000_001)],
    ids=["XML elements", "form fields"],
)
def test_too_many_values_are_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(media.Unreadable, match=r"more than 1000000 XML|fields"):
        media.decode(body, content_type)


@pytest.mark.parametrize("content_type", ["application/json", "text/xml", FORM])
def test_sixty_four_levels_are_read(content_type: str) -> None:
    tree: Any = {"a": "x"}
    for _ in range(63):
        tree = {"a": tree}
    assert media.decode(media.encode(tree, content_type, "Tree"), content_type) == tree
    with pytest.raises(InvalidInput, match="nested deeper than 64 levels"):
        media.encode({"a": tree}, content_type, "Tree")


# Forms


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ("targetOffer.id=A1&upgradeType=1", {"targetOffer": {"id": "A1"}, "upgradeType": "1"}),
        ("TargetOffer[Id]=A1", {"TargetOffer": {"Id": "A1"}}),
        ("items[0].id=a&items[1].id=b", {"items": [{"id": "a"}, {"id": "b"}]}),
        ("items[7].id=b&items[2].id=a", {"items": [{"id": "a"}, {"id": "b"}]}),
        ("items[0][id]=a", {"items": [{"id": "a"}]}),
        ("actions[]=a&actions[]=b", {"actions": ["a", "b"]}),
        ("actions=a&actions=b", {"actions": ["a", "b"]}),
        ("name=a+b%26c%3D%C3%A9&empty=", {"name": "a b&c=é", "empty": ""}),
        ('x["a.b[0]"].c=1', {"x": {"a.b[0]": {"c": "1"}}}),
        ("", {}),
        ("$types=nonsense&a=1", {"a": "1"}),
        ("$types=[]&a=1", {"a": "1"}),
    ],
)
def test_forms_are_read_in_the_usual_ways(form: str, tree: Any) -> None:
    assert media.decode(form.encode(), FORM) == tree


def test_a_form_for_an_upgrade_is_one_that_any_service_can_bind() -> None:
    upgrade = Upgrade(target_offer=Offer(id="A1", actions=["Edit"]), upgrade_type=UpgradeType.UPGRADE_ONLY)
    body = media.encode(write(upgrade), FORM, "Upgrade")
    assert body == b"targetOffer.id=A1&targetOffer.actions%5B0%5D=Edit&upgradeType=upgrade_only"
    assert read(Upgrade, media.decode(body, FORM)) == upgrade


# What cannot be sent


class Opaque:
    """Not something JSON can say."""


@pytest.mark.parametrize(
    ("tree", "media_type", "message"),
    [
        ({"a": float("nan")}, media.JSON, "Offer: nan cannot be sent"),
        ({"a": [float("inf")]}, media.XML, "Offer: inf cannot be sent"),
        ({"a": Opaque()}, media.XML, "Offer: a value of type Opaque cannot be sent"),
        ({"a": b"x"}, FORM, "Offer: a value of type bytes cannot be sent"),
        ({1: "x"}, media.JSON, "Offer: an object has a key that is not text"),
        ({"a": 10**5000}, media.JSON, "Offer: "),
        ({"a": 10**5000}, media.XML, "Offer: "),
        (["x"], FORM, "Offer: only an object can be sent as a form"),
        ({}, "text/html", "mediaType: 'text/html' is none of application/json, text/json"),
        ({}, "", "mediaType: '' is none of"),
    ],
)
def test_what_no_body_can_hold_is_refused_before_it_is_sent(tree: Any, media_type: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        media.encode(tree, media_type, "Offer")
    assert str(caught.value).startswith(message)
