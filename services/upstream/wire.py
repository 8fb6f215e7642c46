"""Values of params as texts: what queries and forms are made of."""

from __future__ import annotations

#: Whole numbers up to here are exact in JSON's doubles.
_EXACT_INTEGERS = 2**53


def text_of(value: object, *, true: str = "true", false: str = "false") -> str:
    """A scalar as its text.

    Args:
        value: A text, a number or a truth.
        true: What yes is written as.
        false: What no is.
    """
    if isinstance(value, bool):
        return true if value else false
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGERS:
        return str(int(value))  # 5 came as 5.0 through a Struct
    return str(value)
