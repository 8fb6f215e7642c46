"""What commands print while they wait: one line that changes on a terminal, few lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time

#: Between two lines where nothing can be overwritten.
_SPARSE_S = 5.0


class Progress:
    """Tells how a wait goes, on standard error."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._printed_at = self._began
        self._last = ""

    def show(self, text: str) -> None:
        """Shows the text in place of what was shown before."""
        now = time.monotonic()
        if self._live:
            line = f"  {now - self._began:4.0f} s  {text}"[: shutil.get_terminal_size().columns - 1]
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        elif text != self._last and now - self._printed_at > _SPARSE_S:
            print(f"  {now - self._began:4.0f} s  {text}", file=sys.stderr, flush=True)
            self._printed_at = now
        self._last = text

    def clear(self) -> None:
        """Leaves nothing of the line that changes."""
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as their widest text."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    )
