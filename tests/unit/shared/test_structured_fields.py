"""Lists and dictionaries of RFC 9651, as far as they are read here."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.structured_fields import (
    Bare,
    InnerList,
    Item,
    MalformedFieldError,
    Token,
    parse_dictionary,
    parse_inner_lists,
    parse_list,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-42", -42),
        ("999999999999999", 999_999_999_999_999),
        ("1.5", 1.5),
        ("-0.125", -0.125),
        ('"a \\"b\\" \\\\ c"', 'a "b" \\ c'),
        ('""', ""),
        ("foo/bar:*", Token("foo/bar:*")),
        ("*", Token("*")),
        ("?0", False),
        ("?1", True),
        (":aGk=:", b"hi"),
        ("::", b""),
    ],
)
def test_each_kind_of_value_is_read_as_what_it_is(text: str, value: Bare) -> None:
    (item,) = parse_list(text)
    assert (item.value, type(item.value)) == (value, type(value))
    assert parse_list(f"x;p={text}")[0].parameters == {"p": value}


def test_members_keep_their_order_and_the_last_parameter_of_a_name_stands() -> None:
    assert parse_list('  a;x=1;  y;x=2 \t,\t"b"  ') == [Item("a", {"x": 2, "y": True}), Item("b", {})]
    assert parse_list("") == []


def test_a_dictionary_has_its_members_by_key() -> None:
    assert parse_dictionary('a=1;p, b, c="x";q=2, a=3') == {
        "a": Item(3, {}),
        "b": Item(True, {}),  # noqa: FBT003  a value
        "c": Item("x", {"q": 2}),
    }


def test_inner_lists_come_with_their_items_their_parameters_and_as_they_were_written() -> None:
    text = ' a=("x" y;p=1);q="(";r, b=(  ), a=(1  "z" ) ,c=( :aGk=:);n=2 '
    assert parse_inner_lists(text) == {
        "a": InnerList([Item(1, {}), Item("z", {})], {}, '(1  "z" )'),
        "b": InnerList([], {}, "(  )"),
        "c": InnerList([Item(b"hi", {})], {"n": 2}, "( :aGk=:);n=2"),
    }
    (inner,) = parse_inner_lists('a=("x" y;p=1);q="(";r').values()
    assert inner == InnerList([Item("x", {}), Item("y", {"p": 1})], {"q": "(", "r": True}, '("x" y;p=1);q="(";r')
    assert parse_inner_lists("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a=1",
        "a=(",
        'a=("x"',
        'a=("x""y")',
        'a=("x",)',
        "a=(1\t2)",
        "a=((1))",
        "a=() b=()",
        "a=(),",
        "(1)",
        "a=() ;b",
    ],
)
def test_what_is_no_dictionary_of_inner_lists_is_malformed(text: str) -> None:
    with pytest.raises(MalformedFieldError):
        parse_inner_lists(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            ",",
            "a,",
            ",a",
            "a,,b",
            "a b",
            "a;",
            "a;=1",
            "a;X=1",
            "a;x=",
            "a; =1",
            "a ;x=1",
            "1.",
            ".5",
            "1.2345",
            "1.2.3",
        ),
        *(
            "1234567890123.1",
            "1234567890123456",
            "--1",
            "+1",
            '"a',
            'a"',
            '"\\x"',
            '"ä"',
            '"\x00"',
            "?2",
            "?",
            ":a:",
            ":?:",
        ),
        *("(a b)", "@1", '%"x"', "ä", "\udcff", "٣", "\ta", "a\n"),
    ],
)
def test_what_is_malformed_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(MalformedFieldError):
        parse_list(text)


def _written(value: Bare) -> str:
    if isinstance(value, bool):
        return f"?{value:d}"
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode()}:"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


_BARE = (
    st.booleans()
    | st.integers(-(10**15) + 1, 10**15 - 1)
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
    | st.binary()
)
_KEYS = st.from_regex(r"[a-z*][a-z0-9_\-.*]{0,8}", fullmatch=True)


@pytest.mark.usefixtures("uncounted")
@given(st.lists(st.tuples(_BARE, st.dictionaries(_KEYS, _BARE))))
def test_what_is_written_by_the_rfc_is_read_as_it_was_meant(members: list[tuple[Bare, dict[str, Bare]]]) -> None:
    parts = [_written(bare) + "".join(f";{k}={_written(v)}" for k, v in p.items()) for bare, p in members]
    assert parse_list(", ".join(parts)) == [Item(bare, parameters) for bare, parameters in members]


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_nothing_is_raised_but_that_it_is_malformed(text: str) -> None:
    for parse in (parse_list, parse_dictionary, parse_inner_lists):
        try:
            parse(text)
        except MalformedFieldError:
            continue
