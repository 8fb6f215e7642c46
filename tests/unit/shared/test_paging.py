from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgument
from shared.paging import PageTokens, Position, page_size

TOKENS = PageTokens(b"a key")
POSITION = Position(created_at=datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC), id="key_1")


def refused_path(token: str, *, bound_to: str = "acme", tokens: PageTokens = TOKENS) -> str:
    with pytest.raises(InvalidArgument) as refused:
        tokens.read(token, bound_to=bound_to)
    return refused.value.violations[0].field


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001  hypothesis adds the zone
    st.uuids().map(lambda number: f"key_{number}"),
    st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")),
)
def test_a_token_leads_back_to_its_position(time: datetime, key_id: str, bound_to: str) -> None:
    position = Position(created_at=time.replace(microsecond=time.microsecond // 1000 * 1000), id=key_id)
    token = TOKENS.make(position, bound_to=bound_to)
    assert TOKENS.read(token, bound_to=bound_to) == position


def test_no_token_asks_for_the_first_page() -> None:
    assert TOKENS.read("", bound_to="acme") is None


def test_a_token_of_another_tenant_is_refused() -> None:
    assert refused_path(TOKENS.make(POSITION, bound_to="other")) == "pageToken"


def test_a_token_under_another_key_is_refused() -> None:
    assert refused_path(PageTokens(b"another key").make(POSITION, bound_to="acme")) == "pageToken"


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(base64.urlsafe_b64decode(TOKENS.make(POSITION, bound_to="acme")))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    assert refused_path(base64.urlsafe_b64encode(bytes(sealed)).decode()) == "pageToken"


@given(st.text(min_size=1))
def test_any_other_text_is_refused(text: str) -> None:
    assert refused_path(text) == "pageToken"


@pytest.mark.parametrize("text", ["A" * 100_000, "AAAA", "=", "\udcff"])
def test_what_is_no_token_at_all_is_refused(text: str) -> None:
    assert refused_path(text) == "pageToken"


@pytest.mark.parametrize(("asked", "given_"), [(0, 50), (1, 1), (500, 500), (501, 500), (2**31 - 1, 500)])
def test_a_page_has_a_default_and_a_largest_size(asked: int, given_: int) -> None:
    assert page_size(asked) == given_


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        page_size(-1)
    assert refused.value.violations[0].field == "pageSize"
