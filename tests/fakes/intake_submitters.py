"""Submitters that know what can be called without asking, on whatever store and log a test gives them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from services.intake.acceptance import Acceptor
from services.intake.attachments import Attacher
from services.intake.batch_reader import BatchReader
from services.intake.batch_submitter import BatchSubmitter
from services.intake.connections import Connections
from services.intake.judge import Judge
from services.intake.limits import PendingLimits
from services.intake.offload import Offloader
from services.intake.submitter import Submitter
from services.intake.uploads import Uploads
from services.intake.validation import Validator
from shared.clock import SystemClock
from shared.errors import BatchNotFound, JobNotFound
from shared.sealing import CALLBACK_SECRET, Sealer
from tests.fakes.credentials import FakeCredentials
from tests.fakes.intake_requests import GUARD, UPSTREAMS
from tests.fakes.intake_tally import roomy_tally
from tests.fakes.objects import FakeObjects
from tests.fakes.upload_store import FakeUploadStore

if TYPE_CHECKING:
    from penstock.auth.v1.credentials_pb2_grpc import CredentialServiceAsyncStub

    from services.intake.acceptance import Publisher
    from services.intake.batch_store import BatchStore
    from services.intake.catalogue import Catalogue
    from services.intake.recorded import RecordedJobs
    from services.intake.store import JobStore
    from services.intake.tally import Tally
    from shared.clock import Clock

SEALER = Sealer(bytes(32), CALLBACK_SECRET)


class LoadedCatalogue:
    """Knows what can be called."""

    def upstreams(self) -> Any:
        return UPSTREAMS


class EmptyHistory:
    """Has recorded nothing."""

    async def get(self, job_id: str) -> Any:
        raise JobNotFound(f"there is no job {job_id}", metadata={"job": job_id})

    async def get_batch(self, batch_id: str) -> Any:
        raise BatchNotFound(f"there is no batch {batch_id}", metadata={"batch": batch_id})


def _judge(store: JobStore, objects: FakeObjects | None, auth: FakeCredentials | None) -> Judge:
    uploads = Uploads(store=FakeUploadStore(), objects=objects or FakeObjects(), clock=SystemClock())
    return Judge(
        catalogue=cast("Catalogue", LoadedCatalogue()),
        connections=Connections(cast("CredentialServiceAsyncStub", auth or FakeCredentials())),
        attacher=Attacher(uploads),
        validator=Validator(guard=GUARD, digest=SEALER.digest),
        store=store,
    )


def _acceptor(
    store: JobStore,
    publisher: Publisher,
    *,
    max_pending: int,
    tally: Tally | None,
    objects: FakeObjects | None,
    patience: timedelta,
) -> Acceptor:
    return Acceptor(
        store=store,
        publisher=publisher,
        offloader=Offloader(objects or FakeObjects()),
        limits=PendingLimits(default=max_pending),
        tally=tally or roomy_tally(),
        publish_timeout=patience,
    )


def submitter_of(
    store: JobStore,
    publisher: Publisher,
    *,
    max_pending: int = 1000,
    tally: Tally | None = None,
    objects: FakeObjects | None = None,
    auth: FakeCredentials | None = None,
    patience: timedelta = timedelta(seconds=10),
    clock: Clock | None = None,
) -> Submitter:
    """Submits jobs to the store and the log."""
    return Submitter(
        judge=_judge(store, objects, auth),
        acceptor=_acceptor(store, publisher, max_pending=max_pending, tally=tally, objects=objects, patience=patience),
        store=store,
        recorded=cast("RecordedJobs", EmptyHistory()),
        sealer=SEALER,
        clock=clock or SystemClock(),
    )


def batch_submitter_of(
    store: JobStore,
    batches: BatchStore,
    publisher: Publisher,
    *,
    max_pending: int = 1000,
    tally: Tally | None = None,
    objects: FakeObjects | None = None,
    auth: FakeCredentials | None = None,
    patience: timedelta = timedelta(seconds=10),
    clock: Clock | None = None,
) -> BatchSubmitter:
    """The same for batches."""
    return BatchSubmitter(
        judge=_judge(store, objects, auth),
        acceptor=_acceptor(store, publisher, max_pending=max_pending, tally=tally, objects=objects, patience=patience),
        reader=BatchReader(batches=batches, store=store, recorded=cast("RecordedJobs", EmptyHistory())),
        sealer=SEALER,
        clock=clock or SystemClock(),
    )
