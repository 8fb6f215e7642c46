"""One attempt in this process: a connector, a scheduler and a log that do as they are told, and auth beside them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.upstream.attempts import Attempts
from services.upstream.cancels import Cancels
from services.upstream.catalogue import Catalogue
from services.upstream.connections import Connections
from services.upstream.contents import Contents
from services.upstream.domain import ConnectionUse, Kind, Method, Outcome, Success, Upstream
from services.upstream.requests import Requests
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from tests.fakes.cached_answers import Uncached
from tests.fakes.contents import ContentStore
from tests.fakes.credentials import FakeCredentials

if TYPE_CHECKING:
    from penstock.auth.v1.credentials_pb2_grpc import CredentialServiceAsyncStub
    from penstock.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceAsyncStub

    from services.upstream.attempts import Answering
    from services.upstream.connector import CallRequest
    from shared.bus import Outgoing
    from shared.errors import PenstockError

#: How long stores and services are waited for.
PATIENCE = timedelta(seconds=0.3)


def method(name: str, *, idempotent: bool) -> Method:
    """A method of the shop."""
    return Method(
        name=name,
        title=name,
        kind=Kind.WRITE,
        idempotent=idempotent,
        timeout=timedelta(seconds=7),
        params_schema={"type": "object"},
        upload_params=("file",),
    )


class Connector:
    """Answers, or has a fault."""

    upstream = Upstream(
        name="shop",
        title="Shop",
        methods=(method("put", idempotent=True), method("post", idempotent=False)),
        connection_use=ConnectionUse.OPTIONAL,
    )

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.requests: list[CallRequest] = []

    async def call(self, request: CallRequest) -> Outcome:
        self.requests.append(request)
        if self.fault is not None:
            raise self.fault
        return Success(status=200)


class Scheduler:
    """Lets calls begin, or does not."""

    def __init__(self, refusal: PenstockError | None = None) -> None:
        self.refusal = refusal

    async def Begin(
        self,
        request: scheduler_pb2.BeginRequest,
        timeout: float | None = None,  # noqa: ASYNC109  the stub's
    ) -> scheduler_pb2.BeginResponse:
        if self.refusal is not None:
            raise self.refusal
        return scheduler_pb2.BeginResponse()


class Published(list[events_pb2.Attempt]):
    """Takes the outcomes."""

    async def publish(self, message: Outgoing) -> None:
        self.append(events_pb2.Attempt.FromString(message.payload))


async def make(
    connector: Connector,
    name: str,
    scheduler: Scheduler | None = None,
    *,
    cancels: Cancels | None = None,
    store: ContentStore | None = None,
    auth: FakeCredentials | None = None,
    connection: str = "",
    cache: Answering | None = None,
    **fields: Any,
) -> Published:
    """Makes one attempt for a job of `acme`; what it has published.

    Args:
        connector: Is called.
        name: The method.
        scheduler: Is asked whether it may begin.
        cancels: May break it off.
        store: Has its content.
        auth: Has its credentials.
        connection: The job's; empty for none.
        cache: Stands before the connector.
        fields: Of its submission.
    """
    published = Published()
    asked = cast("CredentialServiceAsyncStub", auth or FakeCredentials())
    requests = Requests(
        connector.upstream,
        catalogue=Catalogue([connector], AddressGuard()),
        contents=Contents(store or ContentStore(), max_result_bytes=1024, patience=PATIENCE),
        connections=Connections(asked, clock=SystemClock(), patience=PATIENCE),
    )
    attempts = Attempts(
        connector,
        requests=requests,
        scheduler=cast("SchedulerServiceAsyncStub", scheduler or Scheduler()),
        publisher=published,
        cache=cache or Uncached(),
        cancels=cancels or Cancels(),
        clock=SystemClock(),
        worker="w",
    )
    job = jobs_pb2.Job(upstream="shop", method=name, connection_id=connection)
    fields = {"idempotent": name == "put", **({} if "stored_params" in fields else {"params": b"{}"}), **fields}
    submission = events_pb2.Submission(job=job, **fields)
    await attempts.make(scheduler_pb2.Call(job_id="shop-1", tenant="acme", submission=submission))
    return published
