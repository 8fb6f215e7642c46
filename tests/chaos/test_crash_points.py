"""The crash table, row by row: a process dies between two steps, and what follows is what the table says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from shared import ids, objects
from shared.crash_points import CrashPoint
from shared.objects import result_key
from tests import object_stores
from tests.chaos.checker import Submitted
from tests.chaos.clients import Client
from tests.chaos.far_end import far_end
from tests.e2e import mesh as mesh_
from tests.e2e.api import Api
from tests.fakes import large_far_end
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tests.chaos.far_end import FarEnd
    from tests.e2e.mesh import Mesh

#: Short, so that a lost lease is noticed soon: it lasts as much and the scheduler's margin of 15 s.
TIMEOUT_S = 2.0
#: For a lease to run out, and what follows.
END_S = 60.0
#: Bytes of an answer that is stored.
LARGE = 300_000


@pytest.fixture(scope="module")
def own_mesh() -> Iterator[Mesh]:
    with mesh_.mesh() as mesh:
        yield mesh


@dataclass
class Scene:
    """A mesh, a caller, and a far end that counts."""

    mesh: Mesh
    api: Api
    end: FarEnd
    number: int = 1  # not a multiple of ten, so that the far end refuses nothing

    async def submit(self, method: str, url: str = "") -> dict[str, Any]:
        """A job, submitted under one key until it is accepted."""
        body = {
            "upstream": "http",
            "method": method,
            "params": {"url": url or f"{self.end.url}/call?job={self.number}", "timeoutS": TIMEOUT_S},
            "retry": {"maxAttempts": 3, "initialBackoff": "0.1s"},
        }
        headers = {"Idempotency-Key": ids.new_request_id()}

        async def accepted() -> dict[str, Any] | None:
            answer = await asyncio.to_thread(self.api.call, "POST", "/api/v1/jobs", body, headers=headers)
            assert answer.status in {200, 409, 503}, answer.body
            return answer.json if answer.status == 200 else None

        return await eventually(accepted, within=END_S)

    async def endpoint(self, url: str, event_type: str) -> str:
        """An endpoint for events of one type; answers with its id."""
        body = {"url": url, "filter": {"eventTypes": [event_type]}}
        answer = await asyncio.to_thread(self.api.call, "POST", "/api/v1/endpoints", body)
        assert answer.status == 200, answer.body
        return answer.json["endpoint"]["id"]

    async def ended(self, job_id: str) -> dict[str, Any]:
        """The job at its end."""

        async def over() -> dict[str, Any] | None:
            answer = await asyncio.to_thread(self.api.call, "GET", f"/api/v1/jobs/{job_id}:wait?timeout=5s")
            assert answer.status == 200, answer.body
            return answer.json if "finishedAt" in answer.json else None

        return await eventually(over, within=END_S)

    async def crashed(self, point: CrashPoint, method: str, url: str = "") -> dict[str, Any]:
        """A job at its end, on whose way a process died at the point."""
        armed = self.mesh.arm(point)
        job = await self.submit(method, url)
        ended = await self.ended(job["id"])
        assert not armed.exists(), f"nothing died at {point}"
        assert ended["id"] == job["id"]
        return ended


@pytest.fixture
async def scene(own_mesh: Mesh) -> AsyncGenerator[Scene]:
    async with far_end(seed=0) as end:
        yield Scene(own_mesh, Api(own_mesh.url, own_mesh.key), end)


@pytest.mark.parametrize("method", ["http.get", "http.post"])
@pytest.mark.parametrize(
    "point",
    [
        CrashPoint.INTAKE_ADMITTED,
        CrashPoint.INTAKE_PUBLISHED,
        CrashPoint.SCHEDULER_ENQUEUED,
        CrashPoint.SCHEDULER_LEASED,
        CrashPoint.SCHEDULER_APPLIED,
    ],
)
async def test_a_crash_before_or_after_the_call_costs_neither_a_call_nor_an_attempt(
    scene: Scene, point: CrashPoint, method: str
) -> None:
    before = scene.mesh.submitted()
    ended = await scene.crashed(point, method)
    assert (ended["state"], ended["attempt"]) == ("SUCCEEDED", 1)
    assert scene.end.calls[scene.number] == 1
    assert scene.mesh.submitted() == before + 1, "the retry found the same job"


@pytest.mark.parametrize(
    ("point", "first"),
    [(CrashPoint.INTAKE_ADMITTED, 11), (CrashPoint.INTAKE_PUBLISHED, 21), (CrashPoint.INTAKE_BATCH_ENDED, 31)],
)
async def test_a_batch_is_accepted_once_and_its_end_is_told_whatever_dies(
    scene: Scene, point: CrashPoint, first: int
) -> None:
    before, armed = scene.mesh.submitted(), scene.mesh.arm(point)
    client = Client(aiohttp.ClientSession(headers={"Authorization": f"Bearer {scene.api.key}"}), scene.mesh.url)
    async with client.session:
        asked = {number: Submitted(post=False, callback=False) for number in range(first, first + 5)}
        await client.submit_batch(asked, scene.end.url, scene.end.secret.decode())
    [batch_id] = client.batches
    await eventually(lambda: scene.end.callbacks.get(batch_id, [{}])[-1].get("type"), within=END_S)
    assert not armed.exists(), f"nothing died at {point}"
    assert scene.end.callbacks[batch_id][-1]["data"]["counts"] == {"succeeded": 5}
    assert scene.end.bad_callbacks == []
    assert scene.mesh.submitted() == before + 5
    assert {scene.end.calls[number] for number in asked} == {1}


@pytest.mark.parametrize(("point", "calls"), [(CrashPoint.UPSTREAM_STARTED, 1), (CrashPoint.UPSTREAM_CALLED, 2)])
async def test_a_lost_call_of_an_idempotent_method_is_made_again_and_counted(
    scene: Scene, point: CrashPoint, calls: int
) -> None:
    ended = await scene.crashed(point, "http.get")
    assert (ended["state"], ended["attempt"]) == ("SUCCEEDED", 2)
    assert scene.end.calls[scene.number] == calls


async def test_what_was_stored_by_an_attempt_that_is_lost_is_no_result_and_that_of_the_next_one_is(
    scene: Scene,
) -> None:
    async with large_far_end.large_far_end() as far:
        ended = await scene.crashed(CrashPoint.UPSTREAM_CALLED, "http.get", f"{far.url}/large/{LARGE}")
        assert len(far.received) == 2
    assert (ended["state"], ended["attempt"], ended["result"]["size"]) == ("SUCCEEDED", 2, str(LARGE))
    store = await objects.connect(object_stores.settings_of(scene.mesh.stack))
    lost = await store.head(result_key("dev", ended["id"], 1))
    await store.close()
    assert lost is not None, "it had not been stored when the worker died"
    answer = await asyncio.to_thread(scene.api.call, "GET", ended["result"]["url"])
    assert f"/{ended['id']}/2?" in answer.headers["location"]


@pytest.mark.parametrize(
    ("point", "calls"),
    [(CrashPoint.SCHEDULER_BEGUN, 1), (CrashPoint.UPSTREAM_STARTED, 0), (CrashPoint.UPSTREAM_CALLED, 1)],
)
async def test_a_lost_call_of_another_method_is_never_made_again(scene: Scene, point: CrashPoint, calls: int) -> None:
    ended = await scene.crashed(point, "http.post")
    assert ended["attempt"] == 1
    assert scene.end.calls[scene.number] == calls
    if point is CrashPoint.SCHEDULER_BEGUN:  # the worker asked again under the same fence, and was let through
        assert ended["state"] == "SUCCEEDED"
    else:
        assert ended["state"] == "OUTCOME_UNKNOWN"
        assert ended["error"]["reason"] == "OUTCOME_UNKNOWN"


async def test_what_is_due_and_what_was_disabled_is_told_whatever_dies(scene: Scene) -> None:
    """The event comes again 30 s after whoever had stored its deliveries has died."""
    made = {
        status: await scene.endpoint(f"{scene.end.url}/endpoints/{status}", event_type)
        for status, event_type in ((410, "job.succeeded"), (204, "endpoint.disabled"))
    }
    armed = [scene.mesh.arm(point) for point in (CrashPoint.WEBHOOKS_STORED, CrashPoint.WEBHOOKS_DISABLED)]
    job = await scene.submit("http.get")
    assert (await scene.ended(job["id"]))["state"] == "SUCCEEDED"
    await eventually(lambda: scene.end.events.get("/endpoints/204"), within=3 * END_S)
    assert not any(point.exists() for point in armed), "nothing died"
    assert set(scene.end.events["/endpoints/410"]) == {"job.succeeded"}
    assert set(scene.end.events["/endpoints/204"]) == {"endpoint.disabled"}
    answer = await asyncio.to_thread(scene.api.call, "GET", f"/api/v1/endpoints/{made[410]}")
    assert answer.json["disabledReason"] == "GONE"


async def test_a_crash_point_is_refused_where_it_is_no_test(scene: Scene) -> None:
    program = next(program for program in mesh_.programs.PROGRAMS if program.name == "history")
    environment = dict(program.environment(scene.mesh.layout)) | {"PENSTOCK_ENVIRONMENT": "production"}
    process = await asyncio.create_subprocess_exec(
        *program.command(scene.mesh.layout),
        env=scene.mesh.stack.supervisor.environment() | environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"PENSTOCK_CRASH_POINTS is for tests alone" in said
