# Made of _async/client.py by `make sdks`; do not edit.
"""The client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from penstock_sdk._sync.batches import Batches
from penstock_sdk._sync.calls import Calls
from penstock_sdk._sync.http import Http
from penstock_sdk._sync.jobs import Jobs
from penstock_sdk._sync.long_running import Operations
from penstock_sdk._sync.mapping import map_jobs
from penstock_sdk._sync.resources import Resources
from penstock_sdk._sync.uploads import Uploads
from penstock_sdk.errors import InvalidUse, NotConfigured
from penstock_sdk.pacing import Pacing
from penstock_sdk.profiles import access

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from penstock_sdk._sync.transport import Transport
    from penstock_sdk.mapping import Journal, Outcome
    from penstock_sdk.profiles import Access
    from penstock_sdk.progress import ProgressTo


class Penstock(Resources):
    """A Penstock, as one API key may call it. It holds connections: make one, use it for all calls, and close it.

    Any number of callers may use it at once.

    Args:
        url: Where it is, such as `https://penstock.example`; PENSTOCK_URL or the profile unless given.
        api_key: As Penstock gave it; PENSTOCK_API_KEY or the profile unless given.
        sign_requests: Whether requests are signed with the key and do not carry it; over HTTP alone.
        profile: One that `penstock login --profile` has kept, in place of the environment.
        timeout_s: How long each try of a call may take, in seconds.
        retry_for_s: How long a call is tried again, in seconds; 0 for never.
        transport: `http`, or `grpc` with the extra `penstock-sdk[grpc]`.
        pacing: What tells time and chance, and pauses; for tests.

    Raises:
        NotConfigured: URL or key is nowhere, or not what it should be.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        sign_requests: bool | None = None,
        profile: str | None = None,
        timeout_s: float = 30,
        retry_for_s: float = 60,
        transport: Literal["http", "grpc"] = "http",
        pacing: Pacing | None = None,
    ) -> None:
        where = access(url, api_key, sign_requests=sign_requests, profile=profile)
        pacing = pacing or Pacing()
        carrier = _carrier(transport, where, pacing)
        calls = Calls(carrier, pacing=pacing, timeout_s=timeout_s, retry_for_s=retry_for_s)
        super().__init__(calls)
        self.url = where.url
        self.calls = calls
        self.jobs = Jobs(calls)
        self.batches = Batches(calls)
        self.uploads = Uploads(calls)
        self.operations = Operations(calls)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives its connections back; safe to call more than once."""
        self.calls.transport.close()

    def map(
        self,
        requests: Iterable[Any],
        *,
        name: str | None = None,
        concurrency: int = 500,
        progress: ProgressTo = False,
        results: bool = True,
        journal: Journal | None = None,
        done: Container[int] = (),
    ) -> Iterator[Outcome]:
        """Submits any number of jobs, and gives the outcome of each in the order in which they end.

        Args:
            requests: Jobs, as `SubmitJobRequest` or in the API's JSON; read as there is room for them.
            name: Names these requests: mapped again under the same name, after a crash for example, they are the same
                jobs. Without one they are made anew each time.
            concurrency: So many unfinished jobs at most.
            progress: Draws a bar.
            results: Whether the jobs come with their results; without them it costs a call less for each.
            journal: Remembers batches for longer than the 24 hours that keys hold.
            done: Indexes whose outcomes are not wanted any more.

        Raises:
            InvalidUse: An argument is wrong, or a request is none.
            ApiError: Penstock refuses what it would refuse of any job, such as the key.
            NoAnswer: Penstock could not be reached for as long as calls are tried again.
        """
        return map_jobs(
            self.calls,
            requests,
            name=name,
            concurrency=concurrency,
            progress=progress,
            results=results,
            journal=journal,
            done=done,
        )


def _carrier(transport: str, where: Access, pacing: Pacing) -> Transport:
    if transport == "grpc":
        try:
            from penstock_sdk._sync.grpc import Grpc  # noqa: PLC0415  what it stands on is an extra
        except ImportError as error:
            raise NotConfigured("transport='grpc' needs the extra grpc: pip install 'penstock-sdk[grpc]'") from error
        return Grpc(where, pacing=pacing)
    if transport != "http":
        raise InvalidUse(f"transport is {transport!r}; it takes http or grpc")
    return Http(where, pacing=pacing)
