"""Flickr's far end beside the mesh, in a thread of its own, and what an operator would tell the mesh of it."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from deploy.local.private_files import write_private
from tests.fakes.flickr.oauth import OAuth
from tests.fakes.flickr.server import FlickrFarEnd, flickr_far_end

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path
    from typing import Any

    from tests.fakes.flickr.accounts import User

ResultT = TypeVar("ResultT")
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Flickr:
    """The far end, as tests see it.

    Args:
        far: What it knows, and what it was asked.
        user: Whose account there is.
        secrets: What must not be seen anywhere but there: the client's secret.
    """

    far: FlickrFarEnd
    user: User
    secrets: tuple[str, ...]
    _loop: asyncio.AbstractEventLoop

    def click(self, url: str) -> str:
        """The account's owner opens the page and says yes: where the browser is sent, or what the page says."""
        return self._run(OAuth(self.far.accounts).click(url, nsid=self.user.nsid))

    def calls(self, method: str) -> int:
        """How often a method was called."""
        return self.far.calls[method]

    def _run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT_S)


@contextmanager
def flickr() -> Iterator[Flickr]:
    """Runs it until the body is over."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="flickr", daemon=True)
    thread.start()
    running = flickr_far_end()
    try:
        far = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(_TIMEOUT_S)
        client = far.accounts.add_client()
        yield Flickr(far, far.accounts.add_user(), (client.secret,), loop)
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(_TIMEOUT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_TIMEOUT_S)


def settings(flickr: Flickr, folder: Path) -> dict[str, str]:
    """The local stack's options by which a mesh calls it, written into the folder."""
    (client,) = flickr.far.accounts.clients.values()
    providers, clients = folder / "providers.yaml", folder / "provider-clients.yaml"
    provider = OAuth(flickr.far.accounts).settings(flickr.far.url)
    write_private(providers, json.dumps({"flickr": provider}))
    write_private(clients, json.dumps({"flickr": {"id": client.key, "secret": client.secret}}))
    return {
        "providers_file": str(providers),
        "provider_clients_file": str(clients),
        "upstream_urls": ",".join(flickr.far.urls),
    }
