"""What a tenant has everywhere, as services have written it down: things have a canary, and secrets another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from shared import ids

if TYPE_CHECKING:
    from shared import kv
    from shared.mongo import Client
    from shared.objects import Objects

SECRET = "secret-canary"
NOW = datetime.now(UTC) - timedelta(hours=1)


@dataclass
class Belongings:
    """Of one tenant: some of a connection, and some not."""

    tenant: str
    connection: str = field(default_factory=ids.new_connection_id)
    jobs: list[str] = field(default_factory=lambda: [ids.new_job_id("http") for _ in range(3)])
    endpoint: str = field(default_factory=ids.new_endpoint_id)

    @property
    def canary(self) -> str:
        return f"canary-of-{self.tenant}"

    async def put(self, mongo: Client, redis: kv.Client, objects: Objects) -> None:
        """Puts all of it where it belongs; the first two jobs are the connection's."""
        await self._into_auth(mongo)
        await self._into_webhooks(mongo)
        for number, job_id in enumerate(self.jobs):
            await self._job(mongo, redis, objects, job_id, self.connection if number < 2 else "")
        await mongo["history"]["operations"].insert_one(
            {"_id": ids.new_operation_id(), "tenant": self.tenant, "kind": "CANCEL_JOBS", "created_at": NOW}
        )
        await mongo["history"]["retentions"].insert_one({"_id": self.tenant, "audit_days": 400})
        await self._into_redis(redis)
        for prefix in ("uploads", "incoming", "params", "exports", "cache"):
            await objects.put(f"{prefix}/{self.tenant}/{self.canary}", b"bytes", content_type="text/plain")

    async def _into_auth(self, mongo: Client) -> None:
        owned: dict[str, Any] = {"tenant": self.tenant, "created_at": NOW}
        database = mongo["auth"]
        await database["tenants"].insert_one(
            {"_id": self.tenant, "created_at": NOW, "display_name": self.canary, "disabled_at": None, "revision": 0}
        )
        former = {"prefix": f"former-{self.tenant}", "digest": SECRET}
        key = {"name": self.canary, "prefix": self.tenant, "digest": SECRET, "signing_key": SECRET, "former": former}
        await database["keys"].insert_one({"_id": ids.new_key_id(), **owned, **key})
        sealed = {"data_key_id": "dk_1", "text": SECRET.encode()}
        connection = {"display_name": self.canary, "sealed": sealed, "upstream": "http", "provider": ""}
        standing = {"state": "active", "state_reason": "", "revision": 1, "deleted_at": None, "kind": "bearer"}
        rest = dict.fromkeys(("needs_reauth_since", "refreshed_at", "expires_at"))
        described = {"hosts": [], "scopes": [], "account": {"id": "", "name": ""}, "made_by": "key_1", "version": 1}
        await database["connections"].insert_one(
            {
                "_id": self.connection,
                **owned,
                **connection,
                **standing,
                **rest,
                **described,
                "updated_at": NOW,
                "reauth_policy": "wait",
            }
        )
        await database["authorizations"].insert_one(
            {"_id": self.tenant.encode(), "tenant": self.tenant, "begun_at": NOW, "sealed": sealed, "order": {}}
        )
        await database["audit"].insert_one(
            {"_id": ids.new_audit_id(), "at": NOW, "readers": [self.tenant, "-"], "entry": {"action": self.canary}}
        )

    async def _into_webhooks(self, mongo: Client) -> None:
        database = mongo["webhooks"]
        owned: dict[str, Any] = {"tenant": self.tenant, "created_at": NOW}
        keys = [{"sealed_secret": SECRET, "sealed_private_key": SECRET, "public_key": "whpk"}]
        await database["endpoints"].insert_one(
            {"_id": self.endpoint, **owned, "url": self.canary, "keys": keys, "sealed_headers": SECRET, "slot": 0}
        )
        await database["endpoint_stats"].insert_one({"_id": f"{self.endpoint}/2026-11-27T02", "attempts": 1})
        await database["receivers"].insert_many([{"_id": self.endpoint}, {"_id": f"{self.tenant}/{self.canary}"}])
        await database["replays"].insert_one({"_id": ids.new_replay_id(), **owned, "state": "DONE"})
        await database["deliveries"].insert_many(
            [
                {
                    "_id": f"dlv_{self.tenant}_{number}",
                    **owned,
                    "about": about,
                    "state": "DELIVERED",
                    "payload": self.canary,
                    "sealed_secret": SECRET,
                }
                for number, about in enumerate([*self.jobs, self.connection])
            ]
        )

    async def _job(self, mongo: Client, redis: kv.Client, objects: Objects, job_id: str, connection: str) -> None:
        job = jobs_pb2.Job(id=job_id, upstream="http", method="http.get", connection_id=connection, revision=1)
        job.metadata["order"] = self.canary
        job.created_at.FromDatetime(NOW)
        event = events_pb2.JobEvent(job_id=job_id, tenant=self.tenant, upstream="http", revision=2)
        event.state = jobs_pb2.Job.SUCCEEDED
        event.time.FromDatetime(NOW)
        result = jobs_pb2.JobResult(inline=jobs_pb2.InlineResult(status=200, text=self.canary), size=9)
        await mongo["history"]["jobs"].insert_one(
            {
                "_id": job_id,
                "tenant": self.tenant,
                "connection_id": connection,
                "created_at": ids.made_at(job_id),
                "finished_at": datetime.now(UTC),
                "state": "SUCCEEDED",
                "revision": 2,
                "job": job.SerializeToString(),
                "event": event.SerializeToString(),
                "result": result.SerializeToString(),
            }
        )
        place = f"{{intake:{self.tenant}}}:"
        await redis.hset(
            f"{place}job:{job_id}", mapping={"job": job.SerializeToString(), "event": event.SerializeToString()}
        )
        await redis.zadd(f"{place}ended", {job_id: 4e12})
        await redis.hset(f"{place}sizes", mapping={job_id: "700 5"})
        await redis.hincrby(f"{place}sizes", "sum", 700)
        await objects.put(f"results/{self.tenant}/{job_id}/1", b"result", content_type="text/plain")

    async def _into_redis(self, redis: kv.Client) -> None:
        intake, auth = f"{{intake:{self.tenant}}}:", f"{{auth:tenant:{self.tenant}}}:"
        await redis.hset(f"{intake}key:{self.canary}", "job", self.jobs[0])
        await redis.hset("{intake}:kept", self.tenant, 2100)
        await redis.set("{intake}:kept_sum", int(await redis.get("{intake}:kept_sum") or 0) + 2100)
        await redis.set(f"{auth}usage:key_1:2026-11-27", 1)
        await redis.zadd("{auth:all}:top:requests:2026-11-27", {f"{self.tenant}/key_1": 5})
        await redis.set(f"{{cache:{self.tenant}}}:left", self.canary)


async def found_in_mongo(mongo: Client, text: str) -> set[str]:
    """The collections in which anything has the text."""
    return {
        f"{database}.{collection}"
        for database in await mongo.list_database_names()
        if database not in {"admin", "config", "local"}
        for collection in await mongo[database].list_collection_names()
        async for document in mongo[database][collection].find()
        if text in repr(document)
    }


async def found_in_redis(redis: kv.Client, text: str) -> set[str]:
    """The keys that have the text, in their names or what they hold."""
    found: set[str] = set()
    for key in await redis.keys("*"):
        match await redis.type(key):
            case b"hash":
                value: Any = await redis.hgetall(key)
            case b"zset":
                value = await redis.zrange(key, 0, -1)
            case _:
                value = await redis.get(key)
        if text in repr((key, value)):
            found.add(key.decode())
    return found


async def found_in_objects(objects: Objects, text: str) -> set[str]:
    """The keys of objects that have the text."""
    later = datetime.now(UTC) + timedelta(days=1)
    return {key async for keys in objects.older("", later) for key in keys if text in key}
