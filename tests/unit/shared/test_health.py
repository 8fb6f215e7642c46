"""What readiness hangs on."""

from __future__ import annotations

from shared.errors import Unavailable
from shared.rpc.health import Health


async def well() -> None:
    return


async def away() -> None:
    raise Unavailable("away")


async def test_readiness_hangs_on_what_cannot_be_spared() -> None:
    health = Health({"redis": well, "objects": away}, spared={"objects"})
    await health.check_dependencies()
    assert health.ready
    assert health.statuses() == {
        "liveness": True,
        "": True,
        "dependency/redis": True,
        "dependency/objects": False,
    }
    health.drain()
    assert not health.ready


async def test_without_what_cannot_be_spared_nothing_is_ready() -> None:
    health = Health({"redis": away, "objects": well}, spared={"objects"})
    await health.check_dependencies()
    assert not health.ready
