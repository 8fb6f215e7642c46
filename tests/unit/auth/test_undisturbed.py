from __future__ import annotations

import asyncio

import pytest

from services.auth.connections.authorizing.undisturbed import Undisturbed


async def test_who_waits_has_what_comes_of_it() -> None:
    async def well() -> int:
        return 7

    async def not_well() -> int:
        raise LookupError

    undisturbed = Undisturbed()
    assert await undisturbed.run(well()) == 7
    with pytest.raises(LookupError):
        await undisturbed.run(not_well())
    await undisturbed.drain()


@pytest.mark.parametrize("fails", [False, True])
async def test_it_is_done_though_nobody_waits_any_more(*, fails: bool) -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.set()
        if fails:
            raise LookupError

    undisturbed = Undisturbed()
    asking = asyncio.create_task(undisturbed.run(work()))
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    draining = asyncio.create_task(undisturbed.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    go_on.set()
    await draining
    assert done.is_set()
