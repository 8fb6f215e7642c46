"""Submits of jobs that name a connection, while auth knows it, has changed it, or is away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from penstock.auth.v1 import connections_pb2, credentials_pb2
from penstock.jobs.v1 import batches_pb2

from services.intake import connections as connections_
from shared import errors, ids
from shared.rpc.status import from_rpc_error
from shared.streams import CONNECTION_CHANGED_SIGNAL
from tests.fakes.intake_requests import request
from tests.integration.intake.conftest import Intake, log_of_jobs, replica, submit
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.intake.config import Config
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.intake.conftest import AuthStandIn

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")
URL = "https://api.example.com/x"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Auth is asked for as long as it takes on a busy machine, and not taken to be away."""
    monkeypatch.setattr(connections_, "_ASK_TIMEOUT_S", 30.0)


@pytest.fixture
def connection(auth: AuthStandIn) -> str:
    """One of `acme`, for the host of `URL`."""
    connection_id = ids.new_connection_id()
    auth.connections["acme", connection_id] = credentials_pb2.ConnectionFacts(
        connection_id=connection_id,
        upstream="http",
        hosts=["api.example.com"],
        state=connections_pb2.Connection.ACTIVE,
        reauth_policy=connections_pb2.Connection.FAIL,
    )
    return connection_id


async def refused(intake: Intake, **changes: Any) -> errors.PenstockError:
    with pytest.raises(errors.PenstockError) as caught:
        await submit(intake, **changes)
    return caught.value


@pytest.mark.parametrize("field", ["connection_id", "token_id"])
async def test_a_job_with_a_connection_is_accepted_in_its_lane(
    intake: Intake, auth: AuthStandIn, bus: Bus, connection: str, field: str
) -> None:
    for _ in range(3):
        job = await submit(intake, params={"url": URL}, **{field: connection})
        assert job.connection_id == connection
    assert auth.asked == [("intake", connection)], "intake asks in its own name, and remembers"
    submission = (await log_of_jobs(bus))[-1].submission
    assert (submission.job.connection_id, submission.lane) == (connection, connection)


async def test_another_tenants_connection_is_none(intake: Intake, connection: str) -> None:
    await submit(intake, params={"url": URL}, connection_id=connection)
    error = await refused(intake, tenant="rival", params={"url": URL}, connection_id=connection)
    assert isinstance(error, errors.InvalidArgument)
    assert [(fault.field, connection in fault.description) for fault in error.violations] == [("connectionId", True)]
    assert "there is no such connection" in error.message


async def test_a_url_elsewhere_is_refused_by_its_field(intake: Intake, connection: str) -> None:
    error = await refused(intake, params={"url": "https://evil.example/"}, connection_id=connection)
    assert isinstance(error, errors.InvalidArgument)
    assert [fault.field for fault in error.violations] == ["params.url"]
    assert f"the connection {connection} is for api.example.com" in error.message


async def test_a_connection_that_changes_is_known_so_at_once(
    intake: Intake, auth: AuthStandIn, bus: Bus, connection: str
) -> None:
    await submit(intake, params={"url": URL}, connection_id=connection)
    auth.connections["acme", connection].state = connections_pb2.Connection.NEEDS_REAUTH
    await bus.signal(CONNECTION_CHANGED_SIGNAL, connection.encode())

    async def needs_reauth() -> bool:
        try:
            await submit(intake, params={"url": URL}, connection_id=connection)
        except errors.ConnectionNeedsReauth as error:
            return error.metadata == {"connection": connection}
        return False

    await eventually(needs_reauth, within=15)
    auth.connections["acme", connection].reauth_policy = connections_pb2.Connection.WAIT
    await bus.signal(CONNECTION_CHANGED_SIGNAL, connection.encode())

    async def accepted() -> bool:
        try:
            return bool((await submit(intake, params={"url": URL}, connection_id=connection)).id)
        except errors.ConnectionNeedsReauth:
            return False

    await eventually(accepted, within=15)


async def test_each_connection_of_a_batch_is_asked_for_once_and_the_batch_refused_whole(
    intake: Intake, auth: AuthStandIn, bus: Bus, connection: str
) -> None:
    await submit(intake)
    gone = ids.new_connection_id()
    good = [request(params={"url": URL}, connection_id=connection) for _ in range(20)]
    bad = [request(params={"url": URL}, token_id=gone) for _ in range(2)]
    async with intake.jobs() as jobs:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await jobs.SubmitBatch(batches_pb2.SubmitBatchRequest(jobs=[*good, *bad]), timeout=120)
        error = from_rpc_error(caught.value)
        assert [fault.field for fault in cast("errors.InvalidArgument", error).violations] == [
            "jobs[20].tokenId",
            "jobs[21].tokenId",
        ]
        assert sorted(asked for _, asked in auth.asked) == sorted([connection, gone])
        batch = await jobs.SubmitBatch(batches_pb2.SubmitBatchRequest(jobs=good), timeout=120)
    assert len(batch.jobs) == 20
    assert len(await log_of_jobs(bus)) == 21


async def test_while_auth_is_away_jobs_are_accepted_for_the_worker_to_decide(
    config: Config, identities: Identities, connection: str
) -> None:
    async with replica(replace(config, auth_address="127.0.0.1:1"), identities) as intake:
        job = await submit(intake, params={"url": URL}, connection_id=connection)
        assert job.connection_id == connection
        error = await refused(intake, params={"url": URL}, connection_id="con_1")
    assert "is 'con_1'; there is no such connection" in error.message


async def test_a_retry_of_what_was_accepted_is_answered_so_though_its_connection_is_gone(
    intake: Intake, auth: AuthStandIn, bus: Bus, connection: str
) -> None:
    first = await submit(intake, params={"url": URL}, connection_id=connection, request_id="k")
    del auth.connections["acme", connection]
    await bus.signal(CONNECTION_CHANGED_SIGNAL, connection.encode())

    async def gone() -> bool:
        try:
            await submit(intake, params={"url": URL}, connection_id=connection)
        except errors.InvalidArgument:
            return True
        return False

    await eventually(gone, within=15)
    again = await submit(intake, params={"url": URL}, connection_id=connection, request_id="k")
    assert again.id == first.id
