"""One place for identical calls, and another one for any other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.upstream.cache.entries import Answer, Scope, read_answer, spot_of

text = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
params_ = st.dictionaries(text, json_values, max_size=4)
calls = st.tuples(text, text, text, text, st.integers(0, 3), params_)


def digest(*call: Any) -> str:
    tenant, connection, upstream, method, version, params = call
    scope = Scope(connection=connection, upstream=upstream, method=method)
    return spot_of(tenant, scope, credential_version=version, params=params).digest


def typed(value: object) -> object:
    """What is equal only where types are too, as JSON has them, and whatever the order of names."""
    if isinstance(value, dict):
        return "object", sorted((name, repr(typed(each))) for name, each in value.items())
    if isinstance(value, list | tuple):
        return "list", [typed(each) for each in value]
    return type(value).__name__, repr(value)


@given(one=calls, other=calls)
def test_calls_have_the_same_place_only_where_they_are_the_same(one: Any, other: Any) -> None:
    assert (digest(*one) == digest(*other)) == (typed(one) == typed(other))


@given(call=calls)
def test_the_order_of_names_makes_no_difference(call: Any) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(each) for name, each in reversed(value.items())}
        return [turned(each) for each in value] if isinstance(value, list) else value

    assert digest(*call) == digest(*call[:-1], turned(call[-1]))
    assert len(digest(*call)) == 43


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc", "u", "m", 0, {}), ("ab", "c", "u", "m", 0, {})),
        (("a", "c", "um", "", 0, {}), ("a", "c", "u", "m", 0, {})),
        (("a", "c", "u", "m", 0, {"x": 1}), ("a", "c", "u", "m", 0, {"x": 1.0})),
        (("a", "c", "u", "m", 0, {"x": 1}), ("a", "c", "u", "m", 0, {"x": True})),
        (("a", "c", "u", "m", 0, {"x": "1"}), ("a", "c", "u", "m", 0, {"x": 1})),
        (("a", "c", "u", "m", 0, {"x": None}), ("a", "c", "u", "m", 0, {})),
        (("a", "c", "u", "m", 0, {"x": [1, 2]}), ("a", "c", "u", "m", 0, {"x": [2, 1]})),
        (("a", "c", "u", "m", 0, {"x": "\ud800"}), ("a", "c", "u", "m", 0, {"x": "\ud801"})),
        (("a", "c", "u", "m", 0, {"é": 1}), ("a", "c", "u", "m", 0, {"e\u0301": 1})),
    ],
)
def test_what_could_be_mistaken_for_another_is_not(one: Any, other: Any) -> None:
    assert digest(*one) != digest(*other)


def test_the_place_of_a_call_is_the_same_in_every_release() -> None:
    """Another form of keys takes another `_FORM`, or old answers would be read by new rules."""
    assert digest("acme", "con_1", "flickr", "flickr.photos.search", 2, {"tags": "cat", "page": 1}) == PINNED


PINNED = "D9E2o3n32vhflwwU9fu6oTIoTv41XG3oeRNJ2eUaZJo"


@given(status=st.integers(200, 299), headers=st.dictionaries(text, text, max_size=4), body=st.binary(max_size=50))
def test_an_answer_is_read_as_it_was_kept(status: int, headers: dict[str, str], body: bytes) -> None:
    answer = Answer(status=status, headers=headers, size=len(body), body=body)
    assert read_answer(answer.head, body, object_name="", size=len(body)) == answer
    assert json.loads(answer.head)["headers"] == headers


@given(parts=st.tuples(text, text, text))
def test_a_scope_is_one_line_a_part(parts: tuple[str, str, str]) -> None:
    connection, upstream, method = parts
    scope = Scope(connection=connection, upstream=upstream, method=method)
    assert len(scope.text.split("\n")) == 3
    assert scope.fits(Scope())
    assert scope.fits(scope)
