"""Who sees and holds back what: a tenant its own, an operator all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from penstock.scheduler.v1 import queues_pb2
from penstock.upstream.v1 import limits_pb2

from services.scheduler.limits import Budget, Rate
from services.scheduler.queue_servicer import QueueServicer
from services.scheduler.rules import Offer
from services.scheduler.settings import Settings
from services.scheduler.views import BreakerView, BudgetUse, LaneView, QueueView
from shared.clock import SystemClock
from shared.errors import InvalidArgument, PenstockError, PermissionDenied, Unavailable, UpstreamNotFound
from shared.identity import Principal, PrincipalKind
from shared.permissions import ADMIN_SCOPES, Scope
from shared.rpc import call
from tests.fakes.bucket import FakeBucket
from tests.fakes.queue_settings import Announced, Known, SetQueue

NOW_MS = 1_769_860_800_000
SEEN = QueueView(
    ready=5,
    delayed=2,
    leased=1,
    by_priority=(1, 4, 2),
    oldest_ready_ms=NOW_MS,
    drain_rate=2.5,
    tenants=3,
    budgets=(
        BudgetUse(
            scope="upstream:read",
            budget=Budget(rates=(Rate(calls=35, window=timedelta(seconds=6)),), concurrency=4),
            used=(7,),
            running=2,
            remaining=0,
            resets_at_ms=NOW_MS + 1000,
        ),
    ),
    breaker=BreakerView(half_open=False, until_ms=NOW_MS + 2000, opened=2, cause="throttled"),
    pauses=(),
    suspensions=(),
    lanes=(
        LaneView(
            tenant="acme",
            lane="con_1",
            waiting=7,
            budgets=(BudgetUse(scope="lane", budget=Budget(concurrency=1), used=(), running=1),),
            breaker=BreakerView(half_open=True, until_ms=NOW_MS, opened=1, cause="failing"),
        ),
    ),
)


@dataclass
class Rebuilds:
    """Recovery, noted."""

    recovered: list[str] = field(default_factory=list)
    error: PenstockError | None = None

    async def recover(self, upstream: str) -> None:
        if self.error is not None:
            raise self.error
        self.recovered.append(upstream)


class Desk:
    """The servicer, called as anyone."""

    def __init__(self) -> None:
        self.queue = SetQueue(seen=SEEN)
        self.recovery = Rebuilds()
        settings = Settings(
            bucket=FakeBucket(), queue=cast("Any", self.queue), signals=Announced(), clock=SystemClock()
        )
        for upstream in ("flickr", "http"):
            settings.offer(upstream, Offer())
        self.servicer = QueueServicer(
            upstreams=cast("Any", Known(("http", "flickr"))),
            queue=cast("Any", self.queue),
            settings=settings,
            recovery=self.recovery,
        )

    async def ask(self, request: Any, *scopes: Scope, tenant: str = "acme") -> Any:
        """The answer to a request, asked with an admin key's scopes and these."""
        rpc = type(request).__name__.removesuffix("Request")
        principal = Principal(
            kind=PrincipalKind.KEY, id="key_1", tenant=tenant, scopes=frozenset({*ADMIN_SCOPES, *scopes})
        )
        call.enter(
            call.Call(method=rpc, service="scheduler", metadata={}, context=cast("Any", None), principal=principal)
        )
        return await getattr(self.servicer, rpc)(request, None)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_queue_is_shown_with_all_that_is_known_of_it(desk: Desk) -> None:
    queue = await desk.ask(queues_pb2.GetQueueRequest(upstream="flickr"))
    assert (queue.upstream, queue.tenant, queue.tenants, queue.drain_rate) == ("flickr", "acme", 3, 2.5)
    assert queue.depth == queues_pb2.Depth(ready=5, delayed=2, leased=1, high=1, normal=4, low=2)
    assert queue.oldest_waiting_since.ToMilliseconds() == NOW_MS
    (budget,) = queue.budgets
    assert (budget.scope, list(budget.used), budget.running, budget.remaining) == ("upstream:read", [7], 2, 0)
    assert budget.resets_at.ToMilliseconds() == NOW_MS + 1000
    expected = limits_pb2.Budget(concurrency=4)
    expected.rates.add(calls=35).window.FromSeconds(6)
    assert budget.budget == expected
    assert queue.breaker.state == queues_pb2.Breaker.OPEN
    (lane,) = queue.lanes
    assert (lane.tenant, lane.lane, lane.waiting) == ("acme", "con_1", 7)
    assert lane.breaker.state == queues_pb2.Breaker.HALF_OPEN
    assert not lane.budgets[0].HasField("remaining")
    assert not lane.budgets[0].HasField("resets_at")
    assert not queue.recovering


