"""Job stores of both kinds, and what is asked of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.intake.changes import Change
from services.intake.domain import Admission, Candidate, State
from services.intake.known_servers import KnownServers
from services.intake.store import RedisJobStore, server_id
from shared import ids
from tests.fakes.intake_store import FakeJobStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.intake.store import JobStore
    from shared import kv

ONE, OTHER = b"1" * 32, b"2" * 32


@pytest.fixture
def fake() -> Callable[..., JobStore]:
    return FakeJobStore


@pytest.fixture
async def real(redis: kv.Client) -> Callable[..., JobStore]:
    servers = KnownServers(await server_id(redis))
    return lambda **settings: RedisJobStore(redis, servers, **settings)


@pytest.fixture(params=["fake", "real"])
def make_store(request: pytest.FixtureRequest) -> Callable[..., JobStore]:
    """Makes the store; its lifetimes can be told."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(make_store: Callable[..., JobStore]) -> JobStore:
    return make_store()


async def admit(
    store: JobStore,
    *,
    tenant: str = "acme",
    job_id: str = "",
    job: bytes = b"job",
    key: str = "",
    fingerprint: bytes = ONE,
    max_pending: int = 1000,
    closed: bool = False,
) -> Admission:
    job_id = job_id or ids.new_job_id("http")
    candidate = Candidate(id=job_id, jobs=((job_id, job),), idempotency_key=key, fingerprint=fingerprint)
    return await store.admit(tenant, candidate, max_pending=max_pending, closed=closed)


def change(
    job_id: str,
    revision: int,
    *,
    tenant: str = "acme",
    ended: bool = False,
    age: timedelta = timedelta(0),
    **more: object,
) -> Change:
    at = datetime.now(UTC) - age
    return Change(
        tenant=tenant,
        job_id=job_id,
        revision=revision,
        event=f"event {revision}".encode(),
        at=at,
        finished_at=at if ended else None,
        state=State.SUCCEEDED if ended else State.RUNNING,
        **more,  # type: ignore[arg-type]  fields of Change
    )


def submitted(job_id: str, *, key: str = "", age: timedelta = timedelta(0), job: bytes = b"job") -> Change:
    return change(job_id, 1, age=age, job=job, idempotency_key=key, fingerprint=ONE)
