"""The public API, as the demo's client speaks it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import aiohttp

Job = dict[str, Any]
Batch = dict[str, Any]

#: Of one `:wait`, and of the client's patience for one job.
_WAIT_S, _PATIENCE_S = 30, 90
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "OUTCOME_UNKNOWN", "CANCELED", "EXPIRED"})


class ApiError(Exception):
    """The API refused what it must accept."""


class Client:
    """The public API, as a client sees it.

    Args:
        session: With the key in its headers.
        url: The gateway's.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def submit(self, job: Mapping[str, object]) -> Job:
        """Submits a job; answers with it as it was accepted."""
        async with self._session.post(f"{self._url}/api/v1/jobs", json=job) as answer:
            return await _checked(answer)

    async def submit_batch(self, jobs: Sequence[Mapping[str, object]], *, callback_url: str, key: str) -> Batch:
        """Submits jobs all or none, under an idempotency key; answers with the batch as it stands."""
        body = {"jobs": jobs, "callbackUrl": callback_url}
        headers = {"Idempotency-Key": key}
        async with self._session.post(f"{self._url}/api/v1/batches", json=body, headers=headers) as answer:
            return await _checked(answer)

    async def batch(self, batch_id: str) -> Batch:
        """The batch as it stands."""
        async with self._session.get(f"{self._url}/api/v1/batches/{batch_id}") as answer:
            return await _checked(answer)

    async def finished(self, job_id: str) -> Job:
        """The job when it has ended, or as it stands when patience is at its end."""
        job: Job = {}
        async with asyncio.timeout(_PATIENCE_S):
            while job.get("state") not in TERMINAL:
                wait = f"{self._url}/api/v1/jobs/{job_id}:wait"
                async with self._session.get(wait, params={"timeout": f"{_WAIT_S}s"}) as answer:
                    job = await _checked(answer)
        return job

    async def listed(self, **filters: str) -> list[Job]:
        """The newest jobs that history holds, at most 500."""
        async with self._session.get(f"{self._url}/api/v1/jobs", params={"pageSize": "500", **filters}) as answer:
            return (await _checked(answer)).get("jobs", [])


def get(url: str) -> dict[str, object]:
    """A job that gets a URL."""
    return {"upstream": "http", "method": "http.get", "params": {"url": url}}


async def _checked(answer: aiohttp.ClientResponse) -> Job:
    text = await answer.text()
    if not answer.ok:
        raise ApiError(f"{answer.method} {answer.url} answered {answer.status}: {text[:500]}")
    return json.loads(text)
