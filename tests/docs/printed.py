"""Whether what a page shows is what was printed, but for what differs each time: `…` stands for it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ELIDED = "…"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\s+|.', re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?: bytes| [KM]iB)?")
#: What varies in plain text, beside what is elided.
_VARYING = re.compile(f"{_UUID.pattern}|{_TIME.pattern}|{_NUMBER.pattern}|{_ELIDED}")


def read_json(text: str) -> list[Any]:
    """The values of JSON that stand in a text, one after the other, in which a bare `…` may stand for what is left out.

    Raises:
        ValueError: It is none.
    """
    decoder, rest, values = json.JSONDecoder(), "".join(_spelled_out(text)).strip(), list[Any]()
    while rest:
        value, end = decoder.raw_decode(rest)
        values.append(value)
        rest = rest[end:].lstrip()
    return values


def _spelled_out(text: str) -> Iterator[str]:
    """The text with each bare `…` as a member or an element of that name."""
    inside, before = [""], ""
    for token in _TOKEN.findall(text):
        if token in "{[":
            inside.append(token)
        elif token in "}]" and len(inside) > 1:
            inside.pop()
        if token != _ELIDED:
            yield token
        elif inside[-1] == "{" and before in "{,":
            yield f'"{_ELIDED}": null'
        else:
            yield f'"{_ELIDED}"'
        before = before if token.isspace() else token


def json_differences(shown: Any, printed: Any, at: str = "$") -> Iterator[str]:
    """What a value was shown as that it is not."""
    if shown == _ELIDED:
        return
    match shown, printed:
        case dict(), dict():
            wanted = shown.keys() - {_ELIDED}
            unshown = set[str]() if _ELIDED in shown else printed.keys() - wanted
            yield from (f"{at}.{name} is shown and not there" for name in sorted(wanted - printed.keys()))
            yield from (f"{at}.{name} is there and not shown: {printed[name]!r}" for name in sorted(unshown))
            for name in sorted(wanted & printed.keys()):
                yield from json_differences(shown[name], printed[name], f"{at}.{name}")
        case list(), list():
            wanted = shown[:-1] if shown[-1:] == [_ELIDED] else shown
            if len(printed) < len(wanted) or (wanted is shown and len(printed) > len(wanted)):
                yield f"{at} has {len(printed)} elements"
            for number, (one, other) in enumerate(zip(wanted, printed, strict=False)):
                yield from json_differences(one, other, f"{at}[{number}]")
        case str(), str() if _is_alike(shown, printed):
            return
        case _ if type(shown) is not type(printed) or shown != printed:
            yield f"{at} is {printed!r}, shown as {shown!r}"


def _is_alike(shown: str, printed: str) -> bool:
    shown, printed = (_TIME.sub("<time>", _UUID.sub("<uuid>", text)) for text in (shown, printed))
    pattern = ".*".join(map(re.escape, shown.split(_ELIDED)))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def is_text_alike(shown: str, printed: str) -> bool:
    """Whether lines are as they are shown; a number stands for any number, a line of `…` alone for any lines."""
    lines = shown.splitlines()
    pattern = "".join("(?:.*\n)*" if line.strip() == _ELIDED else f"{_pattern_of(line)}\\s*\n" for line in lines)
    return re.fullmatch(pattern, printed if printed.endswith("\n") else f"{printed}\n") is not None


def _pattern_of(line: str) -> str:
    pieces, last = list[str](), 0
    for found in _VARYING.finditer(line):
        kinds = ((_UUID, _UUID), (_TIME, _TIME), (_NUMBER, _NUMBER))
        pieces.append(re.escape(line[last : found.start()]))
        pieces.append(next((into.pattern for kind, into in kinds if kind.fullmatch(found[0])), ".*"))
        last = found.end()
    return "".join(pieces) + re.escape(line[last:].rstrip())
