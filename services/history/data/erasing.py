"""Carries erasures out: first whoever it is about is shut out; when the grace is over all that is held of it goes.

A pass asks every service, and history itself last. Passes are repeated until one has found nothing, for what was under
way when an earlier one came by leaves its traces later. A service that is away is asked again by the next.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Protocol

from penstock.history.v1 import data_pb2

from services.history.data.cursor import Cursor
from services.history.data.domain import Erasure, Stage, StoreState, kept_beside, merged
from services.history.data.messages import Phase, metadata, report
from services.history.operations.domain import State, Step, to_milliseconds
from shared import crash_points, observability
from shared.crash_points import CrashPoint
from shared.errors import DeadlineExceeded, TenantNotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from services.history.data.erasures import Erasures
    from services.history.data.holders import HeldErased, Holder
    from services.history.data.remembering import RememberedErasures
    from services.history.data.tenants import Tenants
    from services.history.operations.domain import Operation
    from shared.clock import Clock

log = observability.logger()

#: The service whose cancels have the jobs end, which the others wait for.
FIRST = "scheduler"
#: The one of which are known the connections that it deletes.
AUTH = "auth"
#: Those that know a connection's things by its jobs alone.
BY_JOBS = ("upstream", "webhooks")
HISTORY = "history"
#: Within which a turn goes on with the jobs of a connection.
_PATIENCE_S = 6.0
#: Jobs of one call.
_JOBS_AT_ONCE = 200


class ConnectionJobs(Protocol):
    """Knows which jobs were called with a connection."""

    async def ended_of(self, tenant: str, connection_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Some of those that have ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What erasing leans on beside those that hold something.

    Args:
        tenants: Shuts tenants out.
        erasures: Holds the projection to what was erased.
        remembered: Outlives the databases.
        jobs: Which were called with a connection.
        backups_kept: For how long the oldest backup is kept; zero where there are none.
        clock: The time.
        interval: Between two passes: longer than it takes until every replica knows of an erasure.
    """

    tenants: Tenants
    erasures: Erasures
    remembered: RememberedErasures
    jobs: ConnectionJobs
    backups_kept: timedelta
    clock: Clock
    interval: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What one pass has come to."""

    reports: Sequence[StoreState]
    #: Services that did not answer.
    away: Sequence[str]
    more: bool

    @property
    def clean(self) -> bool:
        """Whether nothing was left anywhere."""
        return not self.away and not self.more and not any(each.removed for each in self.reports)


class Erasing:
    """The runner of erasures.

    Args:
        holders: All services that hold something, by name.
        beside: What else it leans on.
    """

    def __init__(self, holders: Mapping[str, Holder], beside: Beside) -> None:
        self._holders = holders
        self._beside = beside
        self._clock = beside.clock

    async def response(self, operation: Operation) -> bytes:
        """The report."""
        return operation.response

    async def take_turn(self, operation: Operation) -> Step:
        """See `services.history.operations.domain.Runner`."""
        about = _About.of(operation)
        cursor = Cursor.load(operation.cursor)
        if operation.cancel_requested and cursor.stage is not Stage.ERASE:
            return await self._take_back(about, cursor)
        match cursor.stage:
            case Stage.LOOK:
                suspended = not about.connection_id and await self._beside.tenants.is_suspended(about.tenant)
                return self._next(about, replace(cursor, stage=Stage.SHUT, was_suspended=suspended))
            case Stage.SHUT:
                return await self._shut(about, cursor)
            case Stage.WAIT:
                now = to_milliseconds(self._clock.now())
                if now < about.erases_at:
                    return self._next(about, cursor, due_at=about.erases_at)
                return self._next(about, replace(cursor, stage=Stage.ERASE, before=now))
            case Stage.ERASE:
                return await self._erase(about, cursor)

    async def _shut(self, about: _About, cursor: Cursor) -> Step:
        """Shuts the tenant out, or deletes the connection with its secret; both hold at once."""
        if about.connection_id:
            held = await self._holders[AUTH].erase(about.tenant, about.connection_id, before=self._clock.now())
            cursor = replace(cursor, stores=merged(cursor.stores, held.stores))
        else:
            await self._suspend(about)
        log.info("erasure_begun", operation=about.id, owner=about.tenant, connection=about.connection_id or None)
        return self._next(about, replace(cursor, stage=Stage.WAIT))

    async def _suspend(self, about: _About) -> None:
        until = about.erases_at.isoformat(timespec="seconds")
        reason = f"to be erased by operations/{about.id}, which an operator can cancel until {until}"
        await self._beside.tenants.suspend(about.tenant, reason)

    async def _take_back(self, about: _About, cursor: Cursor) -> Step:
        """Lets the tenant in again; a connection's credentials are gone all the same."""
        if cursor.stage is Stage.WAIT and not about.connection_id and not cursor.was_suspended:
            await self._beside.tenants.resume(about.tenant)
        log.info("erasure_taken_back", operation=about.id, owner=about.tenant, connection=about.connection_id or None)
        return Step(
            metadata=about.metadata(Phase.DONE, cursor.stores.values()),
            cursor=cursor.dump(),
            due_at=None,
            state=State.CANCELED,
        )

    async def _erase(self, about: _About, cursor: Cursor) -> Step:
        assert cursor.before is not None  # noqa: S101  the stage says so
        erasure = Erasure(
            operation_id=about.id, tenant=about.tenant, connection_id=about.connection_id, before=cursor.before
        )
        await self._beside.remembered.note(erasure, finished_at=None)
        await self._beside.erasures.note(erasure)
        if not about.connection_id and not cursor.stores:  # somebody may have let it in meanwhile
            with suppress(TenantNotFound):  # a restored database may be older than the tenant
                await self._suspend(about)
        crash_points.reach(CrashPoint.HISTORY_ERASURE_NOTED)
        done = await (self._pass_of_connection if about.connection_id else self._pass)(about)
        cursor = replace(cursor, stores=merged(cursor.stores, done.reports))
        log.info(
            "erasure_pass", operation=about.id, removed=sum(each.removed for each in done.reports), away=list(done.away)
        )
        if not done.clean:
            pause = timedelta() if done.more and not done.away else self._beside.interval
            away = [StoreState(store=name, note="does not answer; it is asked again") for name in done.away]
            return self._next(about, cursor, due_at=self._clock.now() + pause, beside=away)
        return await self._finish(about, erasure, cursor)

    async def _finish(self, about: _About, erasure: Erasure, cursor: Cursor) -> Step:
        now = to_milliseconds(self._clock.now())
        await self._beside.remembered.note(erasure, finished_at=now)
        kept = kept_beside(about.tenant, whole=not about.connection_id, at=now, backups_kept=self._beside.backups_kept)
        stores = {**cursor.stores, **{each.store: each for each in kept}}.values()
        log.info("erasure_finished", operation=about.id, owner=about.tenant, connection=about.connection_id or None)
        return Step(
            metadata=about.metadata(Phase.DONE, stores),
            cursor=replace(cursor, stores={}).dump(),
            due_at=None,
            state=State.SUCCEEDED,
            response=report(stores, at=now),
        )

    async def _pass(self, about: _About) -> _Pass:
        """Asks all for what they hold of a tenant: of it nothing can come any more, so all goes that is there now."""
        now = self._clock.now()
        others = [name for name in self._holders if name not in {FIRST, HISTORY}]
        answers = {FIRST: await self._ask(FIRST, about, before=now)}
        answers |= dict(
            zip(others, await asyncio.gather(*(self._ask(name, about, before=now) for name in others)), strict=True)
        )
        answers[HISTORY] = await self._ask(HISTORY, about, before=now)
        return _passed(answers)

    async def _pass_of_connection(self, about: _About) -> _Pass:
        """The same of a connection; history lets go of its jobs when those have that know them by their ids."""
        now = self._clock.now()
        answers = {FIRST: await self._ask(FIRST, about, before=now)}
        others = [name for name in self._holders if name not in {FIRST, HISTORY, *BY_JOBS}]
        answers |= dict(
            zip(others, await asyncio.gather(*(self._ask(name, about, before=now) for name in others)), strict=True)
        )
        parts = [_passed(answers)]
        ends_at = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            jobs = await self._beside.jobs.ended_of(about.tenant, about.connection_id, before=now, limit=_JOBS_AT_ONCE)
            found = await asyncio.gather(*(self._ask(name, about, before=now, job_ids=jobs) for name in BY_JOBS))
            part: dict[str, HeldErased | None] = dict(zip(BY_JOBS, found, strict=True))
            if all(held is not None and not held.more for held in found):
                part[HISTORY] = await self._ask(HISTORY, about, before=now, job_ids=jobs)
            parts.append(_passed(part))
            if len(jobs) < _JOBS_AT_ONCE or parts[-1].away or asyncio.get_running_loop().time() >= ends_at:
                break
        return _Pass(
            reports=[each for part in parts for each in part.reports],
            away=sorted({name for part in parts for name in part.away}),
            more=any(part.more for part in parts),
        )

    async def _ask(
        self, name: str, about: _About, *, before: datetime, job_ids: Sequence[str] = ()
    ) -> HeldErased | None:
        """What became of what a service held; None where it is away."""
        try:
            return await self._holders[name].erase(about.tenant, about.connection_id, before=before, job_ids=job_ids)
        except (DeadlineExceeded, Unavailable) as error:  # the next pass asks it again
            log.warning("holder_away", service=name, operation=about.id, reason=error.reason, error=error.message)
            return None

    def _next(
        self,
        about: _About,
        cursor: Cursor,
        *,
        due_at: datetime | None = None,
        beside: Sequence[StoreState] = (),
    ) -> Step:
        phase = Phase.WORKING if cursor.stage is Stage.ERASE else Phase.SOFT
        return Step(
            metadata=about.metadata(phase, [*cursor.stores.values(), *beside]),
            cursor=cursor.dump(),
            due_at=due_at or self._clock.now(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What an operation is about."""

    id: str
    tenant: str
    connection_id: str
    created_at: datetime
    erases_at: datetime

    @classmethod
    def of(cls, operation: Operation) -> _About:
        request = data_pb2.EraseDataRequest.FromString(operation.request)
        begun = data_pb2.DataMetadata.FromString(operation.metadata)
        return cls(
            id=operation.id,
            tenant=request.tenant,
            connection_id=request.connection_id,
            created_at=operation.created_at,
            erases_at=begun.erases_at.ToDatetime(tzinfo=UTC),
        )

    def metadata(self, phase: Phase.ValueType, stores: Iterable[StoreState]) -> bytes:
        return metadata(
            tenant=self.tenant,
            connection_id=self.connection_id,
            phase=phase,
            created_at=self.created_at,
            erases_at=self.erases_at,
            stores=sorted(stores, key=lambda each: each.store),
        )


def _passed(answers: Mapping[str, HeldErased | None]) -> _Pass:
    return _Pass(
        reports=[each for held in answers.values() if held is not None for each in held.stores],
        away=[name for name, held in answers.items() if held is None],
        more=any(held is not None and held.more for held in answers.values()),
    )
