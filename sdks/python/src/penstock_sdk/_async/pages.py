"""Lists, fetched page by page as they are iterated over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from penstock_sdk._async.calls import AsyncCalls
    from penstock_sdk.operation import CallOptions, Operation

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncPage(Generic[T]):
    """A page of a list.

    Args:
        items: What is on it, in the list's order.
        next_page_token: What leads to the next one, as `page_token`; empty on the last.
        total_size: How many there are on all pages, where that was asked for; else None.
    """

    items: tuple[T, ...]
    next_page_token: str
    total_size: int | None


class AsyncPages(Generic[T]):
    """A list. Iterate over it for its items, as often as you like; each time it is fetched anew.

    Args:
        calls: What fetches.
        operation: Which lists.
        fields: Its request's.
        item: What its items are.
        items: The list's name in an answer.
        options: How its calls are made.
    """

    def __init__(
        self,
        calls: AsyncCalls,
        operation: Operation,
        fields: Mapping[str, Any],
        *,
        item: type[T],
        items: str,
        options: CallOptions | None = None,
    ) -> None:
        self._calls = calls
        self._operation = operation
        self._fields = dict(fields)
        self._item = item
        self._items = items
        self._options = options

    async def __aiter__(self) -> AsyncGenerator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncGenerator[AsyncPage[T]]:
        """Each page."""
        fields = dict(self._fields)
        while True:
            page = await self._fetch(fields)
            yield page
            if not page.next_page_token:
                return
            fields["pageToken"] = page.next_page_token

    async def first(self) -> AsyncPage[T]:
        """The first page alone."""
        return await self._fetch(self._fields)

    async def _fetch(self, fields: Mapping[str, Any]) -> AsyncPage[T]:
        said: dict[str, Any] = await self._calls.json(self._operation, fields, self._options)
        return AsyncPage(
            items=tuple(self._calls.read(self._item, each) for each in said.get(self._items, ())),
            next_page_token=said.get("nextPageToken", ""),
            total_size=int(said["totalSize"]) if "totalSize" in said else None,
        )
