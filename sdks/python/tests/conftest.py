from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from penstock_sdk import AsyncPenstock, Penstock

from sdks.python.tests.faulty_server import FaultyServer
from sdks.python.tests.sides import Clock, QuickAsyncPacing, QuickPacing, done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

API_KEY = "psk_live_EXAMPLEdocsOnlyNeverUsed1Nnrqv"


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PENSTOCK_URL", "PENSTOCK_API_KEY", "PENSTOCK_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture(params=["async", "sync"])
async def penstock(request: pytest.FixtureRequest, server: FaultyServer, clock: Clock) -> AsyncIterator[Any]:
    """Each client in turn, before the faulty server; it pauses in no time."""
    if request.param == "async":
        client: Any = AsyncPenstock(server.url, API_KEY, pacing=QuickAsyncPacing(clock))
    else:
        client = Penstock(server.url, API_KEY, pacing=QuickPacing(clock))
    yield client
    await done(client.aclose() if request.param == "async" else client.close())