@pytest.mark.parametrize(
    ("asked", "operator", "seen"),
    [("", False, "acme"), ("acme", False, "acme"), ("", True, "acme"), ("-", True, ""), ("other", True, "other")],
)
async def test_whose_jobs_are_counted_is_the_callers_say_within_its_bounds(
    desk: Desk, *, asked: str, operator: bool, seen: str
) -> None:
    scopes = [Scope.OPERATOR] if operator else []
    queue = await desk.ask(queues_pb2.GetQueueRequest(upstream="flickr", tenant=asked), *scopes)
    assert queue.tenant == seen
    assert desk.queue.asked == [(seen, 10)]


@pytest.mark.parametrize("tenant", ["-", "other", "No Slug"])
@pytest.mark.parametrize(
    "request_type",
    [
        queues_pb2.ListQueuesRequest,
        queues_pb2.GetQueueRequest,
        queues_pb2.PauseQueueRequest,
        queues_pb2.ResumeQueueRequest,
    ],
)
async def test_what_is_not_ones_own_needs_the_operators_scope(desk: Desk, request_type: Any, tenant: str) -> None:
    named = {} if request_type is queues_pb2.ListQueuesRequest else {"upstream": "flickr"}
    with pytest.raises(PermissionDenied, match="'operator'"):
        await desk.ask(request_type(tenant=tenant, **named))
    assert desk.queue.pauses == {}
    assert desk.queue.asked == []


async def test_an_operator_names_tenants_as_they_are_named(desk: Desk) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(queues_pb2.GetQueueRequest(upstream="flickr", tenant="No Slug"), Scope.OPERATOR)
    assert [violation.field for violation in refused.value.violations] == ["tenant"]


@pytest.mark.parametrize(("asked", "shown"), [(0, 10), (3, 3), (100, 100), (101, 100)])
async def test_as_many_lanes_are_shown_as_asked_for_up_to_a_hundred(desk: Desk, asked: int, shown: int) -> None:
    await desk.ask(queues_pb2.GetQueueRequest(upstream="flickr", lanes=asked))
    assert desk.queue.asked == [("acme", shown)]


async def test_a_negative_number_of_lanes_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidArgument, match="lanes: is -1"):
        await desk.ask(queues_pb2.GetQueueRequest(upstream="flickr", lanes=-1))


async def test_queues_come_in_pages_in_the_order_of_their_names(desk: Desk) -> None:
    first = await desk.ask(queues_pb2.ListQueuesRequest(page_size=1))
    assert [queue.upstream for queue in first.queues] == ["flickr"]
    second = await desk.ask(queues_pb2.ListQueuesRequest(page_size=1, page_token=first.next_page_token))
    assert [queue.upstream for queue in second.queues] == ["http"]
    assert second.next_page_token == ""
    assert {lanes for _, lanes in desk.queue.asked} == {0}
    whole = await desk.ask(queues_pb2.ListQueuesRequest())
    assert [queue.upstream for queue in whole.queues] == ["flickr", "http"]


