"""The tables of `docs/sdks.md`: what of the clients is generated, so that the page never lags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deploy.sdks import naming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.sdks.surface import Call, Method, Surface

#: What stands between two marks is made; the first says what.
_MADE = re.compile(r"(<!-- made by `make sdks`: (\w+) -->\n)(?:.*?\n)??(<!-- made until here -->)", re.DOTALL)


def page(text: str, surface: Surface) -> str:
    """The page with its tables made anew.

    Args:
        text: Of the page, whose marks say what stands between them.
        surface: What the clients have.

    Raises:
        KeyError: A mark wants what there is not.
        ValueError: A table has no marks.
    """
    tables = {"calls": list(_calls(surface)), "errors": list(_errors(surface))}
    if missing := tables.keys() - {match[2] for match in _MADE.finditer(text)}:
        raise ValueError(f"docs/sdks.md has no marks between which to put its {' and '.join(sorted(missing))}")
    return _MADE.sub(lambda match: match[1] + "\n".join((*tables[match[2]], match[3])), text)


def _calls(surface: Surface) -> Iterator[str]:
    yield "| Python | TypeScript | RPC | repeated |"
    yield "|---|---|---|---|"
    for noun in surface.nouns:
        for name, call in noun.by_hand.items():
            yield _row(noun.name, name, call, ("…",))
        for method in noun.methods:
            yield _row(noun.name, method.name, method.call, list(_asked(method)))


def _row(noun: str, method: str, call: Call, asked: list[str] | tuple[str, ...]) -> str:
    python = f"`{noun}.{method}({', '.join(naming.snake(each) if each.isalnum() else each for each in asked)})`"
    typescript = f"`{naming.lower_camel(noun)}.{naming.lower_camel(method)}({', '.join(asked)})`"
    return f"| {python} | {typescript} | {call.rpc} | {call.repeat} |"


def _asked(method: Method) -> Iterator[str]:
    """The arguments that are given by their places, and whether there are others."""
    yield from (each.name for each in method.arguments if each.required)
    if not all(each.required for each in method.arguments):
        yield "…"


def _errors(surface: Surface) -> Iterator[str]:
    yield "| reason | a call raises | a failed job raises |"
    yield "|---|---|---|"
    for reason in surface.reasons:
        of_calls = f"`{reason.call_class}`" if reason.of_calls else ""
        of_jobs = f"`{reason.job_class}`" if reason.of_jobs else ""
        yield f"| [`{reason.name}`](errors.md#{reason.name.lower()}) | {of_calls} | {of_jobs} |"
