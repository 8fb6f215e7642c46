"""A process that is killed in the middle of a call to one of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Died(BaseException):
    """The process was killed."""


def dying(method: Callable[..., Awaitable[Any]], *, after: bool) -> Callable[..., Awaitable[Any]]:
    """The method, in whose middle the process is killed: before it has done anything, or when it has done all."""

    async def killed(*args: Any, **given: Any) -> Any:
        if after:
            await method(*args, **given)
        raise Died

    return killed


class Doomed:
    """A part of which one method kills the process."""

    def __init__(self, part: object, name: str, *, after: bool) -> None:
        self._part = part
        self._name = name
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        return dying(method, after=self._after) if name == self._name else method
