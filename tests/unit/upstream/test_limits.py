"""What a connector may say of its upstream's limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.upstream.connectors.http_methods import UPSTREAM
from services.upstream.domain import Kind
from services.upstream.limits import BreakerPolicy, Budget, Limits, LimitsError, Rate, check

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(lane=Budget(concurrency=1)),
        Limits(upstream=Budget(rates=tuple(Rate(calls=1, window=SECOND * (n + 1)) for n in range(4)))),
        Limits(classes={Kind.READ: Budget(rates=(Rate(calls=2**31 - 1, window=DAY),))}),
        Limits(lane_classes={Kind.UPLOAD: Budget(rates=(Rate(calls=35, window=SECOND * 6),), concurrency=2)}),
    ],
)
def test_sound_limits_pass(limits: Limits) -> None:
    check(replace(UPSTREAM, limits=limits))


def rated(calls: int, window: timedelta = MINUTE) -> Budget:
    return Budget(rates=(Rate(calls=calls, window=window),))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(upstream=rated(0)), "limits.upstream.rates[0].calls is 0"),
        (Limits(upstream=rated(-5)), "limits.upstream.rates[0].calls is -5"),
        (Limits(upstream=rated(2**31)), "limits.upstream.rates[0].calls is 2147483648"),
        (Limits(lane=rated(1, timedelta())), "limits.lane.rates[0].window is 0 s"),
        (Limits(lane=rated(1, timedelta(milliseconds=999))), "limits.lane.rates[0].window is 0.999 s"),
        (Limits(lane=rated(1, DAY + SECOND)), "limits.lane.rates[0].window is 86401 s"),
        (Limits(classes={Kind.WRITE: rated(1, -MINUTE)}), "limits.classes.write.rates[0].window is -60 s"),
        (Limits(lane_classes={Kind.READ: Budget(concurrency=-1)}), "limits.lane_classes.read.concurrency is -1"),
        (Limits(lane=Budget(rates=(*rated(1).rates, *rated(2).rates))), "limits.lane.rates[1].window is 60 s"),
        (
            Limits(lane=Budget(rates=tuple(Rate(calls=1, window=SECOND * (n + 1)) for n in range(5)))),
            "limits.lane.rates are 5",
        ),
    ],
)
def test_nonsense_limits_are_refused_by_upstream_field_and_value(limits: Limits, said: str) -> None:
    with pytest.raises(LimitsError) as caught:
        check(replace(UPSTREAM, limits=limits))
    assert "the upstream http " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("breaker", "said"),
    [
        (BreakerPolicy(throttles=0), "breaker.throttles is 0"),
        (BreakerPolicy(min_calls=-1), "breaker.min_calls is -1"),
        (BreakerPolicy(failure_ratio=0), "breaker.failure_ratio is 0"),
        (BreakerPolicy(failure_ratio=1.01), "breaker.failure_ratio is 1.01"),
        (BreakerPolicy(failure_ratio=-0.5), "breaker.failure_ratio is -0.5"),
        (BreakerPolicy(failure_ratio=float("nan")), "breaker.failure_ratio is nan"),
        (BreakerPolicy(window=DAY * 2), "breaker.window is 172800 s"),
        (BreakerPolicy(failure_pause=timedelta()), "breaker.failure_pause is 0 s"),
        (BreakerPolicy(max_pause=MINUTE), "breaker.throttle_pause is 300 s; max_pause is only 60 s"),
    ],
)
def test_a_nonsense_breaker_is_refused_by_field_and_value(breaker: BreakerPolicy, said: str) -> None:
    with pytest.raises(LimitsError) as caught:
        check(replace(UPSTREAM, breaker=breaker))
    assert said in str(caught.value)


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(LimitsError) as caught:
        check(replace(UPSTREAM, limits=Limits(lane=rated(0, timedelta())), breaker=BreakerPolicy(throttles=0)))
    assert str(caught.value).count(" is 0") == 3


def test_the_param_that_makes_the_lane_is_one_of_every_method() -> None:
    with pytest.raises(LimitsError, match=r"lane_param is 'uri'; http\.get has no param of that name"):
        check(replace(UPSTREAM, lane_param="uri"))
    check(replace(UPSTREAM, lane_param=""))
