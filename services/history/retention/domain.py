"""How long a tenant's things are kept, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DAY = timedelta(days=1)
_DAY_S = 86400
#: What each span of days may be. Audit entries and archives are for those who must answer for years; deliveries are
#: kept for a day longer than the log keeps the event that they were made of: one that comes again must find them.
BOUNDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "succeeded_jobs": (1, 366),
        "failed_jobs": (1, 366),
        "audit": (30, 2557),
        "deliveries": (8, 366),
        "archives": (1, 3653),
    }
)
#: An index has an entry for each of them that a job has.
MAX_INDEXED_KEYS = 10
#: Of a job's metadata: what is longer, no job has.
MAX_KEY_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a tenant's things are kept after they ended."""

    #: Jobs that succeeded.
    succeeded_jobs: timedelta = timedelta(days=90)
    #: Jobs that ended otherwise.
    failed_jobs: timedelta = timedelta(days=30)
    audit: timedelta = timedelta(days=365)
    deliveries: timedelta = timedelta(days=30)
    #: Whether jobs are archived before they are deleted.
    archive: bool = True
    #: What was archived.
    archives: timedelta = timedelta(days=365)
    #: Keys of metadata by which jobs can be listed.
    indexed_metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRetention:
    """What a tenant has of its own; where that is None, what holds for all holds for it."""

    succeeded_jobs: timedelta | None = None
    failed_jobs: timedelta | None = None
    audit: timedelta | None = None
    deliveries: timedelta | None = None
    archive: bool | None = None
    archives: timedelta | None = None
    indexed_metadata: tuple[str, ...] | None = None

    def over(self, default: Retention) -> Retention:
        """What holds for the tenant.

        Args:
            default: What holds for who has nothing of its own.
        """
        own = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return Retention(**{name: getattr(default, name) for name in FIELDS} | own)


FIELDS = tuple(field.name for field in fields(Retention))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of what a tenant has of its own.

    Args:
        fields: Which are changed.
        to: What they become; None for what holds for all.
    """

    fields: frozenset[str]
    to: OwnRetention


def days_problem(name: str, value: timedelta) -> str | None:
    """What is wrong with a span, if anything.

    Args:
        name: The field's.
        value: Of it.
    """
    least, most = BOUNDS[name]
    if not value % DAY and least * DAY <= value <= most * DAY:
        return None
    return (
        f"is {value.total_seconds():.17g}s; it takes whole days of {_DAY_S}s, "
        f"{least * _DAY_S}s to {most * _DAY_S}s ({least:,} to {most:,} days)"
    )


def mistakes_in(default: Retention, *, names: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with what is to hold for all.

    Args:
        default: It.
        names: What its fields are called where they were set.
    """
    for name, called in names.items():
        value: timedelta = getattr(default, name)
        least, most = BOUNDS[name]
        if days_problem(name, value) is not None:
            yield f"{called} is {value / DAY:g}d; it takes whole days, {least}d to {most}d"
