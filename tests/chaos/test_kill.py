"""The kill test: everything dies while two thousand jobs are in flight, and every one of them ends exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from itertools import takewhile
from typing import TYPE_CHECKING

import aiohttp
import nats
from penstock.events.v1 import events_pb2

from deploy.local.programs import PROGRAMS, Tier
from shared.streams import JOBS
from tests.chaos import schedule
from tests.chaos.checker import TERMINAL, Story, Submitted, Told, contradictions
from tests.chaos.clients import Client
from tests.chaos.far_end import FarEnd, far_end
from tests.e2e import mesh as mesh_
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from tests.chaos.schedule import Step
    from tests.e2e.mesh import Mesh

JOB_COUNT = int(os.environ.get("CHAOS_JOBS", "2000"))
#: Clients that submit at once, of each tenant.
SUBMITTERS = 8
#: Jobs are spread over the whole schedule, so that each strike meets some in every state.
SUBMITS_PER_S = 25.0
#: One of so many groups of so many jobs comes as a batch.
BATCH_SIZE, BATCHED_EVERY = 5, 4
#: After the last strike, until everything has ended and every callback has come.
SETTLE_S = 180.0
TARGETS = tuple(program for program in PROGRAMS if program.tier is not Tier.DEMO)


def seed_of_this_run() -> int:
    return int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))


async def test_every_accepted_job_ends_exactly_once_whatever_dies() -> None:
    seed = seed_of_this_run()
    minutes = float(os.environ.get("CHAOS_MINUTES", "0"))
    print(f"\nseed {seed}: CHAOS_SEED={seed} repeats this schedule")
    until = time.monotonic() + 60 * minutes
    steps: Iterable[Step] = schedule.each_once(TARGETS, seed)
    if minutes:
        steps = takewhile(lambda _: time.monotonic() < until, schedule.without_end(TARGETS, seed))
    with mesh_.mesh() as mesh:
        async with far_end(seed) as end, AsyncExitStack() as resources:
            clients = [await client_of(mesh, tenant, resources) for tenant in ("chaos-one", "chaos-two")]
            run = Run(mesh, clients, end, seed)
            working = asyncio.create_task(run.work(minutes=minutes))
            for step in steps:
                print(f"  {step.strike} {step.program.name}")
                await schedule.carry_out(step, mesh.stack)
            await working
            story = await run.settled()
    found = contradictions(story)
    troubles = {status: sum(client.troubles.get(status, 0) for client in clients) for status in (0, 409, 500, 503, 504)}
    ends = defaultdict(int)
    for job in story.history:
        ends[job["state"]] += 1
    print(f"  {len(story.history)} jobs {dict(ends)}, {sum(story.calls.values())} calls, answers not 200: {troubles}")
    assert found == [], f"seed {seed}: {len(found)} contradictions, the first: {found[:10]}"
    assert end.bad_callbacks == []
    assert troubles[500] == 0, "whatever dies, no answer is an internal error"


async def client_of(mesh: Mesh, tenant: str, resources: AsyncExitStack) -> Client:
    key = await asyncio.to_thread(mesh.new_key, tenant)
    connector = aiohttp.TCPConnector(limit=64)
    session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}, connector=connector)
    return Client(await resources.enter_async_context(session), mesh.url)


async def _placed(work: Coroutine[None, None, None], places: asyncio.Semaphore) -> None:
    """Does it, and gives its place back."""
    try:
        await work
    finally:
        places.release()


class Run:
    """The work that goes on while things die, and what is found when it is over."""

    def __init__(self, mesh: Mesh, clients: list[Client], end: FarEnd, seed: int) -> None:
        self._mesh = mesh
        self._clients = clients
        self._end = end
        self._chance = random.Random(seed)
        self._submitted: dict[int, Submitted] = {}

    async def work(self, *, minutes: float) -> None:
        """Submits jobs at an even pace, and looks at them and waits for them in between."""
        count = int(minutes * 60 * SUBMITS_PER_S) or JOB_COUNT
        async with asyncio.TaskGroup() as group:
            places = asyncio.Semaphore(SUBMITTERS * len(self._clients))
            for number in range(0, count, BATCH_SIZE):
                asked = {each: self._asked(each) for each in range(number, min(number + BATCH_SIZE, count))}
                self._submitted |= asked
                batched = number % (BATCH_SIZE * BATCHED_EVERY) == 0
                for work in [self._batch(asked)] if batched else [self._one(*each) for each in asked.items()]:
                    await places.acquire()
                    group.create_task(_placed(work, places))
                    await asyncio.sleep((len(asked) if batched else 1) / SUBMITS_PER_S)

    def _asked(self, number: int) -> Submitted:
        return Submitted(post=self._chance.random() < 0.5, callback=number % 2 == 0)

    async def _batch(self, asked: Mapping[int, Submitted]) -> None:
        client = self._clients[min(asked) % len(self._clients)]
        await client.submit_batch(asked, self._end.url, self._end.secret.decode())

    async def _one(self, number: int, asked: Submitted) -> None:
        client = self._clients[number % len(self._clients)]
        job_id = await client.submit(number, asked, self._end.url, self._end.secret.decode())
        if number % 3 == 0:
            await client.look(number, job_id)
        elif number % 3 == 1:
            await client.wait(number, job_id)

    async def settled(self) -> Story:
        """Everything that was seen, once every job has ended by history and every callback has come."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            story = await self._story()
            unfinished = [job for job in story.history if job["state"] not in TERMINAL]
            silent = [
                told.job_id
                for told in story.told
                if story.submitted[told.number].callback and not story.callbacks.get(told.job_id)
            ]
            silent += [batch_id for batch_id in story.batches if not story.batch_ends.get(batch_id)]
            if len(story.history) >= len(self._submitted) and not unfinished and not silent:
                return story
            if time.monotonic() > deadline:  # the checker says what is missing
                return story
            await asyncio.sleep(1)

    async def _story(self) -> Story:
        history = [job for client in self._clients for job in await client.history()]
        log = await eventually(self._log, within=60, what="the log of jobs")
        ends: dict[str, list[int]] = defaultdict(list)
        fences: dict[str, list[str]] = defaultdict(list)
        for message_id, event in log:
            if event.finished_at.seconds:
                ends[event.job_id].append(event.revision)
            if event.type == events_pb2.JobEvent.STARTED:
                fences[event.job_id].append(message_id)
        told: list[Told] = [each for client in self._clients for each in client.told]
        batches = {batch_id: numbers for client in self._clients for batch_id, numbers in client.batches.items()}
        taken = {
            about: [payload["data"] for payload in payloads if "data" in payload]
            for about, payloads in self._end.callbacks.items()
        }
        return Story(
            submitted=self._submitted,
            told=told,
            history=history,
            calls=self._end.calls,
            callbacks={
                job_id: [data["state"] for data in told] for job_id, told in taken.items() if job_id not in batches
            },
            batches=batches,
            batch_ends={batch_id: [data["counts"] for data in taken.get(batch_id, ())] for batch_id in batches},
            ends=ends,
            fences=fences,
        )

    async def _log(self) -> list[tuple[str, events_pb2.JobEvent]]:
        """Every event in JOBS, with its message id."""
        connection = await nats.connect(self._mesh.layout.nats_url)
        try:
            stream = connection.jetstream()
            info = await stream.stream_info(JOBS)
            subscription = await stream.subscribe("jobs.*.*", stream=JOBS, ordered_consumer=True)
            messages = [await subscription.next_msg(timeout=10) for _ in range(info.state.messages)]
        finally:
            await connection.close()
        return [
            ((message.headers or {})["Nats-Msg-Id"], events_pb2.JobEvent.FromString(message.data))
            for message in messages
        ]
