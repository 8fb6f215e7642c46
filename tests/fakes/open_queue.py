"""Opens an empty queue as a recovery does, for tests that run scripts without a scheduler around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared import kv


async def open_queue(client: kv.Client, upstream: str = "http", *, epoch: int = 1) -> None:
    """Has the server's queue taken as whole."""
    run: str = (await client.info("server"))["run_id"]
    await client.hset(f"{{sched:{upstream}}}:epoch", mapping={"epoch": epoch, "run": run})  # type: ignore[misc]  the driver's types know no asyncio here
