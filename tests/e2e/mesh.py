"""A whole mesh of the tests' own: everything that `make up` starts, on free ports, and httpbin as the far end."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import nats
import nats.errors
import redis

from deploy.access.rights import SERVICES
from deploy.local import client_settings, commands, layout, programs
from deploy.local.layout import Options
from deploy.local.programs import Tier
from deploy.local.stack import Stack
from shared import mongo
from shared.config import Secret
from shared.permissions import ADMIN_SCOPES, Scope
from shared.streams import JOBS
from tests.e2e import flickr as flickr_
from tests.e2e.api import Api
from tests.fakes.collector import Collector
from tests.identities import Identities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deploy.local.layout import Layout
    from shared.crash_points import CrashPoint
    from tests.e2e.flickr import Flickr

_START_TIMEOUT_S = 240.0
#: Requests a minute that tests never make; keys of their own limit show what a limit does.
_NEVER_REACHED = "10000000"
#: In the logs of NATS and of services. Nobody knows MongoDB's users before it has any, which is no such refusal.
_REFUSED = ("nats_forbidden", "not authorized on", "lifecycle_not_applied", "AccessDenied")
#: How a driver takes its leave: whoever has logged in may, and who made MongoDB's first user never has.
_FAREWELL = "execute command { endSessions:"


@dataclass(frozen=True, slots=True)
class Mesh:
    """The running mesh, as tests see it."""

    stack: Stack
    #: An admin key of the tenant `dev`.
    key: str
    #: One that may do everything, of a tenant that tests have nothing else to do with.
    operator_key: str
    #: Gets the spans of every program.
    collector: Collector
    #: Stands where the mesh believes Flickr to be.
    flickr: Flickr

    @property
    def layout(self) -> Layout:
        return self.stack.layout

    @property
    def url(self) -> str:
        return self.layout.url

    @property
    def grpc_address(self) -> str:
        """The gateway's `host:port`, for gRPC."""
        return self.layout.address("gateway")

    @property
    def far_end(self) -> str:
        """httpbin's URL, as the mesh's upstream worker reaches it."""
        return f"http://{self.layout.address('httpbin')}"

    @property
    def logs(self) -> Path:
        """The folder of every program's log."""
        return self.layout.logs

    @property
    def pids(self) -> dict[str, int]:
        """The process of each program."""
        return {status.name: status.pid for status in self.stack.supervisor.statuses()}

    def arm(self, point: CrashPoint) -> Path:
        """Has the next process that reaches the point die there; the file is gone when it has."""
        path = Path(self.layout.options.crash_points) / point
        path.touch()
        return path

    @property
    def identities(self) -> Identities:
        """The mesh's own key material: with it, tests forge what only the mesh could sign."""
        return Identities(self.layout.secrets)

    def new_key(self, tenant: str, scopes: Iterable[str] = ()) -> str:
        """A new key of a tenant, which is made if it is new; with all scopes but `operator` unless told which.

        An operator makes it: that takes milliseconds, and the command by which one begins without any key seconds.
        """
        operator = Api(self.url, self.operator_key)
        made = operator.call("POST", "/api/v1/tenants", {"name": tenant})
        assert made.status == 200 or made.reason == "TENANT_EXISTS", made.body
        key = {"tenant": tenant, "name": "test", "scopes": sorted(scopes or ADMIN_SCOPES)}
        answer = operator.call("POST", "/api/v1/keys", key)
        assert answer.status == 200, answer.body
        return answer.json["secret"]

    def submitted(self) -> int:
        """How many jobs were ever submitted, by the log of facts."""
        with ThreadPoolExecutor(1) as thread:  # a loop of its own, whatever loop the test runs
            return thread.submit(asyncio.run, self._count("jobs.submitted.*")).result()

    async def everything_in_redis(self) -> bytes:
        """All that was ever written to Redis: its append-only file, into which a write goes before it is answered."""
        return _everything_in(self.layout.data / "redis")

    def everything_in_nats(self) -> bytes:
        """All that NATS keeps of its streams."""
        return _everything_in(self.layout.data / "nats")

    def refusals(self) -> list[str]:
        """What a server has refused one of our services, by the logs of both; what was refused to others is theirs."""
        services = {service.name for service in SERVICES}
        with redis.Redis.from_url(self.layout.redis_url, decode_responses=True) as client:
            entries = cast("list[dict[str, Any]]", client.acl_log())
        found = [f"redis: {entry}" for entry in entries if entry["username"] in services]
        for log in sorted(self.logs.glob("*.log*")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [
                f"{log.stem}: {line}"
                for line in lines
                if any(sign in line for sign in _REFUSED) and _FAREWELL not in line
            ]
        return found

    async def everything_in_mongo(self) -> bytes:
        """Every document that MongoDB keeps, of whatever service; on disk they lie compressed."""
        client = await mongo.connect(Secret(self.layout.mongo_url))
        try:
            found = [
                document
                for database in await client.list_database_names()
                if database not in {"admin", "config", "local"}
                for collection in await client[database].list_collection_names()
                async for document in client[database][collection].find()
            ]
        finally:
            await mongo.close(client)
        return "\n".join(map(str, found)).encode()

    async def _count(self, subject: str) -> int:
        client = await nats.connect(self.layout.nats_url)
        try:
            info = json.dumps({"subjects_filter": subject}).encode()
            answer = await client.request(f"$JS.API.STREAM.INFO.{JOBS}", info, timeout=60)
        finally:
            await client.close()
        return sum((json.loads(answer.data)["state"].get("subjects") or {}).values())


@contextmanager
def mesh() -> Iterator[Mesh]:
    """Everything, up and ready; it ends with this process, however it ends."""
    with flickr_.flickr() as flickr:
        yield from _beside(flickr)


def _beside(flickr: Flickr) -> Iterator[Mesh]:
    folder = Path(tempfile.mkdtemp(prefix="penstock-e2e-"))
    collector = Collector()
    armed = folder / "crash-points"
    armed.mkdir()
    options = Options(
        otlp_address=collector.address,
        environment="test",
        crash_points=str(armed),
        key_rate_limit=_NEVER_REACHED,
        tenant_rate_limit=_NEVER_REACHED,
        gateway_address_rate=_NEVER_REACHED,
        **flickr_.settings(flickr, folder),
    )
    stack = Stack(layout.on_free_ports(folder, programs.PORTS, options))
    wanted = (*commands.MESH, *programs.of_tiers(Tier.DEMO))
    try:
        stack.start(wanted, tied=True)
        stack.wait_until_ready(wanted, timeout_s=_START_TIMEOUT_S)
        key = client_settings.ensure(stack)[client_settings.API_KEY]
        operator_key = client_settings.make_key(stack, tenant="mesh", name="test", scopes=tuple(sorted(Scope)))
        yield Mesh(stack, key, operator_key, collector, flickr)
    finally:
        stack.stop()
        collector.close()
        shutil.rmtree(folder, ignore_errors=True)


def _everything_in(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
