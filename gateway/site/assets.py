"""Files that pages load, each under a path that has its content's digest; nothing else on disk can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.site.documents import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from starlette.routing import Route

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


class Assets:
    """The files of a folder, or some of them, as they were when the site started.

    Args:
        folder: Where they lie.
        names: Which of them.

    Raises:
        FileNotFoundError: One is not there.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._documents: Mapping[str, Document] = {
            name: Document((folder / name).read_bytes(), _MEDIA_TYPES[(folder / name).suffix], immutable=True)
            for name in names
        }

    def url(self, name: str) -> str:
        """The path under which a page loads the file."""
        return f"/docs/assets/{self._documents[name].digest}/{name}"

    def routes(self) -> Sequence[Route]:
        """A route a file."""
        return [document.at(self.url(name)) for name, document in self._documents.items()]
