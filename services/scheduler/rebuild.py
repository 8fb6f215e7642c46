"""A queue's form in Redis, rebuilt: the scripts that begin it, put events of the log back, and open the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from services.scheduler import codec
from services.scheduler.checkpoints import FIRST_EPOCH
from services.scheduler.domain import MAX_BATCH
from services.scheduler.replay import dump_events
from services.scheduler.scripts import QueueScript, milliseconds, prefix
from shared import kv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.scheduler.domain import Fact, QueueSettings
    from services.scheduler.replay import Chapter, Happened

#: What is set for a queue, and what no event of the log tells: a rebuild from nothing leaves it.
_KEPT = ("epoch", "outbox", "rules", "weights", "pauses", "suspended", "held")
_KEPT_MARKS = ("cancel:", "lifted:")
#: Revisions that a job leaves out after what the log tells of it; see `replay.lua`.
_GAP = 1
#: Keys looked at, and removed, in one round trip.
_SCANNED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A rebuild under way; several replicas may work on it.

    Args:
        name: Empty where the queue is whole, and none was begun.
        clear: What is left of the queue is no part of the new one.
        replayed: The sequence in JOBS up to which it was replayed; None where that was not begun.
        applied_ms: When the queue was known to be whole, by Redis' clock; None where it is not known.
        acked: The sequence up to which all that was submitted had been enqueued then; None where it is not known.
        now_ms: By Redis' clock.
    """

    name: str
    clear: bool
    replayed: int | None
    applied_ms: int | None
    acked: int | None
    now_ms: int


class SessionOver(Exception):
    """The rebuild was ended by another replica, or by another loss."""


class SessionBehind(Exception):
    """The rebuild has not come as far as where this replica goes on from."""


class Rebuild:
    """Rebuilds queues in Redis. Everything raises `Unavailable`.

    Args:
        client: Connected to the Redis of the queues.
        settings: How long things last.
        clock: A Lua file that defines `read_clock()`.
    """

    def __init__(self, client: kv.Client, settings: QueueSettings, *, clock: Path = kv.CLOCK) -> None:
        self._client = client
        self._margin_ms = milliseconds(settings.lease_margin)
        self._memory_ms = milliseconds(settings.memory)

        line = ("counts", "scopes", "breakers", "ring", "line", "replay")
        self._recover = QueueScript(clock, "recover", "job", "server")
        self._clear = QueueScript(clock, "clear", "job", "server")
        self._restore = QueueScript(clock, "restore", "job", "server", *line)
        self._open = QueueScript(clock, "open", "job", "server")
        self._late = QueueScript(clock, "late", "job", "guard", *line)
        self._mark = QueueScript(clock, "mark", "job", "guard", "counts")

    async def begin(self, upstream: str, name: str, *, forced: bool) -> Session:
        """Begins a rebuild under this name, or joins the one that goes on.

        Args:
            upstream: Whose queue.
            name: No other's.
            forced: Though the queue seems whole; it is rebuilt from nothing then.
        """
        joined, clear, replayed, applied, acked, now = await self._recover.run(
            self._client, upstream, name, int(forced)
        )
        return Session(
            name=joined.decode(),
            clear=bool(clear),
            replayed=_known(replayed),
            applied_ms=_known(applied),
            acked=_known(acked),
            now_ms=now,
        )

    async def unpublished(self, upstream: str) -> list[Fact]:
        """Some of the facts that stand in the outbox; none when it is empty."""
        async with kv.translated():
            posted = cast("list[bytes]", await self._client.zrange(f"{prefix(upstream)}outbox", 0, MAX_BATCH - 1))
        return [codec.read_posted(text) for text in posted]

    async def clear(self, upstream: str, session: Session) -> None:
        """Removes what is left of the queue, but for what is set for it; nothing, once anything was replayed.

        Raises:
            SessionOver: It has been ended.
        """
        start = prefix(upstream)
        cursor = 0
        while True:
            async with kv.translated():
                cursor, found = await self._client.scan(cursor, match=f"{start}*", count=_SCANNED)
            keys = [key for key in cast("list[bytes]", found) if not _is_kept(key.decode().removeprefix(start))]
            if keys and not await self._clear.run(self._client, upstream, session.name, *keys):
                return
            if not cursor:
                return

    async def restore(
        self, upstream: str, session: Session, chapters: Sequence[Chapter], *, acked: int, epoch: int
    ) -> int:
        """Replays events, in the order of the log; answers with how many were news.

        Args:
            upstream: Whose queue.
            session: Under which.
            chapters: What comes next in the log.
            acked: The sequence in JOBS up to which no submission comes again.
            epoch: The one that comes next. Before the first one no lease was given, so none was lost.

        Raises:
            SessionOver: It has been ended.
            SessionBehind: It has not come as far as where these begin.
        """
        answers = await self._restore.run_many(
            self._client,
            upstream,
            [
                (
                    session.name,
                    chapter.after,
                    chapter.upto,
                    acked,
                    _GAP if epoch > FIRST_EPOCH else 0,
                    self._margin_ms,
                    self._memory_ms,
                    codec.dump_jobs(chapter.jobs),
                    dump_events(chapter.events),
                )
                for chapter in chapters
            ],
        )
        outcomes = {outcome for outcome, _ in answers}
        if b"over" in outcomes:
            raise SessionOver
        if b"ahead" in outcomes:
            raise SessionBehind
        return sum(news for _, news in answers)

    async def open(self, upstream: str, session: Session, epoch: int, *, acked: int) -> int:
        """Opens the queue; answers with its epoch.

        Args:
            upstream: Whose queue.
            session: Under which it was rebuilt.
            epoch: A number that was taken after the session was begun.
            acked: The sequence in JOBS up to which all that was submitted had been enqueued before.

        Raises:
            SessionOver: It has been ended.
        """
        opened: int = await self._open.run(self._client, upstream, session.name, epoch, acked)
        if not opened:
            raise SessionOver
        return opened

    async def end_late(self, upstream: str, epoch: int, events: Sequence[Happened]) -> int:
        """Ends jobs whose ends were published after the queue was opened; answers with how many did not know of it."""
        if not events:
            return 0
        answers = await self._late.run_many(
            self._client,
            upstream,
            [
                (epoch, self._memory_ms, dump_events(events[start : start + MAX_BATCH]))
                for start in range(0, len(events), MAX_BATCH)
            ],
        )
        return sum(answers)

    async def mark(self, upstream: str, acked: int | None) -> tuple[int, int]:
        """Notes that the queue is whole; answers with its epoch, and with the sequence below which all jobs have ended.

        That is 0 where all jobs have.

        Args:
            upstream: Whose queue.
            acked: The sequence in JOBS up to which all submitted jobs were enqueued; None where it was not asked for.

        Raises:
            RecoveryNeeded: It is not whole.
        """
        epoch, ended_below = await self._mark.run(self._client, upstream, "" if acked is None else acked)
        return epoch, ended_below


def _known(number: int) -> int | None:
    return number if number >= 0 else None


def _is_kept(name: str) -> bool:
    return name in _KEPT or name.startswith(_KEPT_MARKS)
