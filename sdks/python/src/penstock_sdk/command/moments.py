"""Times and durations as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_LONGEST = timedelta(days=36500)


class DurationType(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic in click 8.5 alone
    """`90`, `90s`, `15m`, `2h`, `1d`, `1h30m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration.

        Raises:
            click.UsageError: It is none.
        """
        if isinstance(value, timedelta):
            return value
        found = duration(value)
        if found is None:
            self.fail(f"{value!r} is no duration; give 30s, 15m, 2h, 1d or 1h30m", param, ctx)
        return found


class TimeType(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  # generic in click 8.5 alone
    """An RFC 3339 time, or one counted from now: `+10m`, `-2h`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, in UTC.

        Raises:
            click.UsageError: It is none.
        """
        if isinstance(value, datetime):
            return value
        if value[:1] in {"+", "-"} and (away := duration(value[1:])) is not None:
            return datetime.now(UTC) + (away if value[0] == "+" else -away)
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; give 2026-12-31T18:00:00Z, or from now on: +10m, -2h", param, ctx)
        return (found if found.tzinfo else found.astimezone()).astimezone(UTC)


def duration(text: str) -> timedelta | None:
    """A text as a duration; None where it is none."""
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        text = f"{text}s"
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    return timedelta(seconds=seconds) if seconds <= _LONGEST.total_seconds() else None


def lasted(seconds: float) -> str:
    """A length of time in words: `0.3 s`, `12 s`, `4 min`."""
    if seconds < 10:  # noqa: PLR2004  # below that, tenths tell something
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004  # two minutes


DURATION, TIME = DurationType(), TimeType()
