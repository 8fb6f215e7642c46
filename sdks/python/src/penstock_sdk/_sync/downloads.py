# Made of _async/downloads.py by `make sdks`; do not edit.
"""Results, downloaded into files: what breaks off goes on where it stands, also in another process.

The bytes gather in `<path>.part`; the file itself appears at the end, at once and whole.
"""

from __future__ import annotations

import os
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_sdk.errors import InvalidUse, NoAnswer, PenstockError, UnexpectedAnswer
from penstock_sdk.operation import Repeat
from penstock_sdk.parts import Part
from penstock_sdk.progress import Progress
from penstock_sdk.reasons import RangeNotSatisfiable

if TYPE_CHECKING:
    from penstock_sdk._sync.calls import Calls
    from penstock_sdk._sync.transport import RawResult
    from penstock_sdk.progress import ProgressTo

#: For the next bytes to come.
_TIMEOUT_S = 60.0
_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]+)-[0-9]+/(?P<size>[0-9]+)")


def download(
    calls: Calls,
    job_id: str,
    path: str | os.PathLike[str],
    *,
    progress: ProgressTo = False,
    timeout_s: float = _TIMEOUT_S,
) -> Path:
    """The file that a job's result is written into, byte for byte as the upstream answered.

    A file that is there is replaced, when all of the result has come.

    Args:
        calls: Makes the calls.
        job_id: Whose result.
        path: Of the file.
        progress: Draws a bar.
        timeout_s: How long nothing may come, in seconds.

    Raises:
        InvalidUse: The path is a folder, or its folder is not there.
        JobNotFound: There is no such job.
        JobNotFinished: It has not ended.
        ResultNotFound: It has ended without a result, or the result is no longer kept.
        NoAnswer: The rest did not come; the next download into this path goes on.
        OSError: The file cannot be written.
    """
    target = _checked(Path(path))
    part = Part.at(target, job_id)
    with Progress(progress, total=None, unit="B", description=target.name) as bar:
        tries = calls.tries(Repeat.ALWAYS)
        while True:
            before = part.size()
            try:
                with calls.transport.result(job_id, headers=part.conditions(), timeout_s=timeout_s) as result:
                    _take(result, part, bar)
            except RangeNotSatisfiable as error:
                part.settle(error.metadata.get("size", ""))
            except PenstockError as error:
                if part.size() > before:  # it goes on: only standing still is held against it
                    tries = calls.tries(Repeat.ALWAYS)
                calls.pacing.sleep(tries.pause_after(error))
            if part.whole:
                return part.finish(target)


def _checked(path: Path) -> Path:
    if path.is_dir():
        raise InvalidUse(f"path is {str(path)!r}, which is a folder; give that of a file")
    if not path.parent.is_dir():
        raise InvalidUse(f"path is {str(path)!r}, and there is no folder {str(path.parent)!r}; make it first")
    return path


def _take(result: RawResult, part: Part, bar: Progress) -> None:
    """Writes what comes behind what is there, or in its place."""
    headers = result.headers
    url = f"the result of {part.job_id}"
    if result.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.settle(headers.get("content-range", "").rpartition("/")[2])
        return
    first = part.size()
    if result.status == HTTPStatus.PARTIAL_CONTENT:
        told = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        if told is None or int(told["first"]) != first:
            part.etag = ""
            raise NoAnswer("it is another part than was asked for", verb="GET", url=url, sent=True)
        size: int | None = int(told["size"])
        file = part.path.open("ab")
    elif result.status == HTTPStatus.OK:
        length = headers.get("content-length", "")
        first, size = 0, int(length) if length.isdecimal() else None
        file = part.begin(headers.get("etag", ""))
    else:
        raise _refusal(result, url)
    bar.restart(first, total=size)
    with file:
        for chunk in result.chunks():
            file.write(chunk)
            bar.advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())
        written = file.tell()
    if size is not None and written != size:
        part.etag = part.etag if written < size else ""
        raise NoAnswer(f"it breaks off after {written} of {size} bytes", verb="GET", url=url, sent=True)
    part.whole = True


def _refusal(result: RawResult, url: str) -> NoAnswer:
    """What the object store says in place of the result."""
    problem = f"the object store answered {result.status}"
    if result.status == HTTPStatus.FORBIDDEN:  # the link has ended; the next try has a fresh one
        return NoAnswer(problem, verb="GET", url=url, sent=True)
    kind = result.headers.get("content-type", "")
    return UnexpectedAnswer(problem, verb="GET", url=url, status=result.status, content_type=kind)
