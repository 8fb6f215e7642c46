"""How long things are kept in this mesh, unless a tenant has it otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from services.history.retention.domain import BOUNDS, Retention, mistakes_in
from shared.objects import ObjectsConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Mapping[str, str] = MappingProxyType({name: f"PENSTOCK_RETENTION_{name.upper()}" for name in BOUNDS})
_MOST_INTERVAL = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig(ObjectsConfig):
    """What the service is told of keeping, and of the object store, which archives are in."""

    #: How long jobs are kept that succeeded; whole days, as all of these.
    retention_succeeded_jobs: timedelta = Retention().succeeded_jobs
    #: And those that ended otherwise.
    retention_failed_jobs: timedelta = Retention().failed_jobs
    #: Audit entries, from when they are made.
    retention_audit: timedelta = Retention().audit
    #: Deliveries of webhooks, from their end.
    retention_deliveries: timedelta = Retention().deliveries
    #: Whether jobs are archived before they are deleted.
    retention_archive: bool = True
    #: What was archived, from when it was.
    retention_archives: timedelta = Retention().archives
    #: How often to look for what has had its time.
    retention_interval: timedelta = timedelta(minutes=5)

    def mistakes_of_retention(self) -> list[str]:
        """What is wrong with these settings, each by its name."""
        mistakes = [*mistakes_in(self.default_retention, names=_NAMES), *self.mistakes_of_objects()]
        if not timedelta() < self.retention_interval <= _MOST_INTERVAL:
            seconds = self.retention_interval.total_seconds()
            mistakes.append(f"PENSTOCK_RETENTION_INTERVAL is {seconds:g}s; it takes more than 0s and at most 1d")
        return mistakes

    @property
    def default_retention(self) -> Retention:
        """What holds for who has nothing of its own."""
        return Retention(
            archive=self.retention_archive, **{name: getattr(self, f"retention_{name}") for name in BOUNDS}
        )
