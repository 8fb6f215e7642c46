"""Bytes to upload: measured in one pass, and read again for each try to send them."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from penstock_sdk.errors import InvalidUse, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: What an upload may have, as docs/api.md has it.
MAX_BYTES = 100 << 20
#: Read at once; small enough that an event loop does not notice.
CHUNK_BYTES = 256 << 10
#: Of what can be read but once, so much is kept in memory until it is sent; the rest on disk.
_HELD_BYTES = 8 << 20
_ANY_TYPE = "application/octet-stream"

Uploadable = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]


class UploadBroken(NoAnswer):
    """The bytes of an upload did not arrive; `upload_id` goes on with it for as long as it is PENDING, which is a day.

    Args:
        error: What the last try came to.
        upload_id: The upload.
    """

    def __init__(self, error: NoAnswer, *, upload_id: str) -> None:
        super().__init__(
            f"{error.described.removeprefix(f'{error.verb} {error.url}: ')}; go on with upload_id={upload_id!r}",
            verb=error.verb,
            url=error.url,
            sent=error.sent,
        )
        self.tries = error.tries
        self.took_s = error.took_s
        self.upload_id = upload_id


@dataclass(frozen=True, slots=True)
class Measured:
    """What is told of an upload before it is sent."""

    size: int
    sha256: str


class Content:
    """Bytes that can be read as often as they have to be sent.

    Args:
        file: Open, or a path that is opened for each reading.
        start: Where they begin in an open file.
        name: The file's, in errors; empty where it has none.
    """

    def __init__(self, file: Path | IO[bytes], *, start: int = 0, name: str = "") -> None:
        self._file = file
        self._start = start
        self.name = name

    @classmethod
    @contextmanager
    def of(cls, given: Uploadable) -> Generator[Content]:
        """What a caller gave: a path, bytes, or a file that is open for reading bytes, from where it stands on.

        A file that cannot be read twice, such as a pipe, is copied first; a caller's file is left open.

        Raises:
            InvalidUse: It is none of these.
            OSError: It cannot be read.
        """
        if isinstance(given, str | os.PathLike):
            yield cls(Path(given), name=os.fspath(given))
        elif isinstance(given, bytes | bytearray | memoryview):
            yield cls(io.BytesIO(given))
        elif isinstance(given, io.TextIOBase) or not hasattr(given, "read"):
            raise InvalidUse(
                f"content is a {type(given).__name__}, and has to be a path, bytes, or a file that is open in mode 'rb'"
            )
        elif given.seekable():
            yield cls(given, start=given.tell(), name=str(getattr(given, "name", "")))
        else:
            with tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES) as copy:
                for chunk in _read(given):
                    copy.write(chunk)
                    _check_size(copy.tell(), "it")
                yield cls(copy, name=str(getattr(given, "name", "")))

    @property
    def content_type(self) -> str:
        """By the name of the file."""
        return mimetypes.guess_type(self.name)[0] or _ANY_TYPE

    def chunks(self) -> Iterator[bytes]:
        """All of it, from its beginning."""
        if isinstance(self._file, Path):
            with self._file.open("rb") as file:
                yield from _read(file)
        else:
            self._file.seek(self._start)
            yield from _read(self._file)

    def measure(self) -> Iterator[Measured]:
        """Reads all of it; what it measures so far, after each chunk.

        Raises:
            InvalidUse: There is nothing, or more than an upload may have.
        """
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
            _check_size(size, self.name or "it")
            yield Measured(size, digest.hexdigest())
        if not size:
            raise InvalidUse(f"{self.name or 'the content'} is empty: an upload has 1 byte at least")


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise InvalidUse(f"{name} has more than {MAX_BYTES} bytes, which an upload may have at most")
