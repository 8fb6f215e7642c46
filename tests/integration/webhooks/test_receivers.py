"""Endpoints that behave in every way in which servers do, and what is known of it afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.integration.webhooks.receiver import Answer
from tests.integration.webhooks.receiver import receiver as receiver_
from tests.integration.webhooks.tenant import State, tenant_at
from tests.waiting import eventually

if TYPE_CHECKING:
    from penstock.webhooks.v1.deliveries_pb2 import Delivery

    from shared.mongo import Client
    from tests.integration.webhooks.conftest import Mesh

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")

SECOND = timedelta(seconds=1)
KEPT_BYTES = 16 * 1024
#: Long enough for whatever answers, and over soon for what does not.
TIMEOUT = timedelta(seconds=3)


class Behaviour(NamedTuple):
    """What a receiver does, and what its attempt is noted as."""

    answer: Answer
    reason: str
    status: int = 0


BEHAVIOURS = {
    "prompt": Behaviour(Answer(202), "OK", 202),
    "slow": Behaviour(Answer(after_s=0.7), "OK", 200),
    "without-end": Behaviour(Answer(size=None), "OK", 200),
    "silent-after-the-status": Behaviour(Answer(silent=True), "OK", 200),
    "failing": Behaviour(Answer(500), "RECEIVER_STATUS", 500),
    "forbidding": Behaviour(Answer(401), "RECEIVER_STATUS", 401),
    "hanging": Behaviour(Answer(held=True), "RECEIVER_TIMEOUT"),
    "hanging-up": Behaviour(Answer(raw=b""), "RECEIVER_UNREACHABLE"),
    "resetting": Behaviour(Answer(raw=b"", reset=True), "RECEIVER_UNREACHABLE"),
    "mail-server": Behaviour(Answer(raw=b"220 mail.example ESMTP\r\n"), "RECEIVER_PROTOCOL"),
    "garbage": Behaviour(Answer(raw=bytes(range(128, 256)) * 10), "RECEIVER_PROTOCOL"),
    "giant-header": Behaviour(
        Answer(raw=b"HTTP/1.1 200 OK\r\nx-giant: " + b"x" * 1_000_000 + b"\r\n\r\n"), "RECEIVER_PROTOCOL"
    ),
    "headers-without-end": Behaviour(
        Answer(raw=b"HTTP/1.1 200 OK\r\n", endless=b"x-more: and more\r\n" * 100), "RECEIVER_PROTOCOL"
    ),
    "dripping-status": Behaviour(Answer(endless=b"H"), "RECEIVER_PROTOCOL"),
}


async def test_what_each_receiver_did_is_known_and_none_holds_up_another(mesh: Mesh) -> None:
    for name, behaviour in BEHAVIOURS.items():
        mesh.receiver.always[f"/{name}"] = behaviour.answer
    async with mesh.running(attempt_timeout=TIMEOUT) as process, tenant_at(process, mesh.identities) as tenant:
        endpoints = {
            name: await tenant.endpoint(f"{mesh.receiver.url}/{name}", pauses=[timedelta(hours=1)])
            for name in BEHAVIOURS
        }
        (job_id,) = await mesh.ended_jobs()
        deliveries = {
            name: await tenant.settled(endpoint_id, job_id, lambda delivery: bool(delivery.last_reason))
            for name, endpoint_id in endpoints.items()
        }
    assert {name: outcome_of(delivery) for name, delivery in deliveries.items()} == {
        name: (behaviour.reason, behaviour.status) for name, behaviour in BEHAVIOURS.items()
    }
    for name, delivery in deliveries.items():
        (attempt,) = delivery.attempt_log
        assert (attempt.number, attempt.reason, attempt.status) == (1, *outcome_of(delivery)), name
        assert timedelta() < attempt.duration.ToTimedelta() < timedelta(seconds=30), name
        assert bool(attempt.detail) == (not attempt.status and attempt.reason != "RECEIVER_TIMEOUT"), (name, attempt)
        assert (delivery.state == State.DELIVERED) == (attempt.reason == "OK"), name
    assert deliveries["slow"].attempt_log[0].duration.ToTimedelta() >= 0.7 * SECOND
    assert deliveries["hanging"].attempt_log[0].duration.ToTimedelta() >= TIMEOUT
    assert all(len(mesh.receiver.at(f"/{name}")) == 1 for name in BEHAVIOURS)


async def test_what_a_receiver_says_is_kept_up_to_a_bound(mesh: Mesh) -> None:
    said = {"/short": b'{"error": "no such order"}', "/exact": b"e" * KEPT_BYTES, "/long": b"l" * 100_000}
    for path, body in said.items():
        mesh.receiver.always[path] = Answer(422, {"X-Reason": path, "Content-Type": "text/plain"}, body=body)
    async with mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        endpoints = {
            path: await tenant.endpoint(mesh.receiver.url + path, pauses=[timedelta(hours=1)]) for path in said
        }
        (job_id,) = await mesh.ended_jobs()
        for path, endpoint_id in endpoints.items():
            delivery = await tenant.settled(endpoint_id, job_id, lambda each: each.last_status != 0)
            (attempt,) = delivery.attempt_log
            headers = {name.lower(): value for name, value in attempt.response_headers.items()}
            assert headers["x-reason"] == path
            assert attempt.response_body == said[path][:KEPT_BYTES]
            assert attempt.response_truncated == (path == "/long")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_leads_nowhere(mesh: Mesh, status: int) -> None:
    async with receiver_() as elsewhere, mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        mesh.receiver.always["/hook"] = Answer(status, {"Location": f"{elsewhere.url}/stolen"})
        endpoint_id = await tenant.endpoint(f"{mesh.receiver.url}/hook", pauses=[SECOND])
        (job_id,) = await mesh.ended_jobs()
        delivery = await tenant.settled(endpoint_id, job_id)
        assert not elsewhere.received
    assert (delivery.state, *outcome_of(delivery)) == (State.FAILED, "RECEIVER_STATUS", status)
    assert [attempt.number for attempt in delivery.attempt_log] == [1, 2]


async def test_a_receiver_that_comes_back_gets_the_same_message_by_its_own_schedule(mesh: Mesh) -> None:
    pauses = [SECOND, 2 * SECOND, SECOND]
    mesh.receiver.answers["/hook"] += [Answer(503), Answer(raw=b"", reset=True), Answer(500)]
    async with mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        endpoint_id = await tenant.endpoint(f"{mesh.receiver.url}/hook", pauses=pauses)
        (job_id,) = await mesh.ended_jobs()
        delivery = await tenant.settled(endpoint_id, job_id)
    assert (delivery.state, delivery.attempts, delivery.max_attempts) == (State.DELIVERED, 4, 4)
    reasons = ["RECEIVER_STATUS", "RECEIVER_UNREACHABLE", "RECEIVER_STATUS", "OK"]
    assert [attempt.reason for attempt in delivery.attempt_log] == reasons
    assert [attempt.number for attempt in delivery.attempt_log] == [1, 2, 3, 4]
    begun = [attempt.started_at.ToDatetime(UTC) for attempt in delivery.attempt_log]
    for before, after, pause in zip(begun, begun[1:], pauses, strict=False):
        assert after - before >= 0.8 * pause
    assert len({(each.webhook_id, each.body) for each in mesh.receiver.received}) == 1


async def test_each_endpoint_has_its_own_schedule_and_dead_letters(mesh: Mesh) -> None:
    mesh.receiver.always |= {"/twice": Answer(500), "/by-the-mesh": Answer(500)}
    schedule = (SECOND / 100,) * 3
    async with (
        mesh.running(retry_schedule=schedule) as process,
        tenant_at(process, mesh.identities) as tenant,
    ):
        twice = await tenant.endpoint(f"{mesh.receiver.url}/twice", pauses=[SECOND])
        by_the_mesh = await tenant.endpoint(f"{mesh.receiver.url}/by-the-mesh")
        (job_id,) = await mesh.ended_jobs()
        ended = [await tenant.settled(endpoint_id, job_id) for endpoint_id in (twice, by_the_mesh)]
    assert [(each.state, each.attempts, each.max_attempts) for each in ended] == [
        (State.FAILED, 2, 2),
        (State.FAILED, 4, 4),
    ]
    assert (len(mesh.receiver.at("/twice")), len(mesh.receiver.at("/by-the-mesh"))) == (2, 4)


@pytest.mark.parametrize(
    ("status", "form", "minutes"),
    [(429, "seconds", 60), (503, "seconds", 60), (503, "date", 60), (502, "date", 60), (500, "seconds", 5)],
)
async def test_the_pause_that_an_endpoint_asks_for_is_kept(mesh: Mesh, status: int, form: str, minutes: int) -> None:
    asked = "3600" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    mesh.receiver.answers["/hook"] += [Answer(status, {"Retry-After": asked})]
    async with mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        endpoint_id = await tenant.endpoint(f"{mesh.receiver.url}/hook", pauses=[timedelta(minutes=5)])
        (job_id,) = await mesh.ended_jobs()
        delivery = await tenant.settled(endpoint_id, job_id, lambda each: bool(each.last_reason))
    waits = delivery.next_attempt_at.ToDatetime(UTC) - delivery.attempt_log[0].started_at.ToDatetime(UTC)
    assert timedelta(minutes=0.8 * minutes - 0.1) < waits < timedelta(minutes=1.2 * minutes + 1)


async def test_an_endpoint_that_is_gone_is_told_of_and_misses_nothing_once_it_is_enabled(mesh: Mesh) -> None:
    mesh.receiver.answers["/gone"] += [Answer(410)]
    async with mesh.running() as process, tenant_at(process, mesh.identities) as tenant:
        gone = await tenant.endpoint(f"{mesh.receiver.url}/gone", filter={"event_types": ["job.*"]})
        other = await tenant.endpoint(f"{mesh.receiver.url}/other")
        (first,) = await mesh.ended_jobs()
        endpoint = await tenant.disabled(gone)
        told = await eventually(lambda: types_at(mesh, "/other").get("endpoint.disabled"), what="the notice")
        meanwhile = await mesh.ended_jobs(5)
        skipped = [await tenant.settled(gone, job_id) for job_id in meanwhile]
        assert len(mesh.receiver.at("/gone")) == 1
        enabled = await tenant.enable(gone, replay_skipped=True)
        assert (enabled.endpoint.enabled, enabled.skipped_deliveries) == (True, 5)
        for job_id in meanwhile:
            await tenant.settled(gone, job_id, lambda each: each.state == State.DELIVERED)
        dead = await tenant.settled(gone, first)
        assert len(await tenant.all_ended(other, 7)) == 7
    assert endpoint.disabled_reason == endpoint.GONE
    assert [each["data"]["endpointId"] for each in told] == [gone]
    assert [(each.state, each.last_reason) for each in skipped] == [(State.SKIPPED, "ENDPOINT_DISABLED")] * 5
    assert (dead.state, *outcome_of(dead)) == (State.FAILED, "RECEIVER_GONE", 410)
    before = {each.webhook_id for each in skipped}
    assert {each.webhook_id for each in mesh.receiver.at("/gone")[1:]} == before


async def test_an_endpoint_that_fails_for_long_is_disabled_and_told_of(mesh: Mesh, mongo: Client) -> None:
    mesh.receiver.always["/failing"] = Answer(500)
    async with mesh.running(retry_schedule=(SECOND,) * 40) as process, tenant_at(process, mesh.identities) as tenant:
        failing = await tenant.endpoint(f"{mesh.receiver.url}/failing", filter={"event_types": ["job.*"]})
        other = await tenant.endpoint(f"{mesh.receiver.url}/other", filter={"event_types": ["endpoint.*"]})
        await mesh.ended_jobs(3)
        await eventually(lambda: len(mesh.receiver.at("/failing")) > 3)
        five_days_ago = datetime.now(UTC) - timedelta(days=5)
        await mongo["webhooks"]["endpoints"].update_one({"_id": failing}, {"$set": {"failing_since": five_days_ago}})
        endpoint = await tenant.disabled(failing)
        await mesh.ended_jobs(2)
        skipped = await tenant.all_ended(failing, 5)
        (notice,) = await tenant.all_ended(other, 1)
    assert endpoint.disabled_reason == endpoint.FAILING
    assert {each.state for each in skipped} == {State.SKIPPED}
    assert (notice.event_type, notice.about) == ("endpoint.disabled", failing)
    assert mesh.receiver.at("/other")[0].message["data"]["endpointId"] == failing


async def test_an_endpoint_is_called_no_oftener_than_it_bears(mesh: Mesh) -> None:
    rate, count = 5, 18
    async with mesh.running() as one, mesh.running(), tenant_at(one, mesh.identities) as tenant:
        endpoint_id = await tenant.endpoint(f"{mesh.receiver.url}/hook", rate_limit={"deliveries": rate})
        unbound = await tenant.endpoint(f"{mesh.receiver.url}/unbound")
        for _ in range(3):
            await mesh.ended_jobs(count // 3)
        await tenant.all_ended(unbound, count)
        deliveries = [
            await tenant.settled(endpoint_id, each.about) for each in await tenant.all_ended(endpoint_id, count)
        ]
    begun = sorted(each.attempt_log[0].started_at.ToDatetime(UTC) for each in deliveries)
    most = max(sum(start <= each < start + SECOND for each in begun) for start in begun)
    assert most <= rate
    assert len(mesh.receiver.at("/hook")) == count


def outcome_of(delivery: Delivery) -> tuple[str, int]:
    return delivery.last_reason, delivery.last_status


def types_at(mesh: Mesh, path: str) -> dict[str, list[dict]]:
    """What came to a path, by type."""
    found: dict[str, list[dict]] = {}
    for received in mesh.receiver.at(path):
        found.setdefault(received.message["type"], []).append(received.message)
    return found
