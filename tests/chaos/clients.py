"""Clients that go on whatever happens, and write down what they were told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.chaos.checker import Submitted, Told

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Between two tries of one request.
_PAUSE_S = 0.25
_TIMEOUT = aiohttp.ClientTimeout(total=20)
#: What a client tries again: the gateway or what is behind it is away, slow, or still accepting the first try.
_AGAIN = frozenset({409, 429, 500, 502, 503, 504})


class RefusedError(Exception):
    """A request that must be accepted was refused for good."""


@dataclass(slots=True)
class Client:
    """One tenant's client.

    Args:
        session: With the tenant's key.
        url: The gateway's.
    """

    session: aiohttp.ClientSession
    url: str
    told: list[Told] = field(default_factory=list)
    #: The numbers of the jobs of each accepted batch.
    batches: dict[str, tuple[int, ...]] = field(default_factory=dict)
    #: Answers that were no success, by status; 0 for a broken connection.
    troubles: dict[int, int] = field(default_factory=dict)

    async def submit(self, number: int, asked: Submitted, far_end: str, secret: str) -> str:
        """Submits a job until it is accepted, always under the same key; answers with its id."""
        job = await self._accepted("/api/v1/jobs", _job(number, asked, far_end, secret), key=f"chaos-{number}")
        self._note(number, job)
        return job["id"]

    async def submit_batch(self, asked: Mapping[int, Submitted], far_end: str, secret: str) -> None:
        """Submits jobs, by their numbers, as a batch, until it is accepted, always under the same key."""
        body = {
            "jobs": [_job(number, each, far_end, secret) for number, each in asked.items()],
            "callbackUrl": f"{far_end}/callback",
            "callbackSecret": secret,
        }
        batch = await self._accepted("/api/v1/batches", body, key=f"chaos-batch-{min(asked)}")
        self.batches[batch["id"]] = tuple(asked)
        for number, job in zip(asked, batch["jobs"], strict=True):
            self._note(number, job)

    async def _accepted(self, path: str, body: dict[str, Any], *, key: str) -> dict[str, Any]:
        while True:
            answer = await self._call("POST", path, json=body, headers={"Idempotency-Key": key})
            if answer is not None:
                return answer
            await asyncio.sleep(_PAUSE_S)

    async def look(self, number: int, job_id: str) -> None:
        """Reads a job once."""
        job = await self._call("GET", f"/api/v1/jobs/{job_id}")
        if job is not None:
            self._note(number, job)

    async def wait(self, number: int, job_id: str) -> None:
        """Waits for a job's end once, for a few seconds."""
        job = await self._call("GET", f"/api/v1/jobs/{job_id}:wait?timeout=5s")
        if job is not None:
            self._note(number, job)

    async def history(self) -> list[dict[str, Any]]:
        """Every job of the tenant that history lists, however long that takes."""
        jobs: list[dict[str, Any]] = []
        token = ""
        while True:
            page = await self._call("GET", f"/api/v1/jobs?pageSize=500&pageToken={token}")
            if page is None:
                await asyncio.sleep(_PAUSE_S)
                continue
            jobs += page.get("jobs", [])
            token = page.get("nextPageToken", "")
            if not token:
                return jobs

    def _note(self, number: int, job: dict[str, Any]) -> None:
        told = Told(number=number, job_id=job["id"], state=job["state"], revision=int(job["revision"]))
        self.told.append(told)

    async def _call(self, method: str, path: str, **options: Any) -> dict[str, Any] | None:
        """One request: its answer, or None where it is to be tried again."""
        try:
            async with self.session.request(method, self.url + path, timeout=_TIMEOUT, **options) as answer:
                text = await answer.text()
                if answer.status == 200:
                    return await answer.json()
                self.troubles[answer.status] = self.troubles.get(answer.status, 0) + 1
                if answer.status not in _AGAIN:
                    raise RefusedError(f"{method} {path}: {answer.status} {text}")
        except (aiohttp.ClientError, TimeoutError, ConnectionError):  # tried again by whoever asked
            self.troubles[0] = self.troubles.get(0, 0) + 1
        return None


def _job(number: int, asked: Submitted, far_end: str, secret: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "upstream": "http",
        "method": "http.post" if asked.post else "http.get",
        "params": {"url": f"{far_end}/call?job={number}", "timeoutS": 5},
        "retry": {"maxAttempts": 20, "initialBackoff": "0.2s", "maxBackoff": "2s"},
    }
    if asked.callback:
        body |= {"callbackUrl": f"{far_end}/callback", "callbackSecret": secret}
    return body