async def test_a_page_token_is_good_for_its_own_list_alone(desk: Desk) -> None:
    token = (await desk.ask(queues_pb2.ListQueuesRequest(page_size=1))).next_page_token
    for request in (
        queues_pb2.ListQueuesRequest(page_token=token, tenant="-"),
        queues_pb2.ListQueuesRequest(page_token="forged"),
        queues_pb2.ListQueuesRequest(page_token="MTphY21l"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await desk.ask(request, Scope.OPERATOR, tenant="acme" if request.tenant else "other")
        assert [violation.field for violation in refused.value.violations] == ["pageToken"]
    with pytest.raises(InvalidArgument, match="pageSize"):
        await desk.ask(queues_pb2.ListQueuesRequest(page_size=-1))


@pytest.mark.parametrize(
    "request_type",
    [
        queues_pb2.GetQueueRequest,
        queues_pb2.PauseQueueRequest,
        queues_pb2.ResumeQueueRequest,
        queues_pb2.GetQueueSettingsRequest,
        queues_pb2.RecoverQueueRequest,
    ],
)
async def test_an_unknown_upstream_is_not_found(desk: Desk, request_type: Any) -> None:
    with pytest.raises(UpstreamNotFound):
        await desk.ask(request_type(upstream="flicker"), Scope.OPERATOR)


async def test_settings_of_an_unknown_upstream_are_not_kept(desk: Desk) -> None:
    request = queues_pb2.SetQueueSettingsRequest(upstream="flicker", settings=queues_pb2.QueueSettings())
    with pytest.raises(UpstreamNotFound):
        await desk.ask(request, Scope.OPERATOR)


async def test_a_tenant_pauses_and_resumes_its_own_jobs_or_a_lane_of_them(desk: Desk) -> None:
    paused = await desk.ask(queues_pb2.PauseQueueRequest(upstream="flickr", reason="maintenance"))
    assert [(pause.tenant, pause.lane, pause.reason) for pause in paused.pauses] == [("acme", "", "maintenance")]
    assert paused.pauses[0].HasField("paused_at")
    both = await desk.ask(queues_pb2.PauseQueueRequest(upstream="flickr", lane="con_1"))
    assert [(pause.tenant, pause.lane) for pause in both.pauses] == [("acme", ""), ("acme", "con_1")]
    left = await desk.ask(queues_pb2.ResumeQueueRequest(upstream="flickr"))
    assert [(pause.tenant, pause.lane) for pause in left.pauses] == [("acme", "con_1")]


async def test_an_operator_pauses_all_tenants_and_each_of_them_sees_it(desk: Desk) -> None:
    await desk.ask(queues_pb2.PauseQueueRequest(upstream="flickr", tenant="-", reason="quota"), Scope.OPERATOR)
    await desk.ask(queues_pb2.PauseQueueRequest(upstream="flickr", tenant="other"), Scope.OPERATOR)
    assert set(desk.queue.pauses) == {("flickr", "", ""), ("flickr", "other", "")}
    seen = await desk.ask(queues_pb2.GetQueueRequest(upstream="flickr"))
    assert [(pause.tenant, pause.reason) for pause in seen.pauses] == [("", "quota")]
    await desk.ask(queues_pb2.ResumeQueueRequest(upstream="flickr", tenant="-"), Scope.OPERATOR)
    assert set(desk.queue.pauses) == {("flickr", "other", "")}


@pytest.mark.parametrize(
    ("request_", "field_"),
    [
        (queues_pb2.PauseQueueRequest(upstream="flickr", tenant="-", lane="con_1"), "lane"),
        (queues_pb2.ResumeQueueRequest(upstream="flickr", tenant="-", lane="con_1"), "lane"),
        (queues_pb2.PauseQueueRequest(upstream="flickr", lane="a b"), "lane"),
        (queues_pb2.PauseQueueRequest(upstream="flickr", reason="r" * 257), "reason"),
        (queues_pb2.SetQueueSettingsRequest(upstream="flickr"), "settings"),
        (
            queues_pb2.SetQueueSettingsRequest(
                upstream="flickr", settings=queues_pb2.QueueSettings(weights={"acme": 0})
            ),
            "settings.weights.acme",
        ),
    ],
)
async def test_what_cannot_be_done_is_refused_by_its_field(desk: Desk, request_: Any, field_: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(request_, Scope.OPERATOR)
    assert [violation.field for violation in refused.value.violations] == [field_]
    assert (desk.queue.pauses, desk.queue.rules) == ({}, {})


async def test_settings_are_answered_as_they_were_set(desk: Desk) -> None:
    settings = queues_pb2.QueueSettings(weights={"acme": 3})
    settings.limits.lane.concurrency = 2
    request = queues_pb2.SetQueueSettingsRequest(upstream="flickr", settings=settings)
    assert await desk.ask(request, Scope.OPERATOR) == settings
    assert await desk.ask(queues_pb2.GetQueueSettingsRequest(upstream="flickr"), Scope.OPERATOR) == settings
    assert desk.queue.rules["flickr"].limits.lane == Budget(concurrency=2)


async def test_a_queue_that_is_rebuilt_says_so_and_nothing_else(desk: Desk) -> None:
    desk.queue.lost = True
    queue = await desk.ask(queues_pb2.GetQueueRequest(upstream="flickr"))
    assert queue == queues_pb2.Queue(upstream="flickr", tenant="acme", recovering=True)
    listed = await desk.ask(queues_pb2.ListQueuesRequest())
    assert [each.recovering for each in listed.queues] == [True, True]


async def test_an_operator_has_a_queue_rebuilt(desk: Desk) -> None:
    queue = await desk.ask(queues_pb2.RecoverQueueRequest(upstream="flickr"), Scope.OPERATOR)
    assert desk.recovery.recovered == ["flickr"]
    assert (queue.upstream, queue.tenant) == ("flickr", "")


async def test_a_rebuild_that_cannot_be_begun_is_an_error(desk: Desk) -> None:
    desk.recovery.error = Unavailable("Redis does not answer")
    with pytest.raises(Unavailable, match="Redis"):
        await desk.ask(queues_pb2.RecoverQueueRequest(upstream="flickr"), Scope.OPERATOR)


async def test_a_rebuild_goes_on_when_its_caller_has_gone(desk: Desk) -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def recover(_: str) -> None:
        await go_on.wait()
        done.set()

    desk.recovery.recover = recover  # type: ignore[method-assign]  as slow as the test wants
    asking = asyncio.create_task(desk.ask(queues_pb2.RecoverQueueRequest(upstream="flickr"), Scope.OPERATOR))
    await asyncio.wait({asking}, timeout=0.05)
    asking.cancel()
    await asyncio.wait({asking})
    go_on.set()
    await asyncio.wait_for(done.wait(), 30)
