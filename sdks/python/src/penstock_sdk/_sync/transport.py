# Made of _async/transport.py by `make sdks`; do not edit.
"""What carries calls: HTTP, or gRPC as an extra. One try each; whoever calls it tries again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextlib import AbstractContextManager

    import httpx

    from penstock_sdk.operation import Operation


class RawResult(Protocol):
    """A job's result as it comes.

    Attributes:
        status: 200, 206 or 304, or what the object store says.
        headers: By their names in lower case.
    """

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By their names in lower case."""
        ...

    def chunks(self) -> Generator[bytes]:
        """The body, as it comes.

        Raises:
            NoAnswer: It broke off.
        """
        ...


class Transport(Protocol):
    """What carries calls."""

    @property
    def links(self) -> httpx.Client:
        """For links to the object store, which carry all that they need: no API key goes with them."""
        ...

    def send(
        self, operation: Operation, fields: Mapping[str, Any], *, idempotency_key: str | None, timeout_s: float
    ) -> Any:
        """What a call is answered with, as JSON.

        Args:
            operation: What is called.
            fields: The request's, flat, by their JSON names, as JSON.
            idempotency_key: Which the call is made under; None for an operation that takes none.
            timeout_s: How long it may take, in seconds.

        Raises:
            ApiError: Penstock has refused it.
            NoAnswer: There was no answer, or not all of it, or none of Penstock's.
        """
        ...

    def watch(self, job_id: str, *, after_revision: int, silence_s: float, timeout_s: float | None) -> Generator[Any]:
        """The job as each event leaves it, as JSON, to its end or to that of the stream.

        Args:
            job_id: Whose events.
            after_revision: Only newer ones.
            silence_s: How long nothing may come, in seconds.
            timeout_s: It ends by itself before so many seconds are over.

        Raises:
            ApiError: Penstock has refused it.
            NoAnswer: It broke, was silent, or is no stream of Penstock's.
        """
        ...

    def lines(self, operation: Operation, fields: Mapping[str, Any], *, timeout_s: float) -> Generator[str]:
        """The lines of an answer that comes bit by bit.

        Args:
            operation: What is called.
            fields: The request's, flat, by their JSON names, as JSON.
            timeout_s: How long nothing may come, in seconds.

        Raises:
            ApiError: Penstock has refused it.
            NoAnswer: It broke off.
        """
        ...

    def result(self, job_id: str, *, headers: Mapping[str, str], timeout_s: float) -> AbstractContextManager[RawResult]:
        """A job's result, from Penstock or from the object store that it leads to.

        Args:
            job_id: Whose result.
            headers: `Range`, `If-Range`, `If-None-Match`.
            timeout_s: How long nothing may come, in seconds.

        Raises:
            ApiError: Penstock has refused it.
            NoAnswer: There was no answer.
        """
        ...

    def close(self) -> None:
        """Gives its connections back; safe to call more than once."""
        ...
