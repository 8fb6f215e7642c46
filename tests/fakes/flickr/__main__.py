"""Runs the far end of Flickr alone: `python -m tests.fakes.flickr [--port 18990]`.

It prints one line of JSON, with its URL, a client, a user and an access token, and runs until it is told to stop.
`GET /control/calls` says what came; `POST /control/faults` takes a fault (`{"kind": "throttle", "times": 2}`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

from tests.fakes.flickr.server import flickr_far_end


async def main(port: int, key: str, secret: str) -> None:
    """Runs it."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with flickr_far_end(port=port) as far:
        client = far.accounts.add_client(key, secret)
        user = far.accounts.add_user()
        token = far.accounts.add_access_token(client.key, user.nsid)
        known = {
            "url": far.url,
            "client_key": client.key,
            "client_secret": client.secret,
            "nsid": user.nsid,
            "token": token.token,
            "token_secret": token.secret,
        }
        print(json.dumps(known), flush=True)  # noqa: T201  its way to tell
        await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.flickr")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--client-key", default="")
    parser.add_argument("--client-secret", default="")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.port, arguments.client_key, arguments.client_secret))
