"""What deliveries are measured against: a loop that signs bodies and posts them, and does nothing else.

`python -m tests.bench.bare_client <url> <count> <bytes> <at once>` posts with the library that the service posts with,
and signs as it does. Nothing is kept, tried again, ordered or held back; whatever is not sent is lost.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import aiohttp
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.webhooks.signing import SigningKey, signed_headers


async def _post(url: str, count: int, size: int, at_once: int) -> None:
    key = SigningKey(secret=bytes(32), private_key=Ed25519PrivateKey.generate())
    body = b"x" * size
    numbers = iter(range(count))

    async def poster(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            headers = signed_headers([key], webhook_id=f"bare:{number}", at=datetime.now(UTC), body=body)
            headers["content-type"] = "application/json"
            async with session.post(url, data=body, headers=headers) as response:
                response.raise_for_status()

    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(poster(session))


if __name__ == "__main__":
    uvloop.run(_post(sys.argv[1], *map(int, sys.argv[2:5])))
