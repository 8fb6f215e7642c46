"""What is there of a download: `<path>.part` has the bytes, `<path>.part.of` says of which job, under which ETag."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Part:
    """The bytes that are there.

    Args:
        path: Of the file that they are in.
        job_id: Whose result they are of.
        etag: Of that result; empty where it is not known, and they cannot be gone on with.
        whole: Whether they are all of it.
    """

    path: Path
    job_id: str
    etag: str = ""
    whole: bool = False

    @classmethod
    def at(cls, target: Path, job_id: str) -> Part:
        """The part that was left beside a file, where it is of the same job."""
        part = cls(path=target.with_name(target.name + ".part"), job_id=job_id)
        try:
            told = json.loads(part._told.read_bytes())
        except (OSError, ValueError):  # nothing was left, or nothing that can be gone on with
            return part
        if isinstance(told, dict) and told.get("jobId") == job_id:
            part.etag = str(told.get("etag", ""))
        return part

    @property
    def _told(self) -> Path:
        return self.path.with_name(self.path.name + ".of")

    def size(self) -> int:
        """How many bytes are there that can be gone on with."""
        return self.path.stat().st_size if self.etag and self.path.exists() else 0

    def conditions(self) -> dict[str, str]:
        """The headers that ask for the rest, if it is still the rest of the same (RFC 9110, 13.1.5)."""
        size = self.size()
        return {"Range": f"bytes={size}-", "If-Range": self.etag} if size else {}

    def begin(self, etag: str) -> BinaryIO:
        """Opens it empty, for a result under an ETag; a weak one does not promise the same bytes."""
        self.etag = "" if etag.startswith("W/") else etag
        file = self.path.open("wb")
        self._told.write_text(json.dumps({"jobId": self.job_id, "etag": self.etag}), encoding="utf-8")
        return file

    def settle(self, size: str) -> None:
        """Takes note that there is nothing behind these bytes: they are all, or more than there should be."""
        self.whole = size == str(self.size())
        if not self.whole:
            self.etag = ""

    def finish(self, target: Path) -> Path:
        """Makes it the file, at once."""
        self.path.replace(target)
        self._told.unlink(missing_ok=True)
        return target
