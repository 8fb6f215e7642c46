"""Figures: histograms true to 5 %, what counts where, ranges, and a tally that counts once whatever happens."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock.history.v1 import stats_pb2

from services.history.jobs.domain import Mark
from services.history.stats.counting import counted
from services.history.stats.domain import Bucket, Figures, Group, Level, MarkedJob, Stretch
from services.history.stats.histogram import ACCURACY, Histogram
from services.history.stats.messages import asked_of, message_of
from services.history.stats.ranges import cover, range_of
from services.history.stats.reader import StatsReader
from services.history.stats.tally import Tally
from shared.errors import InvalidArgument, Unavailable
from tests.fakes import history_jobs
from tests.fakes.history_stats import FakeLeases, FakeStats
from tests.fakes.history_store import FakeHistory

if TYPE_CHECKING:
    from penstock.events.v1 import events_pb2

NOW = history_jobs.NOW
_MICROSECOND = timedelta(microseconds=1)
_DURATIONS = st.lists(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=8)), min_size=1, max_size=80)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class At:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW


@given(_DURATIONS, _DURATIONS, st.floats(0.001, 1))
def test_percentiles_of_what_was_added_up_are_true_to_5_percent(
    some: list[timedelta], others: list[timedelta], share: float
) -> None:
    histogram, other = Histogram(), Histogram()
    for into, durations in ((histogram, some), (other, others)):
        for duration in durations:
            into.add(duration)
    histogram.merge(other.counts, other.longest_us)
    together = sorted(some + others)
    exact = together[math.ceil(share * len(together)) - 1]
    (found,) = histogram.percentiles(share)
    assert abs(found - exact) <= ACCURACY * exact + _MICROSECOND
    assert histogram.count == len(together)
    assert histogram.longest == together[-1]


def test_times_below_zero_are_zero() -> None:
    histogram = Histogram()
    histogram.add(timedelta(seconds=-3))
    assert (histogram.percentiles(0.5, 0.99), histogram.longest) == ([timedelta()] * 2, timedelta())


def marked(submission: events_pb2.JobEvent, event: events_pb2.JobEvent, *marks: Mark) -> MarkedJob:
    job = submission.submission.job
    return MarkedJob(
        job_id=job.id,
        tenant=submission.tenant,
        upstream=job.upstream,
        method=job.method,
        connection_id=job.connection_id,
        job=job.SerializeToString(),
        event=event.SerializeToString(),
        uncounted=marks or tuple(Mark),
        counted=(),
    )


@pytest.mark.parametrize(
    ("ended", "waits", "runs", "attempts"),
    [
        ({}, 1, 1, 1),
        ({"state": "FAILED", "reason": "UPSTREAM_STATUS"}, 1, 1, 1),
        ({"state": "CANCELED", "wait": None}, 0, 0, 0),
        ({"state": "EXPIRED"}, 1, 0, 1),  # it waited after its attempt, for nobody knows how long
    ],
)
def test_what_a_job_did_not_do_has_no_latency(ended: dict[str, object], waits: int, runs: int, attempts: int) -> None:
    submission = history_jobs.submission("http-1")
    end = history_jobs.end(submission, **ended)  # pyright: ignore[reportArgumentType]  the table holds several types
    figures = counted([marked(submission, end)], now=NOW + HOUR)
    whole = figures[Bucket(Group(tenant="acme"), Level.HOUR, Level.HOUR.start(NOW))]
    assert (whole.wait.count, whole.run.count, whole.total.count, whole.attempts) == (waits, runs, 1, attempts)


def test_a_job_counts_where_it_was_accepted_and_where_it_ended() -> None:
    midnight = datetime(2026, 5, 4, tzinfo=UTC)
    submission = history_jobs.submission("http-1", at=midnight - timedelta(seconds=1))
    figures = counted([marked(submission, history_jobs.end(submission))], now=NOW)
    by_day = {
        bucket.start: (each.submitted, each.ended.total())
        for bucket, each in figures.items()
        if bucket.level is Level.DAY and bucket.group == Group(tenant="acme")
    }
    assert by_day == {midnight - DAY: (1, 0), midnight: (0, 1)}
    later = counted([marked(submission, history_jobs.end(submission))], now=NOW + timedelta(days=3))
    assert Level.MINUTE not in {bucket.level for bucket in later}, "nobody may ask for it by the minute any more"


def test_what_was_counted_before_is_not_counted_again() -> None:
    submission = history_jobs.submission("http-1")
    job = marked(submission, history_jobs.end(submission))
    again = MarkedJob(**{name: getattr(job, name) for name in MarkedJob.__slots__} | {"counted": (Mark.SUBMISSION,)})
    figures = counted([again], now=NOW)[Bucket(Group(tenant="acme"), Level.DAY, Level.DAY.start(NOW))]
    assert (figures.submitted, figures.ended.total()) == (0, 1)


_WITHIN_HOURS = st.timedeltas(min_value=timedelta(), max_value=timedelta(hours=30))
_SCHEDULE = st.lists(
    st.sampled_from(["write", "again", "look", "take over", "lost before", "lost after"]), min_size=5, max_size=40
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(_WITHIN_HOURS, _WITHIN_HOURS, st.booleans()), min_size=1, max_size=8), _SCHEDULE, st.randoms()
)
async def test_each_job_is_counted_once_whatever_happens(jobs, schedule, rng) -> None:  # noqa: ANN001  hypothesis' own
    submissions = [
        history_jobs.submission(f"http-{number}", at=NOW - timedelta(hours=40) + accepted)
        for number, (accepted, _, _) in enumerate(jobs)
    ]
    events = [
        event
        for submission, (_, total, ends) in zip(submissions, jobs, strict=True)
        for event in (submission, history_jobs.start(submission), history_jobs.end(submission, total=total))[
            : 3 if ends else 2
        ]
    ]
    history, leases = FakeHistory(), FakeLeases()
    stats = FakeStats(history, leases)
    tallies = [Tally(stats, leases, clock=At(), idle=nothing_more) for _ in range(2)]
    rng.shuffle(events)
    unseen = list(events)
    for step in schedule:
        if step == "write" and unseen:
            await history.apply(history_jobs.entries(unseen.pop()))
        elif step == "again":
            await history.apply(history_jobs.entries(rng.choice(events)))
        elif step == "look":
            with suppress(Unavailable):
                await rng.choice(tallies).look()
        elif step == "take over":
            leases.holder = None
        else:
            stats.failures.append(step.removeprefix("lost "))
    await history.apply(history_jobs.entries(*unseen, *events))
    stats.failures.clear()
    for tally in tallies:
        await tally.look()
    assert history.uncounted() == []
    for level in Level:
        naive = Counter(level.start(each.time.ToDatetime(tzinfo=UTC)) for each in events if each.revision in {1, 3})
        kept = {
            bucket.start: each.submitted + each.ended.total()
            for bucket, each in stats.kept.items()
            if bucket.level is level and bucket.group == Group(tenant="acme", upstream="http", method="http.get")
        }
        assert kept == naive


async def nothing_more() -> bool:
    return False


@given(
    st.sampled_from(list(Level)),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 2, 1), timezones=st.just(UTC)),  # noqa: DTZ001  the bounds are naive
    st.timedeltas(MINUTE, timedelta(days=4)),
)
def test_a_range_is_made_of_few_buckets_that_leave_nothing_out(
    level: Level, start: datetime, length: timedelta
) -> None:
    whole = Stretch(level, level.start(start), level.end(start + length))
    stretches = sorted(cover(whole), key=lambda each: each.start)
    assert [each.start for each in stretches] == [whole.start, *(each.end for each in stretches[:-1])]
    assert stretches[-1].end == whole.end
    assert sum((each.end - each.start) // each.level.length for each in stretches) <= 2 * 59 + 2 * 23 + 5
    for each in stretches:
        assert each.start == each.level.start(each.start)
        assert each.end == each.level.end(each.end)


@pytest.mark.parametrize(
    ("start", "end", "interval", "level", "count"),
    [
        (None, None, None, Level.HOUR, 25),
        (NOW - timedelta(minutes=99), None, None, Level.MINUTE, 100),
        (NOW - timedelta(minutes=100), None, None, Level.HOUR, 3),
        (NOW - timedelta(days=3), NOW - timedelta(days=3) + MINUTE, None, Level.HOUR, 1),  # no minutes so far back
        (NOW - timedelta(hours=101), None, None, Level.DAY, 5),
        (NOW - timedelta(days=90), None, None, Level.DAY, 91),
        (NOW - timedelta(days=90), None, HOUR, Level.HOUR, 90 * 24 + 1),
        (NOW - timedelta(hours=48), NOW + HOUR, MINUTE, Level.MINUTE, 48 * 60 + 1),
        (None, NOW - timedelta(days=90) + HOUR, None, Level.MINUTE, 0),
    ],
)
def test_ranges_are_whole_buckets(
    start: datetime | None, end: datetime | None, interval: timedelta | None, level: Level, count: int
) -> None:
    whole = range_of(start, end, interval, now=NOW)
    if count:
        assert (whole.level, (whole.end - whole.start) // whole.level.length) == (level, count)
    assert whole.start <= (start or whole.start)
    assert whole.end >= min(end or NOW, NOW)
    assert interval is not None or (whole.end - whole.start) / whole.level.length <= 100


@pytest.mark.parametrize(
    ("fields", "path", "way_out"),
    [
        ({"start_time": NOW}, "startTime", "before now"),
        (
            {"start_time": NOW - HOUR, "end_time": NOW - DAY},
            "startTime",
            "before endTime, which is 2026-05-03T10:30:15Z",
        ),
        ({"start_time": NOW - timedelta(days=91)}, "startTime", "give 2026-02-03T10:30:15Z or a later one"),
        ({"end_time": NOW - timedelta(days=91)}, "endTime", "go back 90 days, to 2026-02-03T10:30:15Z"),
        ({"interval": Duration(seconds=61)}, "interval", "is 61s; it takes 60s, 3600s or 86400s"),
        ({"interval": Duration(seconds=2**62)}, "interval", "it takes 60s, 3600s or 86400s"),
        ({"interval": Duration(seconds=60), "start_time": NOW - timedelta(days=3)}, "interval", "give 3600s"),
        ({"upstream": "NO SLUG"}, "upstream", "'NO SLUG'"),
        ({"connection_id": "x"}, "connectionId", "'x'"),
    ],
)
def test_a_bad_range_is_told_with_the_way_out(fields: dict[str, object], path: str, way_out: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        asked_of(stats_pb2.GetStatsRequest(**fields), tenant="acme", now=NOW)  # pyright: ignore[reportArgumentType]  as above
    assert [each.field for each in refused.value.violations] == [path]
    assert way_out in str(refused.value)


async def test_an_empty_range_is_told_as_one() -> None:
    history, leases = FakeHistory(), FakeLeases()
    group, whole = asked_of(stats_pb2.GetStatsRequest(), tenant="acme", now=NOW)
    report = await StatsReader(FakeStats(history, leases)).report(group, whole)
    message = message_of(report)
    assert (message.total.submitted, len(message.buckets), message.interval.seconds) == (0, 0, 3600)
    assert not message.total.HasField("wait")
    assert report.total == Figures()
