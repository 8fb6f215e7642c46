"""The judge: what a draft asks for, found good; or what the same request has made before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.intake import canonical, naming
from services.intake.aside import aside
from shared import errors

if TYPE_CHECKING:
    from datetime import datetime

    from services.intake.attachments import Attacher
    from services.intake.catalogue import Catalogue
    from services.intake.connections import Connections
    from services.intake.domain import BatchDraft, BatchRequest, Draft, JobRequest
    from services.intake.store import JobStore
    from services.intake.validation import Validator

#: What a request is refused with that is not good now, and may have been once.
_REFUSALS = (errors.InvalidArgument, errors.ConnectionNeedsReauth)


class Judge:
    """Judges drafts by what can be called, and by what is there.

    A request that was good when it first came need not be good any more, such as one whose `expiresAt` is past by now:
    under its key it is answered as the first time all the same.

    Args:
        catalogue: What can be called.
        connections: Know what connections are for.
        attacher: Looks up the uploads that params name.
        validator: Knows the rules.
        store: Knows what keys stand for.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        connections: Connections,
        attacher: Attacher,
        validator: Validator,
        store: JobStore,
    ) -> None:
        self._catalogue = catalogue
        self._connections = connections
        self._attacher = attacher
        self._validator = validator
        self._store = store

    async def job(self, draft: Draft, tenant: str, now: datetime) -> JobRequest | str:
        """The request for a job; or the id of what it has made before, where it is not good any more.

        Args:
            draft: As it was read.
            tenant: Whose.
            now: The time.

        Raises:
            InvalidArgument: Fields are wrong.
            ConnectionNeedsReauth: The connection has to be authorized anew, and its jobs do not wait for that.
            Unavailable: What can be called, or what is there, is not known now.
        """
        upstreams = self._catalogue.upstreams()
        [draft] = await self._connections.look_up([draft], tenant)
        [draft] = await self._attacher.attach([draft], tenant, upstreams)
        try:
            request = await aside(
                lambda: self._validator.judge(draft, upstreams=upstreams, now=now), size=draft.params_bytes
            )
            naming.check_authorized([draft])
        except _REFUSALS:
            if (known := await self._made_before(draft.idempotency_key, self._fingerprint(draft), tenant)) is None:
                raise
            return known
        return request

    async def batch(self, draft: BatchDraft, tenant: str, now: datetime) -> BatchRequest | str:
        """The same for a batch."""
        upstreams = self._catalogue.upstreams()
        jobs = await self._connections.look_up(draft.jobs, tenant)
        draft = replace(draft, jobs=tuple(await self._attacher.attach(jobs, tenant, upstreams)))
        try:
            request = await aside(
                lambda: self._validator.judge_batch(draft, upstreams=upstreams, now=now),
                size=sum(job.params_bytes for job in draft.jobs),
            )
            naming.check_authorized(draft.jobs)
        except _REFUSALS:
            fingerprint = self._fingerprint_of_batch(draft)
            if (known := await self._made_before(draft.idempotency_key, fingerprint, tenant)) is None:
                raise
            return known
        return request

    async def _made_before(self, idempotency_key: str, fingerprint: bytes | None, tenant: str) -> str | None:
        """What the request has made, where it is known; None for one that was never good."""
        if not idempotency_key or fingerprint is None:
            return None
        known = await self._store.find(tenant, idempotency_key, fingerprint=fingerprint)
        if known is None:
            await self._store.confirm()
        return known

    def _fingerprint(self, draft: Draft) -> bytes | None:
        """None where it could not be read, and so was never good."""
        if draft.faults or draft.params_too_large:
            return None
        try:
            return self._validator.fingerprint(draft, canonical.canonical_json(draft.params))
        except ValueError:  # NaN
            return None

    def _fingerprint_of_batch(self, draft: BatchDraft) -> bytes | None:
        if draft.faults:
            return None
        fingerprints = [self._fingerprint(job) for job in draft.jobs]
        known = [fingerprint for fingerprint in fingerprints if fingerprint is not None]
        return self._validator.fingerprint_of_batch(draft, known) if len(known) == len(fingerprints) else None
