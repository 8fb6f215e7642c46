"""The rings of the plain queue: tenants by start tag, their lanes by turn, the jobs of each lane in line."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from services.scheduler.domain import METHOD_CLASSES, Priority

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.fakes.queue_job import Fifo, Job

AGEING_TURN = 8


class Rings:
    """Which job goes next, of those that have their turn."""

    def __init__(self) -> None:
        #: Jobs that may be leased, by their sequence; none is empty.
        self.fifos: dict[Fifo, list[Job]] = {}
        #: Those without room, and when to look again: they have no turn.
        self.parked: dict[Fifo, float] = {}
        #: Paused tenants that were met: they have no turn in that class.
        self.left_out: set[tuple[str, str]] = set()
        #: Start-time fair queueing: the next start tag of each tenant, and the tag that was served last.
        self.tags: dict[str, float] = {}
        self.virtual_time = 0.0
        #: Leases given, by tenant.
        self.grants: dict[str, int] = {}
        #: By tenant, priority and lane: when it had its turn last, or came in; the smallest is next.
        self.turns: dict[tuple[str, Priority, str], int] = {}
        self._turn = 0

    def shown(self, tenant: str | None = None) -> list[Fifo]:
        """FIFOs that have their turn."""
        return [
            fifo
            for fifo in self.fifos
            if fifo not in self.parked
            and (fifo.tenant, fifo.method_class) not in self.left_out
            and tenant in {None, fifo.tenant}
        ]

    def tenants(self, classes: Collection[str] = METHOD_CLASSES) -> set[str]:
        """Those that have their turn."""
        return {fifo.tenant for fifo in self.shown() if fifo.method_class in classes}

    def classes(self) -> list[str]:
        """Classes with work that has its turn."""
        working = {fifo.method_class for fifo in self.shown()}
        return [name for name in METHOD_CLASSES if name in working]

    def lines_up(self, job: Job) -> bool:
        return job in self.fifos.get(job.fifo, ())

    def line_up(self, job: Job) -> None:
        fifo = job.fifo
        line = self.fifos.get(fifo)
        if line is not None and line[0].new.sequence < job.new.sequence:
            insort(line, job, key=lambda each: each.new.sequence)
            return
        with_turn = self._has_turn(fifo.tenant)
        insort(self.fifos.setdefault(fifo, []), job, key=lambda each: each.new.sequence)
        if fifo not in self.parked:
            self._show(fifo, with_turn=with_turn)

    def step_out(self, job: Job) -> None:
        """Takes a job out of its FIFO; a lane keeps its turn for as long as it has jobs of that priority."""
        fifo = job.fifo
        self.fifos[fifo].remove(job)
        if self.fifos[fifo]:
            return
        del self.fifos[fifo]
        self.parked.pop(fifo, None)
        if not any((other.tenant, other.priority, other.lane) == _place(fifo) for other in self.fifos):
            del self.turns[_place(fifo)]

    def park(self, fifo: Fifo, until: float) -> None:
        self.parked[fifo] = until

    def wake(self, fifo: Fifo) -> None:
        with_turn = self._has_turn(fifo.tenant)
        del self.parked[fifo]
        self._show(fifo, with_turn=with_turn)

    def wake_lane(self, tenant: str, lane: str) -> bool:
        """Brings back what is parked of a lane; whether there was any."""
        parked = [fifo for fifo in self.parked if (fifo.tenant, fifo.lane) == (tenant, lane)]
        for fifo in parked:
            self.wake(fifo)
        return bool(parked)

    def leave_out(self, tenant: str) -> None:
        """Takes a paused tenant out of the rings."""
        self.left_out |= {(tenant, name) for name in METHOD_CLASSES}

    def take_in(self, tenant: str) -> None:
        """Takes a tenant that is not paused any more into the rings."""
        with_turn = self._has_turn(tenant)
        self.left_out -= {(tenant, name) for name in METHOD_CLASSES}
        if not with_turn and self._has_turn(tenant):
            self._catch_up(tenant)

    def let_in(self, tenant: str, lane: str) -> None:
        """Gives what was held back its turn again: a lane, or all of a tenant's."""
        if lane:
            self.wake_lane(tenant, lane)
        elif tenant:
            self.take_in(tenant)

    def next_tenant(self, classes: Collection[str]) -> str | None:
        return min(self.tenants(classes), key=lambda name: (self.tags[name], name), default=None)

    def next_job(self, tenant: str, classes: Collection[str], aged_since_ms: int) -> Job:
        """The tenant's job whose turn it is, among those of these classes.

        Args:
            aged_since_ms: What may be leased since before has one of eight turns.
        """
        fifos = [fifo for fifo in self.shown(tenant) if fifo.method_class in classes]
        if self.grants.get(tenant, 0) % AGEING_TURN == AGEING_TURN - 1:
            oldest = min(fifos, key=lambda fifo: (self._head(fifo).ready_ms, _order(fifo)))
            if self._head(oldest).ready_ms < aged_since_ms:
                return self._head(oldest)
        highest = min(fifo.priority for fifo in fifos)
        first = min(
            (fifo for fifo in fifos if fifo.priority == highest),
            key=lambda fifo: (self.turns[_place(fifo)], self._head(fifo).new.sequence),
        )
        return self._head(first)

    def charge(self, job: Job, weight: int) -> None:
        """Moves the tenant on by one service of its weight, and the lane behind the tenant's other lanes."""
        tenant = job.new.tenant
        # a tag that lies behind is one whose class was closed to it: that time is not saved up
        self.virtual_time = max(self.virtual_time, self.tags[tenant])
        self.tags[tenant] = self.virtual_time + 1 / weight
        self.grants[tenant] = self.grants.get(tenant, 0) + 1
        self._take_turn(job.fifo)

    def _head(self, fifo: Fifo) -> Job:
        return self.fifos[fifo][0]

    def _has_turn(self, tenant: str) -> bool:
        return bool(self.shown(tenant))

    def _show(self, fifo: Fifo, *, with_turn: bool) -> None:
        self.left_out.discard((fifo.tenant, fifo.method_class))
        if _place(fifo) not in self.turns:
            self._take_turn(fifo)
        if not with_turn:
            self._catch_up(fifo.tenant)

    def _catch_up(self, tenant: str) -> None:
        self.tags[tenant] = max(self.tags.get(tenant, 0.0), self.virtual_time)

    def _take_turn(self, fifo: Fifo) -> None:
        self._turn += 1
        self.turns[_place(fifo)] = self._turn


def _place(fifo: Fifo) -> tuple[str, Priority, str]:
    return (fifo.tenant, fifo.priority, fifo.lane)


def _order(fifo: Fifo) -> tuple[int, str]:
    """Of equally old ones: by class, then by name."""
    return (METHOD_CLASSES.index(fifo.method_class), f"{fifo.priority}:{fifo.lane}")
