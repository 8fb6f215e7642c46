"""Numbers of bytes as people read them."""

from __future__ import annotations

_STEP = 1024
_UNITS = ("bytes", "KiB", "MiB", "GiB")


def shown(size: int) -> str:
    """A number of bytes with its unit."""
    value = float(size)
    for unit in _UNITS:
        if value < _STEP:
            return f"{value:.0f} {unit}" if unit == _UNITS[0] else f"{value:.1f} {unit}"
        value /= _STEP
    return f"{value:.1f} TiB"
