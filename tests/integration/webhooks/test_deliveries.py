"""What a receiver gets, and what its answers lead to."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import notices_pb2
from penstock.jobs.v1 import batches_pb2
from structlog.testing import capture_logs

from services.webhooks import metrics
from services.webhooks.deliveries.domain import Reason, State
from shared import ids, streams
from shared.bus import Outgoing
from tests.fakes.tenant_notices import published
from tests.integration.webhooks.conftest import TRACE
from tests.integration.webhooks.receiver import Answer
from tests.integration.webhooks.receiver import receiver as receiver_
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.webhooks.conftest import Mesh

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


async def test_a_finished_job_is_told_once_signed_with_its_tenants_secret(mesh: Mesh) -> None:
    async with mesh.running() as process:
        job_id = await mesh.finished_job()
        await mesh.delivered(job_id)
        key = await mesh.tenants_key(process)
        other = await mesh.tenants_key(process, "globex")
    (received,) = mesh.receiver.received
    assert received.is_signed_with(key)
    assert not received.is_signed_with(other)
    assert received.webhook_id == f"{job_id}:3"
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["User-Agent"] == "Penstock"
    assert received.headers["traceparent"].split("-")[1] == TRACE
    assert received.message["type"] == "job.succeeded"
    assert received.message["data"]["state"] == "SUCCEEDED"
    assert received.message["data"]["result"]["inline"] == {"status": 200, "text": "hello"}


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("a passphrase of the caller's", b"a passphrase of the caller's"),
        ("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", bytes(range(24))),
    ],
)
async def test_a_jobs_own_secret_signs(mesh: Mesh, secret: str, key: bytes) -> None:
    async with mesh.running():
        await mesh.delivered(await mesh.finished_job(secret=secret))
    (received,) = mesh.receiver.received
    assert received.is_signed_with(key)


@pytest.mark.parametrize("kind", ["FAILED", "CANCELED", "EXPIRED", "OUTCOME_UNKNOWN"])
async def test_every_end_of_a_job_is_told(mesh: Mesh, kind: str) -> None:
    async with mesh.running():
        job_id = await mesh.submit()
        await mesh.end(job_id, kind=kind)
        await mesh.delivered(job_id)
    (received,) = mesh.receiver.received
    assert received.message["type"] == f"job.{kind.lower()}"
    assert received.message["data"]["state"] == kind


async def test_a_receiver_that_fails_twice_gets_the_same_message_a_third_time(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(503), Answer(500)]
    async with mesh.running() as process:
        job_id = await mesh.finished_job()
        await mesh.delivered(job_id)
        key = await mesh.tenants_key(process)
    delivery = await mesh.delivery(job_id)
    assert delivery is not None
    assert (delivery.attempts, delivery.last_status) == (3, 200)
    first, second, third = mesh.receiver.received
    assert first.body == second.body == third.body
    assert first.webhook_id == second.webhook_id == third.webhook_id
    assert first.timestamp <= second.timestamp <= third.timestamp  # whole seconds, and a pause may be 0.8 s
    assert first.timestamp < third.timestamp
    assert all(each.is_signed_with(key) for each in mesh.receiver.received)


async def test_a_delivery_whose_every_attempt_fails_has_failed(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(500)] * 5
    async with mesh.running(retry_schedule=(timedelta(milliseconds=10),)):
        job_id = await mesh.finished_job()
        delivery = await mesh.settled(job_id, State.FAILED)
    assert (delivery.attempts, delivery.last_reason, delivery.last_status) == (2, Reason.RECEIVER_STATUS, 500)
    assert len(mesh.receiver.received) == 2


async def test_a_receiver_that_is_gone_is_asked_once(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(410)] * 2
    async with mesh.running():
        delivery = await mesh.settled(await mesh.finished_job(), State.FAILED)
    assert (delivery.attempts, delivery.last_reason) == (1, Reason.RECEIVER_GONE)
    assert len(mesh.receiver.received) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(mesh: Mesh, status: int) -> None:
    mesh.receiver.answers["/hook"] += [Answer(status, {"Location": f"{mesh.receiver.url}/elsewhere"})]
    async with mesh.running():
        delivery = await mesh.settled(await mesh.finished_job(), State.PENDING)
    assert (delivery.last_reason, delivery.last_status) == (Reason.RECEIVER_STATUS, status)
    assert not mesh.receiver.at("/elsewhere")


async def test_the_pause_that_a_receiver_asks_for_is_kept(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(429, {"Retry-After": "3600"})]
    async with mesh.running():
        delivery = await mesh.settled(await mesh.finished_job(), State.PENDING)
    assert timedelta(minutes=59) < delivery.next_attempt_at - delivery.created_at < timedelta(minutes=62)


async def test_a_receiver_that_never_answers_is_timed_out_and_holds_up_no_other(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(held=True)] * 20
    async with receiver_() as other, mesh.running(attempt_timeout=timedelta(seconds=8), concurrency=4):
        held = [await mesh.finished_job() for _ in range(5)]
        await eventually(lambda: mesh.receiver.received)
        prompt = [await mesh.finished_job(f"{other.url}/hook") for _ in range(10)]
        await mesh.delivered(*prompt)
        assert len(mesh.receiver.received) == 1  # a quarter of four places; the others wait for it
        delivery = await mesh.settled(held[0], State.PENDING)
        assert (delivery.attempts, delivery.last_reason) == (1, Reason.RECEIVER_TIMEOUT)


async def test_an_answer_has_delivered_whatever_its_body_is_like(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [
        Answer(200, size=None),
        Answer(200, silent=True),
        Answer(202, size=1_000_000),
        Answer(204),
    ]
    async with mesh.running(attempt_timeout=timedelta(seconds=0.5)):
        for _ in range(4):
            await mesh.delivered(await mesh.finished_job())
    assert len(mesh.receiver.received) == 4


async def test_a_connection_serves_many_deliveries(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(200, size=1000)] * 10
    async with mesh.running():
        for _ in range(10):
            await mesh.delivered(await mesh.finished_job())
    assert len(mesh.receiver.connections) == 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.RECEIVER_UNREACHABLE),
        (b"HTTP/1.1 what is this\r\n\r\n", Reason.RECEIVER_PROTOCOL),
        (b"220 mail.example ESMTP\r\n", Reason.RECEIVER_PROTOCOL),
    ],
)
async def test_what_is_no_answer_is_tried_again(mesh: Mesh, raw: bytes, reason: Reason) -> None:
    mesh.receiver.answers["/hook"] += [Answer(raw=raw)]
    async with mesh.running():
        delivery = await mesh.settled(job_id := await mesh.finished_job(), State.PENDING)
        assert (delivery.last_reason, delivery.last_status) == (reason, 0)
        await mesh.delivered(job_id)


async def test_a_receiver_that_is_not_there_is_tried_again(mesh: Mesh) -> None:
    with socket.socket() as nobody:  # bound and not listening: connections to it are refused
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/hook"
        async with mesh.running():
            delivery = await mesh.settled(await mesh.finished_job(url), State.PENDING)
    assert delivery.last_reason == Reason.RECEIVER_UNREACHABLE


@pytest.mark.parametrize("url", ["http://10.0.0.1/hook", "http://169.254.169.254/hook", "http://[fd00::1]/hook"])
async def test_an_address_that_must_not_be_called_is_not(mesh: Mesh, url: str) -> None:
    async with mesh.running():
        delivery = await mesh.settled(await mesh.finished_job(url), State.FAILED)
    assert (delivery.attempts, delivery.last_reason) == (1, Reason.ADDRESS_FORBIDDEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_not_called_unless_it_may_be(mesh: Mesh, host: str) -> None:
    url = mesh.receiver.url.replace("127.0.0.1", host)
    async with mesh.running(allow_loopback=False):
        delivery = await mesh.settled(await mesh.finished_job(f"{url}/hook"), State.FAILED)
    assert delivery.last_reason == Reason.ADDRESS_FORBIDDEN
    assert not mesh.receiver.received


async def test_a_url_is_called_as_it_was_given(mesh: Mesh) -> None:
    async with mesh.running():
        await mesh.delivered(await mesh.finished_job(f"{mesh.receiver.url}/a%2Fb%20c/?x=1&x=%7E#fragment"))
    assert mesh.receiver.received[0].path == "/a/b c/"


async def test_an_event_that_comes_again_makes_no_second_delivery(mesh: Mesh) -> None:
    async with mesh.running():
        job_id = await mesh.finished_job()
        await mesh.delivered(job_id)
        await mesh.end(job_id, nth=2)
        other = await mesh.submit()
        await mesh.end(job_id, other, nth=3)
        await mesh.delivered(other)
    assert len(mesh.receiver.of_job(job_id)) == 1


async def test_notices_of_tenants_are_none_of_its_business(mesh: Mesh) -> None:
    batch_id = ids.new_batch_id()
    finished = notices_pb2.Notice(
        id=batch_id,
        tenant="acme",
        batch_finished=notices_pb2.BatchFinished(
            batch=batches_pb2.Batch(id=batch_id), callback_url=f"{mesh.receiver.url}/hook"
        ),
    )
    subject = streams.notice_subject("batch_finished")
    told = Outgoing(subject=subject, payload=finished.SerializeToString(), message_id=batch_id)
    malformed = metrics.MALFORMED_EVENTS._value.get()
    async with mesh.running():
        await mesh.bus.publish([published("acme", 1), published("acme", 2, None), told])
        await eventually(lambda: mesh.receiver.received, what="the callback of the batch")
        newest = await mesh.bus.newest(streams.NOTICES, subject)

        async def all_handled() -> bool:
            return await mesh.bus.acknowledged(streams.NOTICES, "webhooks-notices") == newest

        await eventually(all_handled)
    (received,) = mesh.receiver.received
    assert received.message["type"] == "batch.finished"
    assert metrics.MALFORMED_EVENTS._value.get() == malformed


async def test_a_job_whose_submission_is_gone_is_dropped_and_holds_up_no_other(mesh: Mesh) -> None:
    gone, other = await mesh.submit(), await mesh.submit()
    await mesh.bus._jetstream.delete_msg(streams.JOBS, mesh.sequences[gone])
    async with mesh.running():
        await mesh.end(gone, other)
        await mesh.delivered(other)
        assert await mesh.delivery(gone) is None


async def test_many_jobs_that_end_at_once_are_all_told(mesh: Mesh) -> None:
    jobs = [await mesh.submit() for _ in range(300)]
    async with mesh.running():
        await mesh.end(*jobs)
        await mesh.delivered(*jobs, within=60)
    assert sorted(each.webhook_id for each in mesh.receiver.received) == sorted(f"{job_id}:3" for job_id in jobs)


async def test_no_log_line_holds_the_urls_query_or_the_secret(mesh: Mesh) -> None:
    mesh.receiver.answers["/hook"] += [Answer(500)]
    with capture_logs() as lines:
        async with mesh.running():
            url = f"{mesh.receiver.url}/hook?token=canary-in-the-query"
            await mesh.delivered(await mesh.finished_job(url, secret="canary-0123456789-of-the-secret"))
    made = [line for line in lines if line["event"] == "attempt_made"]
    assert [line["status"] for line in made] == [500, 200]
    assert "canary" not in str(lines)
