"""The drill: a backup is made under load, everything but the object store is lost, and the mesh goes on from it."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import bson

from deploy.access.rights import OPERATOR
from deploy.backup import config as config_
from deploy.backup.shelf import Shelf
from deploy.local import backups, processes
from shared import mongo
from shared.config import Secret
from shared.objects import open_objects
from tests.chaos.checker import TERMINAL, Submitted
from tests.chaos.clients import Client
from tests.chaos.far_end import far_end
from tests.chaos.test_kill import Run
from tests.e2e import mesh as mesh_
from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.far_end import FarEnd
    from tests.e2e.mesh import Mesh

SEED = 39
#: Jobs that have ended before the backup, and those that are held until it is restored.
ENDED, HELD = 10, 5
BATCH = 5
#: Between two jobs of one of those that submit while the backup is made.
_PAUSE_S = 0.1
_START_S = 240.0
#: A tenant that is in the backup, and erased after it.
ERASED = "erased"
_ASKED = Submitted(post=False, callback=True)


async def test_a_mesh_goes_on_from_a_backup_that_was_made_while_jobs_flowed() -> None:
    with mesh_.mesh() as mesh:
        async with far_end(SEED) as end, AsyncExitStack() as resources:
            tenants = ("flowing", "held", ERASED)
            drill = Drill(mesh, end, *[await _client(mesh, tenant, resources) for tenant in tenants])
            await drill.prepare()
            await drill.back_up_under_load()
            name, known = await _newest(mesh)
            await drill.erase()
            await asyncio.to_thread(processes.end, mesh.layout, grace_s=0.0)  # all of it at once
            await asyncio.to_thread(_restore, mesh, name)
            await drill.expect_everything(known)


def _restore(mesh: Mesh, name: str) -> None:
    shutil.rmtree(mesh.layout.data / backups.empty(mesh.stack))
    backups.restore(mesh.stack, name, timeout_s=_START_S, tied=True)


async def _client(mesh: Mesh, tenant: str, resources: AsyncExitStack) -> Client:
    key = await asyncio.to_thread(mesh.new_key, tenant)
    session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"})
    return Client(await resources.enter_async_context(session), mesh.url)


class Drill:
    """One mesh with three tenants: jobs of one flow, those of another are held by a pause, a third one is erased."""

    def __init__(self, mesh: Mesh, end: FarEnd, flowing: Client, held: Client, erased: Client) -> None:
        self._mesh = mesh
        self._end = end
        self._flowing = flowing
        self._held = held
        self._erased = erased
        self._accepted: dict[int, str] = {}
        self._secret = end.secret.decode()

    async def prepare(self) -> None:
        """What is to be there again: ended jobs, a batch, jobs that wait, a connection, an endpoint."""
        api = self._api(self._flowing)
        connection = {
            "displayName": "of the drill",
            "hosts": ["api.example.com"],
            "secret": {"bearer": {"token": "of the drill"}},
        }
        await asyncio.to_thread(_made, api, "/api/v1/connections", connection)
        endpoint = {"url": f"{self._end.url}/endpoints/204", "filter": {"eventTypes": ["job.succeeded"]}}
        await asyncio.to_thread(_made, api, "/api/v1/endpoints", endpoint)
        await asyncio.to_thread(_made, self._api(self._held), "/api/v1/queues/http:pause", {"reason": "drill"})
        for number in range(1000, 1000 + HELD):
            await self._submit(self._held, number)
        await self._flowing.submit_batch(dict.fromkeys(range(2000, 2000 + BATCH), _ASKED), self._end.url, self._secret)
        await asyncio.gather(*(self._submit(self._flowing, number) for number in range(ENDED)))
        await self._erased.submit(4000, _ASKED, self._end.url, self._secret)
        await eventually(self._ended, within=60, what="the first jobs' ends")

    async def back_up_under_load(self) -> None:
        """Makes a backup while jobs are taken in, called and ended."""
        stop = asyncio.Event()

        async def load(first: int) -> None:
            number = first
            while not stop.is_set():
                await self._submit(self._flowing, number)
                number += 1
                with suppress(TimeoutError):  # each of these jobs is called, told and looked for at the end
                    await asyncio.wait_for(stop.wait(), _PAUSE_S)

        async with asyncio.TaskGroup() as group:
            for first in range(10_000, 50_000, 10_000):
                group.create_task(load(first))
            await eventually(lambda: len(self._accepted) > ENDED + HELD + 40, within=60, what="load")
            self._told_before = list(self._flowing.told)
            self._accepted_before = dict(self._accepted)
            await asyncio.to_thread(backups.run, self._mesh.stack, "create")
            stop.set()

    async def erase(self) -> None:
        """Erases a tenant that is in the backup."""
        operator = Api(self._mesh.url, self._mesh.operator_key)
        order = {"tenant": ERASED, "grace": "0s", "reason": "drill"}
        name = (await asyncio.to_thread(_made, operator, "/api/v1/data:erase", order))["name"]
        await eventually(lambda: _got(operator, f"/api/v1/{name}").get("done"), within=90, what="the erasure's end")
        assert await self._held_of_the_erased() == []

    async def _held_of_the_erased(self) -> list[str]:
        """Where MongoDB holds anything of the tenant that was erased."""
        client = await mongo.connect(Secret(self._mesh.layout.mongo_url))
        try:
            places = [("history", "jobs"), ("webhooks", "deliveries"), ("auth", "connections"), ("auth", "keys")]
            return [
                f"{database}.{collection}"
                for database, collection in places
                if await client[database][collection].find_one({"tenant": ERASED})
            ]
        finally:
            await mongo.close(client)

    async def expect_everything(self, known: dict[str, int]) -> None:
        """All that was promised before the backup is kept.

        Args:
            known: The ends that history had in the backup, by job: the revision of each.
        """
        held, flowing = self._api(self._held), self._api(self._flowing)
        assert [job["state"] for job in await self._held.history()] == ["QUEUED"] * HELD
        await asyncio.to_thread(_made, held, "/api/v1/queues/http:resume", {})
        new = [await self._submit(client, number) for number, client in ((3000, self._flowing), (3001, self._held))]
        jobs = await eventually(self._all_ended, within=120, what="every job's end")
        assert {*self._accepted_before.values(), *new} <= set(jobs)
        assert {jobs[job_id]["state"] for job_id in (*new, *self._ids_of(range(1000, 1000 + HELD)))} == {"SUCCEEDED"}
        told = {each.job_id: each.state for each in self._told_before if each.state in TERMINAL}
        assert {job_id: jobs[job_id]["state"] for job_id in told} == told
        ends = await self._ends()
        assert {job_id: found for job_id, found in ends.items() if len(found) != 1} == {}, "each ends once in the log"
        assert {job_id: [int(job["revision"])] for job_id, job in jobs.items()} == {each: ends[each] for each in jobs}
        assert {job_id: ends[job_id][0] for job_id in known} == known, "history had no end that the log had not"
        await self._expect_things(flowing)
        assert await self._held_of_the_erased() == [], "it was erased after the backup"

    async def _expect_things(self, api: Api) -> None:
        (connection,) = _got(api, "/api/v1/connections")["connections"]
        assert connection["displayName"] == "of the drill"
        (endpoint,) = _got(api, "/api/v1/endpoints")["endpoints"]
        assert endpoint["url"].endswith("/endpoints/204")
        path = f"/api/v1/deliveries?endpointId={endpoint['id']}&pageSize=100"
        assert len(_got(api, path)["deliveries"]) >= ENDED
        (batch_id,) = self._flowing.batches
        assert _got(api, f"/api/v1/batches/{batch_id}")["counts"] == {"succeeded": BATCH}

    async def _submit(self, client: Client, number: int) -> str:
        job_id = await client.submit(number, _ASKED, self._end.url, self._secret)
        self._accepted[number] = job_id
        return job_id

    async def _ended(self) -> bool:
        jobs = await self._flowing.history()
        return len(jobs) == ENDED + BATCH and all(job["state"] in TERMINAL for job in jobs)

    async def _all_ended(self) -> dict[str, dict[str, Any]]:
        jobs = {job["id"]: job for client in (self._flowing, self._held) for job in await client.history()}
        missing = set(self._accepted_before.values()) - set(jobs)
        assert not missing, f"{len(missing)} jobs are missing"
        return jobs if all(job["state"] in TERMINAL for job in jobs.values()) else {}

    async def _ends(self) -> dict[str, list[int]]:
        """The revisions of the ends that the log tells, by job; one that was published again has its own once more."""
        ends: defaultdict[str, list[int]] = defaultdict(list)
        for _, event in await Run(self._mesh, [], self._end, SEED)._log():
            if event.finished_at.seconds and event.revision not in ends[event.job_id]:
                ends[event.job_id].append(event.revision)
        return dict(ends)

    def _ids_of(self, numbers: Iterable[int]) -> list[str]:
        return [self._accepted[number] for number in numbers]

    def _api(self, client: Client) -> Api:
        return Api(self._mesh.url, client.session.headers["Authorization"].removeprefix("Bearer "))


def _made(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.call("POST", path, body)
    assert answer.status == 200, answer.body
    return answer.json


def _got(api: Api, path: str) -> dict[str, Any]:
    answer = api.call("GET", path)
    assert answer.status == 200, answer.body
    return answer.json


async def _newest(mesh: Mesh) -> tuple[str, dict[str, int]]:
    """The newest backup, and the ends that history had in it: the revision of each by job."""
    config = config_.load(backups.environment(mesh.layout, OPERATOR))
    objects = await open_objects(config.objects)
    try:
        shelf = Shelf(objects)
        name = (await shelf.found())[-1].name
        made = await shelf.manifest(name)
        (jobs,) = [part for part in made.collections if (part.database, part.name) == ("history", "jobs")]
        async with shelf.open(name, made.file(jobs.file)) as chunks:
            documents = bson.decode_all(b"".join([chunk async for chunk in chunks]))
    finally:
        await objects.close()
    return name, {each["_id"]: each["revision"] for each in documents if each.get("state") in TERMINAL}
