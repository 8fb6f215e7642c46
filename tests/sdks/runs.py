"""Runs of clients before a mesh, and what became of their jobs: by what the far end was asked, and by history."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from deploy.local import client_settings
from tests.e2e.api import Api
from tests.sdks.faults import Plan
from tests.sdks.faulty_gateway import faulty_gateway
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.docs.stack import DocsStack
    from tests.sdks.faulty_gateway import FaultyGateway

    #: Has a tenant, the gateway to call, and an empty folder.
    Run = Callable[["Tenant", FaultyGateway, Path], Coroutine[None, None, None]]

#: Another one gives other orders; what holds has to hold with any.
SEED = 11
#: The labels of a run's jobs: which run it is, and which of its jobs.
RUN, NUMBER = "run", "n"
#: A host whose every call is counted.
_FAR_END = "example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A client of the mesh.

    Args:
        settings: What an SDK finds in its environment.
        api: The same client, without an SDK and without faults.
        asked: What far ends were asked for, and how often.
    """

    settings: Mapping[str, str]
    api: Api
    asked: Counter[str]

    @classmethod
    def new(cls, stack: DocsStack, name: str) -> Tenant:
        """One whose jobs are found by their labels."""
        settings = stack.settings_of(name)
        api = Api(settings[client_settings.URL], settings[client_settings.API_KEY])
        told = api.call("PATCH", "/api/v1/retention", {"retention": {"indexedMetadata": [RUN]}})
        assert told.status == HTTPStatus.OK, told.body
        return cls(settings=settings, api=api, asked=stack.asked)

    async def check(self, run: str, numbers: Iterable[object]) -> None:
        """Fails where a job of a run was lost, made twice, or not done just once."""
        wanted = {str(number): 1 for number in numbers}

        def all_ended() -> bool:
            assert {job["state"] for job in self.jobs(run)} == {"SUCCEEDED"}
            return len(self.jobs(run)) >= len(wanted)

        await eventually(all_ended, within=30, what=f"the end of the jobs of {run} in history")
        assert Counter(job["metadata"][NUMBER] for job in self.jobs(run)) == wanted
        called = {path: count for path, count in self.asked.items() if path.startswith(f"{_FAR_END}/{run}/")}
        assert called == {f"{_FAR_END}/{run}/{number}": 1 for number in wanted}

    def jobs(self, run: str) -> list[dict[str, Any]]:
        """The jobs of a run, as history has them."""
        found, token = list[dict[str, Any]](), ""
        while True:
            page = self.api.call(
                "GET", f"/api/v1/jobs?pageSize=500&metadata={RUN}%3D{quote(run)}&pageToken={quote(token)}"
            )
            assert page.status == HTTPStatus.OK, page.body
            found += page.json.get("jobs", [])
            if not (token := page.json.get("nextPageToken", "")):
                return found


def far_end(run: str) -> str:
    """Where the jobs of a run call, each at its number."""
    return f"https://{_FAR_END}/{run}"


def job(run: str, number: object, **params: Any) -> dict[str, Any]:
    """A job that calls the far end once.

    Args:
        run: The run that it is of.
        number: Its own in the run; one that ends in `.jpg` has a result of 300 KiB.
        params: More of these.
    """
    return {
        "upstream": "http",
        "method": "http.post" if params else "http.get",
        "params": {"url": f"{far_end(run)}/{number}", **params},
        "metadata": {RUN: run, NUMBER: str(number)},
    }


@contextmanager
def going_wrong(stack: DocsStack) -> Iterator[tuple[Tenant, FaultyGateway]]:
    """A tenant of nobody else's, and a gateway before the mesh and before what links lead to."""
    with faulty_gateway(stack.objects_url, Plan(SEED), knows_itself=True) as objects:
        elsewhere = {stack.objects_url: objects.url}
        with faulty_gateway(stack.operator.url, Plan(SEED), elsewhere=elsewhere) as faulty:
            yield Tenant.new(stack, f"sdk-{uuid.uuid4().hex}"), faulty


class Runs:
    """Runs of several clients at the same time, for each of them waits most of the time; a test asks for its own.

    Args:
        stack: The mesh that all of them go to.
        folder: Each has a folder in it.
    """

    def __init__(self, stack: DocsStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="run")
        self._runs = dict[str, Future[None]]()

    def begin(self, name: str, run: Run) -> None:
        """Begins one."""
        folder = self._folder / name
        folder.mkdir()
        self._runs[name] = self._threads.submit(self._run, run, folder)

    def end(self, name: str) -> None:
        """Waits for its end; fails as it has failed."""
        self._runs[name].result()

    def close(self) -> None:
        """Waits for all."""
        self._threads.shutdown()

    def _run(self, run: Run, folder: Path) -> None:
        with going_wrong(self._stack) as (tenant, gateway):
            asyncio.run(run(tenant, gateway, folder))
