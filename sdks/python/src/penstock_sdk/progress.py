"""How far something is, drawn by tqdm."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

#: Asked for in calls: not at all, on stderr where that is a terminal, or to a file whatever that is.
ProgressTo = bool | TextIO


class Progress:
    """A bar, or nothing where none is wanted.

    Args:
        to: Where it is drawn; `True` is stderr, and draws only on a terminal: logs and pipes stay clean.
        total: Of what; None where that is not known.
        unit: What is counted: `job`, or `B` for bytes.
        description: Stands before the bar.
    """

    def __init__(self, to: ProgressTo, *, total: int | None, unit: str, description: str = "") -> None:
        self._bar: Any = None
        if to is False or (to is True and not sys.stderr.isatty()):
            return
        from tqdm import tqdm  # noqa: PLC0415  takes its time, and few draw bars

        self._bar = tqdm(
            desc=description or None,
            total=total,
            unit=unit,
            unit_scale=unit == "B",
            unit_divisor=1024 if unit == "B" else 1000,
            file=sys.stderr if to is True else to,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def advance(self, count: int = 1, **counts: int) -> None:
        """So much more is done; `counts` are told beside the bar, those of 0 left out."""
        if self._bar is not None:
            self._bar.set_postfix({name: number for name, number in counts.items() if number}, refresh=False)
            self._bar.update(count)

    def restart(self, count: int = 0, *, total: int | None = None) -> None:
        """So much is done, and no more."""
        if self._bar is not None:
            self._bar.reset(total)
            self._bar.update(count)

    def close(self) -> None:
        """Leaves the bar as it stands; may be done twice."""
        if self._bar is not None:
            self._bar.close()
