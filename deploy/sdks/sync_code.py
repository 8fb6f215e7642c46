"""The sync half of the Python client, which unasync makes of the async one."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from unasync import Rule, unasync_files

from deploy.sdks.formatting import formatted

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASYNC, _SYNC = "_async", "_sync"
#: What is async by its name alone: `AsyncPenstock`, `AsyncClient`.
_NAME = re.compile(r"\bAsync(?=[A-Z])(\w+)")
#: An article that such a name takes, and what is left of it does not.
_ARTICLE = re.compile(r"\b([Aa])n(?= `?Async[B-DF-HJ-NP-TV-Z])")
#: What the sync half calls otherwise, beyond those names and what unasync knows by itself.
_OTHERS = {
    _ASYNC: _SYNC,
    "AbstractAsyncContextManager": "AbstractContextManager",
    "aclose": "close",
    "aclosing": "closing",
    "aiter": "iter",
    "aiter_bytes": "iter_bytes",
    "aiter_lines": "iter_lines",
    "aiter_raw": "iter_raw",
    "anext": "next",
    "aread": "read",
    "async_items": "items",
    "async_sleep": "sleep",
}


def sync_modules(package: Path) -> Iterator[tuple[Path, str]]:
    """Every module of the sync half, with what it is to say.

    Args:
        package: The folder that has both halves.

    Raises:
        subprocess.CalledProcessError: A module comes to no Python.
    """
    sources = sorted((package / _ASYNC).rglob("*.py"))
    texts = {source: source.read_text(encoding="utf-8") for source in sources}
    names = {match[0]: match[1] for text in texts.values() for match in _NAME.finditer(text)}
    with tempfile.TemporaryDirectory() as folder:
        there, made = Path(folder, _ASYNC), Path(folder, _SYNC)
        for source, text in texts.items():
            copy = there / source.relative_to(package / _ASYNC)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, encoding="utf-8")
        rule = Rule(f"/{_ASYNC}/", f"/{_SYNC}/", additional_replacements={**names, **_OTHERS})
        unasync_files([str(path) for path in there.rglob("*.py")], [rule])
        for source in sources:
            module = source.relative_to(package / _ASYNC)
            path = package / _SYNC / module
            yield path, formatted(_told(module, (made / module).read_text(encoding="utf-8")), path)


def _told(module: Path, code: str) -> str:
    """The code with its names also in what is said, and with whence it comes."""
    said = _NAME.sub(lambda match: match[1], _ARTICLE.sub(lambda match: match[1], code))
    return f"# Made of {_ASYNC}/{module} by `make sdks`; do not edit.\n{said}"
