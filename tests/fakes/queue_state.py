"""All that the plain queue knows of one upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.scheduler.limits import NO_BUDGET, Limits, Rules
from services.scheduler.views import Hold, HoldKind
from tests.fakes.queue_breakers import Breaker
from tests.fakes.queue_budgets import COARSE_SUBWINDOWS, History, Scope
from tests.fakes.queue_rings import Rings

if TYPE_CHECKING:
    from services.scheduler.domain import Fact
    from services.scheduler.limits import BreakerPolicy, Budget, Pause, Suspension
    from tests.fakes.queue_job import Job

DRAIN_WINDOW_MS = 60_000
ALL_CLASSES = ""


class Place(NamedTuple):
    """What has budgets and a breaker of its own: one lane, or the upstream (both names empty)."""

    tenant: str
    lane: str

    @property
    def scope(self) -> str:
        """As it is shown."""
        return "lane" if self.lane else "upstream"


UPSTREAM_PLACE = Place("", "")


class Upstream:
    """One upstream's queue."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.rings = Rings()
        self.marks: dict[tuple[str, str], int] = {}
        self.outbox: dict[str, tuple[int, Fact]] = {}
        self.rules: Rules | None = None
        self.rules_version = 0
        self.pauses: dict[Place, Pause] = {}
        self.suspensions: dict[Place, Suspension] = {}
        self.standings: dict[Place, int] = {}
        self.scopes: dict[tuple[Place, str], Scope] = {}
        self.breakers: dict[Place, Breaker] = {}
        self.ended = History()

    def waiting(self, tenant: str = "") -> list[Job]:
        """Jobs that wait to be leased, of one tenant or of all."""
        return [job for job in self.jobs.values() if job.waits and tenant in {"", job.new.tenant}]

    def delayed(self) -> list[Job]:
        """Those of them that may be leased later."""
        return [job for job in self.waiting() if not self.rings.lines_up(job)]

    def leased(self, tenant: str = "") -> list[Job]:
        return [job for job in self.jobs.values() if job.leased_ms and tenant in {"", job.new.tenant}]

    def weight(self, tenant: str) -> int:
        return self.rules.weights.get(tenant, 1) if self.rules else 1

    def scope(self, place: Place, method_class: str = ALL_CLASSES) -> Scope:
        return self.scopes.setdefault((place, method_class), Scope())

    def breaker(self, place: Place) -> Breaker:
        return self.breakers.setdefault(place, Breaker())

    def policy(self, place: Place) -> BreakerPolicy | None:
        """What the breaker goes by, where there is one."""
        if self.rules is None or (place == UPSTREAM_PLACE and not self.rules.breaker.upstream):
            return None
        return self.rules.breaker

    def budget(self, place: Place, method_class: str = ALL_CLASSES) -> Budget:
        limits = self.rules.limits if self.rules else Limits()
        if place == UPSTREAM_PLACE:
            return limits.classes.get(method_class, NO_BUDGET) if method_class else limits.upstream
        return limits.lane_classes.get(method_class, NO_BUDGET) if method_class else limits.lane

    def holds(self, place: Place, method_class: str, now_ms: int) -> list[Hold]:
        """All that keeps a call of the class from going out there, but suspensions and pauses."""
        breaker = self.breaker(place).holds(place.scope, now_ms) if self.policy(place) else []
        return breaker + [
            hold
            for name in (ALL_CLASSES, method_class)
            for hold in self.scope(place, name).holds(
                f"{place.scope}:{name}" if name else place.scope, self.budget(place, name), now_ms
            )
        ]

    def is_news(self, place: Place, revision: int) -> bool:
        """Whether a word about a tenant or a lane is not older than the last one, which it is from now on."""
        if revision < self.standings.get(place, 0):
            return False
        self.standings[place] = revision
        return True

    def is_held_back(self, place: Place) -> bool:
        """Whether a tenant or a lane is paused or suspended."""
        return place in self.pauses or place in self.suspensions

    def suspension_holds(self, tenant: str, lane: str) -> list[Hold]:
        found = {HoldKind.SUSPENDED: Place(tenant, ""), HoldKind.NEEDS_REAUTH: Place(tenant, lane)}
        return [
            Hold(kind=kind, scope="lane" if place.lane else "tenant", text=self.suspensions[place].reason)
            for kind, place in found.items()
            if place in self.suspensions
        ]

    def pause_holds(self, tenant: str, lane: str) -> list[Hold]:
        places = {"upstream": UPSTREAM_PLACE, "tenant": Place(tenant, ""), "lane": Place(tenant, lane)}
        return [
            Hold(kind=HoldKind.PAUSED, scope=scope, text=self.pauses[place].reason)
            for scope, place in places.items()
            if place in self.pauses
        ]

    def take(self, job: Job, now_ms: int) -> None:
        """Counts a lease in every scope that it belongs to."""
        job.rules_version = self.rules_version
        for place in places_of(job):
            for name in (ALL_CLASSES, job.new.method_class):
                self.scope(place, name).take(self.budget(place, name), now_ms)
            if self.policy(place):
                self.breaker(place).lease_given(job.key)

    def release(self, job: Job) -> dict[Place, bool]:
        """Gives back what a lease has held; whether it was the probe of the lane, and of the upstream."""
        job.leased_ms = 0
        for place in places_of(job):
            for name in (ALL_CLASSES, job.new.method_class):
                self.scope(place, name).running -= 1
        return {place: self.breaker(place).lease_ended(job.key) for place in places_of(job)}

    def give_back(self, job: Job, now_ms: int) -> None:
        """Gives back what a lease has taken of rates and quotas, as if its call had not been counted."""
        for place in places_of(job):
            for name in (ALL_CLASSES, job.new.method_class):
                known = job.rules_version == self.rules_version
                budget = self.budget(place, name) if known else NO_BUDGET
                self.scope(place, name).give_back(budget, job.leased_ms, now_ms)

    def note_end(self, now_ms: int) -> None:
        """Counts a job that has ended."""
        self.ended = self.ended.with_call(DRAIN_WINDOW_MS, now_ms, COARSE_SUBWINDOWS)

    def forget_grants(self) -> None:
        """Counts the turns of a tenant anew for which nothing waits any more; the last thing of each step."""
        tenants = {job.new.tenant for job in self.waiting()}
        self.rings.grants = {tenant: grants for tenant, grants in self.rings.grants.items() if tenant in tenants}


def places_of(job: Job) -> tuple[Place, Place]:
    """The lane's first."""
    return (Place(job.new.tenant, job.new.lane), UPSTREAM_PLACE)
