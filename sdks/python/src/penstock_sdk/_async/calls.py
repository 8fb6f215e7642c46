"""Calls, each tried until it is answered for good, or its time is over."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from penstock_sdk import encoding
from penstock_sdk._async.pages import AsyncPages
from penstock_sdk.errors import InvalidUse, PenstockError
from penstock_sdk.operation import CallOptions, Repeat
from penstock_sdk.requests import checked_key
from penstock_sdk.retrying import Tries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock_sdk._async.transport import AsyncTransport
    from penstock_sdk.operation import Operation
    from penstock_sdk.pacing import AsyncPacing

T = TypeVar("T")
_DEFAULTS = CallOptions()


class AsyncCalls:
    """What makes every call; safe for many callers at once.

    Args:
        transport: What carries each try.
        pacing: What tells time and chance, and pauses.
        timeout_s: How long each try may take, in seconds.
        retry_for_s: How long a call is tried again, in seconds; 0 for never.
    """

    def __init__(
        self, transport: AsyncTransport, *, pacing: AsyncPacing, timeout_s: float = 30, retry_for_s: float = 60
    ) -> None:
        for name, value in (("timeout_s", timeout_s), ("retry_for_s", retry_for_s)):
            if not 0 <= value < float("inf") or (name == "timeout_s" and not value):
                raise InvalidUse(f"{name} is {value!r}; it takes seconds, such as 30")
        self.transport = transport
        self.pacing = pacing
        self.timeout_s = timeout_s
        self.retry_for_s = retry_for_s

    async def call(
        self, operation: Operation, fields: Mapping[str, Any], answer: type[T], options: CallOptions | None = None
    ) -> T:
        """What an operation answers.

        Args:
            operation: What is called.
            fields: The request's, flat, by their JSON names; None for what is left out.
            answer: What it answers with.
            options: How the call is made.

        Raises:
            ApiError: Penstock has refused it.
            NoAnswer: There was none.
            InvalidUse: No call could be made of what was given.
        """
        return self.read(answer, await self.json(operation, fields, options))

    def pages(
        self,
        operation: Operation,
        fields: Mapping[str, Any],
        item: type[T],
        *,
        items: str,
        options: CallOptions | None = None,
    ) -> AsyncPages[T]:
        """The list that an operation answers, page by page.

        Args:
            operation: Which lists.
            fields: The request's, flat, by their JSON names; None for what is left out.
            item: What the list's items are.
            items: The list's name in an answer.
            options: How the calls are made.
        """
        return AsyncPages(self, operation, fields, item=item, items=items, options=options)

    async def json(self, operation: Operation, fields: Mapping[str, Any], options: CallOptions | None = None) -> Any:
        """What an operation answers, as JSON; see `call`."""
        options = options or _DEFAULTS
        told = encoded(fields)
        key: str | None = None
        if operation.repeat is Repeat.KEYED:
            key = str(uuid.uuid4()) if options.idempotency_key is None else checked_key(options.idempotency_key)
            told["requestId"] = key
        elif options.idempotency_key is not None:
            raise InvalidUse(f"{operation.name} takes no idempotency_key")
        tries = self.tries(operation.repeat, raised_at_once=options.raised_at_once)
        timeout_s = self.timeout_s if options.timeout_s is None else options.timeout_s
        while True:
            try:
                return await self.transport.send(operation, told, idempotency_key=key, timeout_s=timeout_s)
            except PenstockError as error:
                pause_s = tries.pause_after(error)
            await self.pacing.sleep(pause_s)

    def tries(
        self,
        repeat: Repeat = Repeat.ALWAYS,
        *,
        retry_for_s: float | None = None,
        raised_at_once: Sequence[type[PenstockError]] = (),
    ) -> Tries:
        """The tries of a call that begins now.

        Args:
            repeat: When it may be made again.
            retry_for_s: How long it is tried again, in seconds; the client's own unless given.
            raised_at_once: Errors that are not tried again.
        """
        retry_for_s = self.retry_for_s if retry_for_s is None else retry_for_s
        return Tries(repeat, retry_for_s=retry_for_s, pacing=self.pacing, raised_at_once=raised_at_once)

    def read(self, kind: type[T], said: Any) -> T:
        """JSON as what it stands for.

        Raises:
            PenstockError: It is no such thing.
        """
        try:
            return encoding.decode(kind, said)
        except ValueError as error:
            raise PenstockError(f"Penstock has answered with what is no {kind.__name__}: {error}") from error


def encoded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as JSON, without those that are left out.

    Raises:
        InvalidUse: One has no form in JSON.
    """
    told: dict[str, Any] = {}
    for name, value in fields.items():
        if value is not None:
            try:
                told[name] = encoding.encode(value)
            except (TypeError, ValueError) as error:
                raise InvalidUse(f"{name} cannot be told in JSON: {error}") from error
    return told
