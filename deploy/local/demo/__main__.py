"""Brings the mesh up, sends the demo's jobs, and says whether all of it is exactly as it must be."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import aiohttp

from deploy.local import __main__ as cli
from deploy.local import client_settings, commands, programs
from deploy.local.console import Progress
from deploy.local.demo import checks
from deploy.local.demo.client import ApiError, Client, Job, get
from deploy.local.demo.receiver import Receiver, receiver
from deploy.local.demo.report import by_priority, summary
from shared import ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.local.stack import Stack

_JOBS = 100
#: Submits under way at once.
_SUBMITS = 16
_REFUSALS = 2
_BATCH_JOBS = 10
_CALLBACK_PATIENCE_S = 60
#: History follows the log within moments.
_HISTORY_PATIENCE_S = 15
_FAR_END_TIMEOUT_S = 30.0


async def run(settings: Mapping[str, str], far_end: str) -> bool:
    """Sends the demo's jobs, and prints what became of them; whether all of it is exactly so."""
    headers = {"Authorization": f"Bearer {settings[client_settings.API_KEY]}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        receiver(settings[client_settings.WEBHOOK_SECRET], refusals=_REFUSALS) as hook,
        receiver(settings[client_settings.WEBHOOK_SECRET], refusals=0) as batch_hook,
    ):
        client = Client(session, settings[client_settings.URL])
        plain = await _plain(client, far_end)
        failed = await _failing(client, far_end)
        print(f"3. {_JOBS} jobs of mixed priority")
        many = await _many(client, far_end, Progress())
        told = await _with_callback(client, far_end, hook)
        of_batch, mistakes_of_batch = await _batch(client, far_end, batch_hook)
        jobs = [plain, failed, *many, told, *of_batch]
        forgotten = await _history(client, jobs)
    mistakes = [
        *checks.mistakes_of_plain(plain),
        *checks.mistakes_of_failed(failed),
        *checks.mistakes_of_many(many),
        *checks.mistakes_of_callback(told, hook),
        *mistakes_of_batch,
        *forgotten,
    ]
    print(
        "\n"
        + summary(
            [("plain", [plain]), ("503", [failed]), *by_priority(many), ("callback", [told]), ("batch", of_batch)]
        )
    )
    for mistake in mistakes:
        print(f"NOT AS IT MUST BE: {mistake}", file=sys.stderr)
    return not mistakes


async def _plain(client: Client, far_end: str) -> Job:
    print("\n1. A plain call: GET /get?x=1")
    job = await client.finished((await client.submit(get(f"{far_end}/get?x=1")))["id"])
    print(f"   {job['id']} {job['state']}, and the far end saw x={checks.echoed(job, 'x')}")
    return job


async def _failing(client: Client, far_end: str) -> Job:
    print("2. A call that fails every time: GET /status/503, three attempts at most")
    asked = get(f"{far_end}/status/503") | {"retry": {"maxAttempts": 3, "initialBackoff": "0.1s"}}
    job = await client.finished((await client.submit(asked))["id"])
    print(f"   {job['id']} {job['state']} after {job.get('attempt', 0)} attempts: {checks.error_of(job)}")
    return job


async def _with_callback(client: Client, far_end: str, hook: Receiver) -> Job:
    print(f"4. A job with a callback, whose receiver refuses it {_REFUSALS} times")
    job = await client.finished((await client.submit(get(f"{far_end}/get?x=2") | {"callbackUrl": hook.url}))["id"])
    async with asyncio.timeout(_CALLBACK_PATIENCE_S):
        await hook.taken.wait()
    print(f"   {job['id']} {job['state']}; taken at attempt {len(hook.messages)}, every signature verified")
    return job


async def _batch(client: Client, far_end: str, hook: Receiver) -> tuple[list[Job], list[str]]:
    """Its jobs as they ended, and what is not as it must be."""
    print(f"5. A batch of {_BATCH_JOBS} jobs, submitted twice under one idempotency key; its end is told by a callback")
    jobs, key = [get(f"{far_end}/anything?n={number}") for number in range(_BATCH_JOBS)], ids.new_request_id()
    accepted, again = [await client.submit_batch(jobs, callback_url=hook.url, key=key) for _ in range(2)]
    async with asyncio.timeout(_CALLBACK_PATIENCE_S):
        await hook.taken.wait()
    ended = await client.batch(accepted["id"])
    print(f"   {ended['id']} {ended['counts']}")
    return ended["jobs"], checks.mistakes_of_batch(accepted, again, ended, hook)


async def _history(client: Client, jobs: Sequence[Job]) -> list[str]:
    """What history does not hold as it must, when it has had its time."""
    print("6. History, read back through the API")
    until = asyncio.get_running_loop().time() + _HISTORY_PATIENCE_S
    while True:
        mistakes = checks.mistakes_of_history(await client.listed(upstream="http"), jobs)
        if not mistakes or asyncio.get_running_loop().time() > until:
            print(f"   {len(jobs) - len(mistakes)} of {len(jobs)} jobs are listed as they ended")
            return mistakes
        await asyncio.sleep(0.2)


async def _many(client: Client, far_end: str, progress: Progress) -> list[Job]:
    """Submits the many, waits for each, and answers with them in the order of submission."""
    gate = asyncio.Semaphore(_SUBMITS)
    done = 0

    async def one(number: int) -> Job:
        nonlocal done
        job = get(f"{far_end}/anything?n={number}") | {"priority": checks.PRIORITIES[number % len(checks.PRIORITIES)]}
        async with gate:
            accepted = await client.submit(job)
        finished = await client.finished(accepted["id"])
        done += 1
        progress.show(f"{done} of {_JOBS} have ended")
        return finished

    try:
        return await asyncio.gather(*(one(number) for number in range(_JOBS)))
    finally:
        progress.clear()


def demo(stack: Stack) -> bool:
    """Runs the demo on a mesh that is up, and leaves its far end as it was found."""
    far_end = next(program for program in programs.PROGRAMS if program.name == "httpbin")
    settings = client_settings.read(stack)
    was_running = any(entry.name == far_end.name and entry.is_up for entry in stack.supervisor.statuses())
    stack.start_also(far_end)
    try:
        stack.wait_until_ready([far_end], timeout_s=_FAR_END_TIMEOUT_S)
        return asyncio.run(run(settings, f"http://{stack.layout.address(far_end.name)}"))
    except (aiohttp.ClientError, TimeoutError, ApiError) as error:
        print(f"NOT AS IT MUST BE: {error or 'a job or a callback did not come in time'}", file=sys.stderr)
        return False
    finally:
        if not was_running:
            stack.supervisor.stop_program(far_end)


def main() -> int:
    """Brings the mesh up if it is not, runs the demo, and leaves the mesh up."""

    def run_demo() -> int:
        state = cli.default_state().resolve()
        commands.up(state)
        well = demo(commands.existing(state))
        print("\nAll of it is exactly as it must be." if well else "\nThe demo failed.")
        print("Penstock stays up: `make status` shows it, `make down` stops it.")
        return 0 if well else 1

    return cli.answering(run_demo)


if __name__ == "__main__":
    sys.exit(main())
