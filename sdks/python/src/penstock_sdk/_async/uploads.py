"""Uploads: what is too large for params, sent to the object store."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from penstock_sdk._async.resources import AsyncUploadCalls
from penstock_sdk.content import Content, Measured, UploadBroken
from penstock_sdk.errors import InvalidUse, NoAnswer, UnexpectedAnswer
from penstock_sdk.progress import Progress
from penstock_sdk.reasons import UploadIncomplete

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock_sdk.content import Uploadable
    from penstock_sdk.models import SignedPut, Upload
    from penstock_sdk.progress import ProgressTo
    from penstock_sdk.retrying import Tries

#: For the object store to take what it is sent, and to answer when it has all of it.
_TIMEOUT_S = 60.0
#: A send may last for longer than a call is tried again; so many that did are not held against it when they break.
_LONG_SENDS = 3
#: Of an error of the object store: its code; the rest may repeat what the link is signed with.
_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")


class AsyncUploads(AsyncUploadCalls):
    """What is too large for params: uploaded, and named by its id in the params of jobs."""

    async def upload(
        self,
        content: Uploadable,
        content_type: str | None = None,
        *,
        upload_id: str | None = None,
        progress: ProgressTo = False,
        timeout_s: float = _TIMEOUT_S,
    ) -> Upload:
        """The upload of a file or bytes, READY: jobs may name it for 7 days.

        The content is read once to measure it, and once more for each time that it is sent; what breaks off is sent
        again, by a link that is fresh.

        Args:
            content: A path, bytes, or a file that is open for bytes; 1 byte to 100 MiB.
            content_type: By the file's name unless given, else `application/octet-stream`.
            upload_id: Goes on with an upload of the same content that was created before; where that is READY,
                nothing is sent.
            progress: Draws a bar.
            timeout_s: How long the object store may be silent, in seconds.

        Raises:
            InvalidUse: The content is empty, too large or none; or it is not that of the upload which goes on.
            UploadBroken: It could not be sent.
            UploadNotFound: There is no upload to go on with, or its time is over.
        """
        with Content.of(content) as opened:
            measured = await self._measured(opened)
            if upload_id is None:
                kind = content_type or opened.content_type
                upload = await self.create(measured.size, measured.sha256, content_type=kind)
            else:
                upload = await self.get(upload_id)
                _check_same(upload, measured)
                upload = await self._completed(upload)
            with Progress(progress, total=measured.size, unit="B", description=opened.name) as bar:
                return await self._sent(upload, opened, bar, timeout_s=timeout_s)

    async def _measured(self, content: Content) -> Measured:
        measured = Measured(0, "")
        for measured in content.measure():  # noqa: B007  the last one is all of it
            await self._calls.pacing.sleep(0)  # hashing takes its time, which others go on in
        return measured

    async def _sent(self, upload: Upload, content: Content, bar: Progress, *, timeout_s: float) -> Upload:
        """The upload when its bytes are there, however often they have to be sent."""
        tries, long_sends = self._calls.tries(), 0
        while upload.put is not None:
            bar.restart()
            began = self._calls.pacing.now()
            error: NoAnswer | None = None
            try:
                await self._put(upload.put, upload.size, content, bar, timeout_s=timeout_s)
            except NoAnswer as failure:
                error = failure
            if self._calls.pacing.now() - began > self._calls.retry_for_s and long_sends < _LONG_SENDS:
                tries, long_sends = self._calls.tries(), long_sends + 1
            upload = await self._completed(upload)
            if upload.put is not None:
                error = error or _lost(upload.put)
                await self._calls.pacing.sleep(_pause_s(tries, error, upload.id))
        return upload

    async def _completed(self, upload: Upload) -> Upload:
        """The upload: READY where all of its bytes are there, else PENDING with a fresh link."""
        try:
            return await self.complete(upload.id)
        except UploadIncomplete:  # they are not, or not yet
            return await self.get(upload.id)

    async def _put(self, put: SignedPut, size: int, content: Content, bar: Progress, *, timeout_s: float) -> None:
        """Sends the bytes once.

        Raises:
            NoAnswer: They may not have arrived.
        """

        async def chunks() -> AsyncIterator[bytes]:
            left = size
            for chunk in content.chunks():
                left -= len(chunk)
                if left >= 0:
                    yield chunk
                    bar.advance(len(chunk))
            if left:
                raise InvalidUse(f"{content.name or 'the content'} has changed while it was sent; upload it anew")

        url = put.url.partition("?")[0]  # whoever has the rest may send in the caller's place
        try:
            answer = await self._calls.transport.links.put(
                put.url,
                content=chunks(),
                headers={**put.headers, "Content-Length": str(size)},
                timeout=timeout_s,
            )
        except httpx.HTTPError as error:
            raise NoAnswer(str(error) or type(error).__name__, verb="PUT", url=url, sent=True) from error
        if not answer.is_success:
            raise _refusal(answer, url)


def _pause_s(tries: Tries, error: NoAnswer, upload_id: str) -> float:
    try:
        return tries.pause_after(error)
    except NoAnswer as last:
        raise UploadBroken(last, upload_id=upload_id) from error


def _lost(put: SignedPut) -> NoAnswer:
    problem = "the bytes were taken, and are not there; is it a proxy that has answered?"
    return NoAnswer(problem, verb="PUT", url=put.url.partition("?")[0], sent=True)


def _refusal(answer: httpx.Response, url: str) -> NoAnswer:
    """What the object store says in place of taking the bytes."""
    code = _CODE.search(answer.content)
    problem = f"the object store answered {answer.status_code}" + (f" {code[1].decode()}" if code else "")
    if answer.status_code == HTTPStatus.FORBIDDEN:  # the link has ended; a fresh one may do
        return NoAnswer(problem, verb="PUT", url=url, sent=True)
    content_type = answer.headers.get("content-type", "")
    return UnexpectedAnswer(problem, verb="PUT", url=url, status=answer.status_code, content_type=content_type)


def _check_same(upload: Upload, measured: Measured) -> None:
    if (upload.size, upload.sha256) != (measured.size, measured.sha256):
        raise InvalidUse(
            f"{upload.id} is of {upload.size} bytes with SHA-256 {upload.sha256}, the content has {measured.size} with "
            f"{measured.sha256}: give the same content, or leave upload_id out"
        )
