"""Whatever a definition holds comes back from every body: read(decode(encode(write(x)))) is x."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pc_provider.partner_center import media, models
from tests.partner_center import strategies

CASES = 1000


@pytest.mark.parametrize("cls", strategies.DEFINITIONS, ids=strategies.name_of)
def test_a_value_survives_every_media_type(cls: Any) -> None:
    @settings(
        max_examples=CASES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategies.values(cls))
    def check(value: Any) -> None:
        tree = models.write(value)
        assert repr(models.read(cls, tree)) == repr(value)
        for media_type in media.REQUEST_TYPES:
            body = media.encode(tree, media_type, cls.__name__)
            back = models.read(cls, media.decode(body, media_type))
            assert back == value
            # Equality alone would take 1 for True.
            assert repr(back) == repr(value)

    check()


@pytest.mark.parametrize("media_type", media.REQUEST_TYPES)
def test_a_tree_survives_every_media_type(media_type: str) -> None:
    @settings(max_examples=CASES, derandomize=True, database=None, deadline=None)
    @given(strategies.objects)
    def check(tree: Any) -> None:
        assert repr(media.decode(media.encode(tree, media_type, "Tree"), media_type)) == repr(tree)

    check()


@pytest.mark.parametrize("media_type", [media.JSON, media.XML])
def test_a_tree_that_is_no_object_survives_too(media_type: str) -> None:
    @settings(max_examples=CASES, derandomize=True, database=None, deadline=None)
    @given(strategies.trees)
    def check(tree: Any) -> None:
        assert repr(media.decode(media.encode(tree, media_type, "Tree"), media_type)) == repr(tree)

    check()


@settings(max_examples=CASES, derandomize=True, database=None, deadline=None)
@given(
    strategies.objects,
    st.sampled_from(media.RESPONSE_TYPES),
    st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
)
def test_a_body_survives_any_unicode_encoding_whatever_its_charset_claims(
    tree: Any, media_type: str, encoding: str
) -> None:
    body = media.encode(tree, media_type, "Tree").decode().encode(encoding)
    for charset in ("", "; charset=utf-8", "; charset=utf-16", "; charset=iso-8859-1", "; charset=nonsense"):
        assert repr(media.decode(body, media_type + charset)) == repr(tree)
