"""What upstreams say of their quotas, in every form, and what hostile ones say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.upstream import quotas
from services.upstream.domain import Quota, QuotaScope
from shared.retry_after import MAX_PAUSE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IN_A_MINUTE = int(NOW.timestamp()) + 60
HOUR = 3600


def said(headers: dict[str, str], status: int = 200) -> list[tuple[int, float]]:
    """The calls that are left and the seconds until there are more, of each quota."""
    found = quotas.read(headers.get, status=status, now=NOW)
    assert all(each.scope is QuotaScope.LANE for each in found)
    return [(each.remaining, each.reset_after.total_seconds()) for each in found]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ratelimit": '"burst";r=50;t=30'}, [(50, 30)]),
        ({"ratelimit": '"burst";t=30;r=50;pk=:dXNlcg==:;x'}, [(50, 30)]),
        ({"ratelimit": "burst; r=50; t=30"}, [(50, 30)]),
        ({"ratelimit": '"burst";r=50;t=30 , "daily";r=3;t=3600'}, [(50, 30), (3, HOUR)]),
        ({"ratelimit": '"daily";r=3;t=3600,"burst";r=50;t=30'}, [(50, 30), (3, HOUR)]),
        ({"ratelimit": '"a;b\\"c";r=1;t=2'}, [(1, 2)]),
        ({"ratelimit": '"burst";r=0', "ratelimit-policy": '"burst";q=10;w=7'}, [(0, 7)]),
        ({"ratelimit": '"a";r=9;t=9,"b";r=1;t=1', "ratelimit-policy": '"b";q=9;qu="content-bytes"'}, [(9, 9)]),
        ({"ratelimit": '"a";r=9;t=9', "ratelimit-policy": '"a";q=9;qu="requests";w=60'}, [(9, 9)]),
        ({"ratelimit": '"a";r=9;t=9', "ratelimit-policy": "100;w=60;;"}, [(9, 9)]),
        ({"ratelimit": "limit=100, remaining=50, reset=30"}, [(50, 30)]),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "50", "ratelimit-reset": "30"}, [(50, 30)]),
        ({"x-ratelimit-remaining": "50", "x-ratelimit-reset": "30"}, [(50, 30)]),
        ({"x-ratelimit-remaining": "50", "x-ratelimit-reset": str(IN_A_MINUTE)}, [(50, 60)]),
        ({"x-ratelimit-remaining": "50", "x-ratelimit-reset": f"{IN_A_MINUTE}.5"}, [(50, 60.5)]),
        ({"x-ratelimit-remaining": "50", "x-ratelimit-reset": f"{IN_A_MINUTE}000"}, [(50, 60)]),
        ({"x-ratelimit-remaining": "50", "x-ratelimit-reset": "0.25"}, [(50, 0.25)]),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(IN_A_MINUTE)}, [(0, 60)]),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "2592000"}, [(5, MAX_PAUSE.total_seconds())]),
    ],
)
def test_each_form_is_read_with_the_tightest_last(headers: dict[str, str], expected: list[tuple[int, float]]) -> None:
    assert said(headers) == expected


def test_one_form_is_taken_where_a_server_sends_several() -> None:
    older = {"ratelimit-remaining": "7", "ratelimit-reset": "7", "x-ratelimit-remaining": "6", "x-ratelimit-reset": "6"}
    assert said(older) == [(7, 7)]
    assert said({**older, "ratelimit": '"a";r=8;t=8'}) == [(8, 8)]
    assert said({**older, "ratelimit": "?"}) == [(7, 7)]


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (429, "17", [(0, 17)]),
        (503, "17", [(0, 17)]),
        (429, "Sun, 01 Mar 2026 12:01:00 GMT", [(0, 60)]),
        (429, "0", []),
        (429, "-1", []),
        (429, "soon", []),
        (200, "17", []),
        (404, "17", []),
        (500, "17", []),
    ],
)
def test_a_pause_that_is_asked_for_is_a_quota_used_up(
    status: int, value: str, expected: list[tuple[int, float]]
) -> None:
    assert said({"retry-after": value}, status) == expected


def test_the_pause_wins_over_the_resets_of_what_is_used_up() -> None:
    headers = {"ratelimit": '"burst";r=0;t=5,"daily";r=10;t=3600', "retry-after": "30"}
    assert said(headers, 429) == [(10, HOUR), (0, 30)]
    assert said(headers, 200) == [(10, HOUR), (0, 5)]


def test_a_refusal_that_tells_the_reset_alone_means_that_nothing_is_left() -> None:
    headers = {"x-ratelimit-reset": "30"}
    assert said(headers, 429) == [(0, 30)]
    assert not said(headers, 200)


def test_times_are_read_by_the_clock_that_wrote_them() -> None:
    fast = {"date": "Sun, 01 Mar 2026 12:00:50 GMT"}
    assert said({**fast, "x-ratelimit-remaining": "5", "x-ratelimit-reset": str(IN_A_MINUTE)}) == [(5, 10)]
    assert said({**fast, "retry-after": "Sun, 01 Mar 2026 12:01:00 GMT"}, 429) == [(0, 10)]
    assert said({**fast, "retry-after": "30"}, 429) == [(0, 30)]


def test_an_answer_out_of_a_cache_says_nothing_of_now() -> None:
    headers = {"ratelimit": '"a";r=1;t=9'}
    assert not said({**headers, "age": "4"})
    assert said({**headers, "age": "0"}) == said({**headers, "age": "x"}) == [(1, 9)]


def test_the_connector_says_whose_quotas_they_are() -> None:
    headers = {"ratelimit": '"a";r=1;t=9', "retry-after": "9"}
    found = quotas.read(headers.get, status=503, now=NOW, scope=QuotaScope.UPSTREAM)
    assert {each.scope for each in found} == {QuotaScope.UPSTREAM}


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            '"a"',
            '"a";r=1',
            '"a";t=1',
            '"a";r=-1;t=1',
            '"a";r=1;t=-1',
            '"a";r=1;t=0',
            '"a";r=1.5;t=1',
            '"a";r=?1;t=1',
        ),
        *(
            '"a";r="1";t=1',
            '"a";r=1;t="1"',
            '"a";r=1;t=1,',
            ',"a";r=1;t=1',
            '"a;r=1;t=1',
            '"a";r=1;t=1 x',
            '"a";R=1;t=1',
        ),
        *('"a";r=NaN;t=1', '"a";r=1e3;t=1', '"a";r=1234567890123456;t=1', '"a";r=1;t=999999999999999', '"ä";r=1;t=1'),
        *(
            '"a";r=1000000001;t=1',
            '("a");r=1;t=1',
            "limit=1, remaining=1",
            "remaining=-1, reset=1",
            '"a";r=1;t=1;pk=:?:',
        ),
        *("remaining=?1, reset=1", "remaining=1;reset=1", '"a";r=٣;t=1', '"a";r=1;t=1;p=:A:', '"a" "b";r=1;t=1'),
    ],
)
def test_a_malformed_or_hostile_field_says_nothing(value: str) -> None:
    assert not said({"ratelimit": value})


@pytest.mark.parametrize(
    ("remaining", "reset"),
    [
        *(("-1", "30"), ("", "30"), ("1.5", "30"), ("NaN", "30"), ("inf", "30"), ("٣", "30"), ("5, 5", "30, 30")),
        *(("9" * 16, "30"), ("1000000001", "30"), ("5", "-30"), ("5", "NaN"), ("5", "inf"), ("5", "1e3"), ("5", "")),
        *(
            ("5", "0"),
            ("5", "9" * 15),
            ("5", "9" * 5000),
            ("5", str(IN_A_MINUTE - 60)),
            ("5", "100000000"),
            ("+5", "30"),
        ),
        *(("5", "0x10"), ("1_0", "30"), ("5\udcff", "30"), ("5", "30\udcff"), ("5", "0.000000001")),
    ],
)
def test_a_malformed_or_hostile_number_says_nothing(remaining: str, reset: str) -> None:
    assert not said({"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset})


def test_no_answer_says_more_than_a_few_things() -> None:
    many = ",".join(f'"p{number}";r={number};t=60' for number in range(500))
    assert said({"ratelimit": many}) == [(number, 60) for number in reversed(range(8))]


_PARTS = [
    '"a"',
    ";r=",
    ";t=",
    ";w=",
    ";pk=:",
    ",",
    " ",
    "-1",
    "0",
    "60",
    "9" * 20,
    str(IN_A_MINUTE),
    "remaining=",
    "\\",
    '"',
]
_HOSTILE = (
    st.text(max_size=60)
    | st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    | st.lists(st.sampled_from(_PARTS), max_size=12).map("".join)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.datetimes().map(lambda time: time.strftime("%a, %d %b %Y %H:%M:%S +2359"))
)
_NAMES = ["ratelimit", "ratelimit-policy", "date", "age", "retry-after"] + [
    f"{family}-{part}" for family in ("ratelimit", "x-ratelimit", "x-rate-limit") for part in ("remaining", "reset")
]


@given(st.dictionaries(st.sampled_from(_NAMES), _HOSTILE), st.sampled_from([200, 429, 503]))
def test_whatever_an_upstream_sends_nothing_is_raised_and_nothing_is_out_of_bounds(
    headers: dict[str, str], status: int
) -> None:
    found = quotas.read(headers.get, status=status, now=NOW)
    assert len(found) <= 8
    for quota in found:
        assert isinstance(quota, Quota)
        assert 0 <= quota.remaining <= 10**9
        assert timedelta() < quota.reset_after <= MAX_PAUSE
