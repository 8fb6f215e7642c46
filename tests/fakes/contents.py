"""The object store in memory, as calls meet it: away for a moment or from a moment on, and what it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.upstream.contents import ResultPlace, Upload
from shared.errors import Unavailable
from shared.objects import upload_key
from tests.fakes.objects import FakeObjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class ContentStore(FakeObjects):
    """An object store that misbehaves as it is told to.

    Args:
        contents: What it holds at first.
        away_for: How many requests from now on it does not answer.
    """

    def __init__(self, contents: Mapping[str, bytes] | None = None, *, away_for: int = 0) -> None:
        super().__init__()
        self.away_for = away_for
        #: How many more requests and chunks it answers before it is away for good; None for any number.
        self.answers_left: int | None = None
        #: The size that was told before the bytes of each object, or None.
        self.told: dict[str, int | None] = {}
        for key, content in (contents or {}).items():
            self._put(key, content, "", b"")

    @property
    def contents(self) -> dict[str, bytes]:
        """The bytes of each object."""
        return {key: each.body for key, each in self.objects.items()}

    @property
    def types(self) -> dict[str, str]:
        """The type of each object."""
        return {key: each.content_type for key, each in self.objects.items()}

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, size: int | None, content_type: str) -> int:
        self.told[key] = size
        return await super().put_stream(key, chunks, size=size, content_type=content_type)

    def place(self, key: str = "results/acme/http-1/1", *, at_most: int = 1024 * 1024) -> ResultPlace:
        """A place in it for one result."""
        return ResultPlace(store=self, key=key, at_most=at_most)

    def uploads(self) -> dict[str, Upload]:
        """The uploads of `acme` in it, by id, as a call has them."""
        prefix = upload_key("acme", "")
        return {
            key.removeprefix(prefix): Upload(
                id=key.removeprefix(prefix),
                content_type=each.content_type,
                size=len(each.body),
                store=self,
                key=key,
            )
            for key, each in self.objects.items()
            if key.startswith(prefix)
        }

    def _ask(self) -> None:
        if self.answers_left is not None:
            self.away = self.answers_left == 0
            self.answers_left = max(0, self.answers_left - 1)
        if self.away_for:
            self.away_for -= 1
            raise Unavailable("the object store does not answer", metadata={"dependency": "objects"})
        super()._ask()
