"""The table: what each service may touch on the servers. Another service is another row.

It is plain data and says what a service does, not how a server words it. Tests hold it against the services themselves:
their scripts, consumers, signals and stores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Who may do everything: you, on every server. No service is given its passwords.
OPERATOR = "operator"
#: What every service makes at its start where it is missing (`shared.streams`).
STREAMS = ("JOBS", "ATTEMPTS", "NOTICES", "AUDIT")
#: The bucket of the object store.
BUCKET = "penstock"

#: MongoDB's names of what may be done with a collection.
READ_AND_WRITE = ("find", "insert", "update", "remove", "createIndex", "listIndexes")
#: Beside that, where a setting says how long things are kept, and where an index has made way for others.
INDEX_CHANGES = ("collMod", "dropIndex")
#: Where an index has made way for others alone.
INDEX_DROPS = ("dropIndex",)
#: What was written stays as it is; the server's own rules may still end its time.
APPEND_ONLY = ("find", "insert", "createIndex", "listIndexes")


def _none() -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsRights:
    """On NATS. Streams and consumers are named, subjects may hold wildcards."""

    #: Subjects of facts and signals that it publishes.
    publishes: tuple[str, ...] = ()
    #: Subjects of signals that it hears.
    hears: tuple[str, ...] = ()
    #: Its durable consumers, by stream; `*` where they are named after upstreams.
    consumes: Mapping[str, tuple[str, ...]] = field(default_factory=_none)
    #: Streams of which it reads single messages.
    reads: tuple[str, ...] = ()
    #: Streams that it reads in order, by consumers that end with it.
    follows: tuple[str, ...] = ()
    #: Durable consumers whose progress it asks for, by stream; its own among them.
    watches: Mapping[str, tuple[str, ...]] = field(default_factory=_none)
    #: Buckets (NATS KV) that are its own.
    buckets: tuple[str, ...] = ()
    #: Whether it brings the streams to their definition: whoever may do that can empty them. Any service makes them.
    defines_streams: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisRights:
    """On Redis."""

    #: Its keys, as glob patterns.
    keys: tuple[str, ...]
    #: What it calls, in scripts and beside them.
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MongoRights:
    """On MongoDB."""

    database: str
    #: What it may do, by collection.
    collections: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRights:
    """On the object store, by prefix of the bucket; an empty one is all of it."""

    #: Whose bytes it may read, or sign links to.
    reads: tuple[str, ...]
    #: Where it may put and delete, or sign links for that.
    writes: tuple[str, ...]
    #: Whose names it may list. Stores tell "not found" from "forbidden" only to those who may list.
    lists: tuple[str, ...]
    #: Where it may delete what another puts there.
    deletes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service, which is a user of its name on each server that it needs."""

    name: str
    nats: NatsRights
    redis: RedisRights | None = None
    mongo: MongoRights | None = None
    objects: ObjectRights | None = None


#: What keys have done at a service, which auth counts.
_USES = "signal.auth.uses"
_CONNECTIONS = "signal.auth.connection_changed"
_WEBHOOKS = ("signal.webhooks.due", "signal.webhooks.endpoint_changed")
_TENANTS = ("signal.auth.tenant_suspended", "signal.auth.tenant_resumed")
#: How scripts are run, and what a connection begins with.
_SCRIPTS = ("PING", "SELECT", "EVALSHA", "SCRIPT|LOAD", "TIME")

SERVICES: Sequence[Service] = (
    Service(
        name="auth",
        nats=NatsRights(
            publishes=(
                *("notices.tenant_suspended", "notices.tenant_resumed"),
                *("notices.connection_needs_reauth", "notices.connection_restored", "notices.connection_deleted"),
                *("signal.auth.changed", "signal.auth.revoked", *_TENANTS, _CONNECTIONS, _USES, "audit.auth"),
            ),
            hears=("signal.auth.changed", *_TENANTS, _CONNECTIONS, _USES),
            consumes={"AUDIT": ("auth",)},
        ),
        redis=RedisRights(
            keys=("{auth:*",),
            commands=(
                *_SCRIPTS,
                *("DEL", "EXISTS", "EXPIRE", "SCAN", "SET"),
                *("HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HMGET", "HSET"),
                *("ZINCRBY", "ZREM", "ZREMRANGEBYRANK", "ZREVRANGE"),
            ),
        ),
        mongo=MongoRights(
            database="auth",
            collections={
                **dict.fromkeys(("tenants", "keys", "connections", "authorizations", "data_keys"), READ_AND_WRITE),
                "audit": (*APPEND_ONLY, *INDEX_DROPS),
            },
        ),
    ),
    Service(
        name="intake",
        nats=NatsRights(
            publishes=("jobs.submitted.*", "notices.batch_finished", "signal.jobs.changed", _USES, "audit.intake"),
            hears=("signal.jobs.changed", "signal.auth.revoked", *_TENANTS, _CONNECTIONS),
            consumes={"JOBS": ("intake-view",)},
            reads=("JOBS",),
            follows=("JOBS",),
            watches={"JOBS": ("intake-view", "history")},
            buckets=("intake",),
            defines_streams=True,
        ),
        redis=RedisRights(
            keys=("{intake:*", "{intake}:*"),
            commands=(
                *_SCRIPTS,
                *("DEL", "EXISTS", "GET", "INFO", "INCRBY", "PEXPIRE", "PTTL", "SCAN", "SET"),
                *(
                    "HDEL",
                    "HEXISTS",
                    "HGET",
                    "HGETALL",
                    "HINCRBY",
                    "HKEYS",
                    "HLEN",
                    "HMGET",
                    "HSET",
                    "HSETNX",
                    "HSTRLEN",
                ),
                *("ZADD", "ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZREM", "ZREMRANGEBYSCORE", "ZSCORE"),
            ),
        ),
        objects=ObjectRights(
            reads=("incoming/", "uploads/", "results/", "params/"),
            writes=("incoming/", "uploads/", "params/"),
            lists=("",),
        ),
    ),
    Service(
        name="scheduler",
        nats=NatsRights(
            publishes=(
                *("jobs.started.*", "jobs.retrying.*", "jobs.succeeded.*", "jobs.failed.*", "jobs.canceled.*"),
                *("jobs.expired.*", "jobs.outcome_unknown.*"),
                *("signal.work.*", "signal.cancel.*", _USES, "audit.scheduler"),
            ),
            hears=("signal.work.*",),
            consumes={"JOBS": ("*",), "ATTEMPTS": ("*",), "NOTICES": ("scheduler-notices",)},
            reads=("JOBS",),
            follows=("JOBS",),
            watches={"JOBS": ("*",)},
            buckets=("scheduler",),
        ),
        redis=RedisRights(
            keys=("{sched:*",),
            commands=(
                *_SCRIPTS,
                *("DEL", "EXISTS", "GET", "INCR", "INFO", "MGET", "MSET", "SCAN", "SET", "UNLINK"),
                *("HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HLEN", "HMGET", "HSET"),
                *("ZADD", "ZCARD", "ZCOUNT", "ZINCRBY", "ZMSCORE", "ZRANGE", "ZRANGEBYSCORE", "ZREM"),
                *("ZREMRANGEBYSCORE", "ZREVRANGE", "ZSCORE", "ZUNIONSTORE"),
            ),
        ),
    ),
    Service(
        name="upstream",
        nats=NatsRights(
            publishes=("attempts.*", "signal.cache.answered", _USES, "audit.upstream"),
            hears=("signal.cancel.*", "signal.cache.answered", _CONNECTIONS),
        ),
        redis=RedisRights(
            keys=("{cache:*", "{cache}:*"),
            commands=(
                *_SCRIPTS,
                *("DEL", "GET", "HDEL", "HGET", "HGETALL", "HINCRBY", "HMGET", "HSET", "PEXPIRE", "SCAN", "SET"),
                *("ZADD", "ZCARD", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZREM", "ZREVRANGE", "ZSCORE"),
            ),
        ),
        objects=ObjectRights(
            reads=("params/", "uploads/", "cache/"),
            writes=("results/", "cache/"),
            lists=("results/", "cache/"),
        ),
    ),
    Service(
        name="webhooks",
        nats=NatsRights(
            publishes=("notices.endpoint_disabled", *_WEBHOOKS, _USES, "audit.webhooks"),
            hears=_WEBHOOKS,
            consumes={"JOBS": ("webhooks",), "NOTICES": ("webhooks-notices",)},
            reads=("JOBS",),
            watches={"JOBS": ("webhooks",)},
        ),
        mongo=MongoRights(
            database="webhooks",
            collections={
                "deliveries": (*READ_AND_WRITE, *INDEX_CHANGES),
                **dict.fromkeys(("endpoints", "receivers", "replays", "endpoint_stats"), READ_AND_WRITE),
            },
        ),
    ),
    Service(
        name="history",
        nats=NatsRights(
            publishes=(_USES, "audit.history"),
            hears=("signal.auth.revoked", *_TENANTS),
            consumes={"JOBS": ("history",)},
            reads=("JOBS",),
            watches={"JOBS": ("history",)},
        ),
        mongo=MongoRights(
            database="history",
            collections={
                "jobs": (*READ_AND_WRITE, *INDEX_CHANGES),
                **dict.fromkeys(
                    ("leases", "operations", "retentions", "archive_parts", "erasures", "stats", "upgrades"),
                    READ_AND_WRITE,
                ),
            },
        ),
        objects=ObjectRights(
            reads=("archive/", "exports/", "erasures/"),
            writes=("archive/", "exports/", "erasures/"),
            lists=("archive/", "exports/", "erasures/"),
            deletes=("results/",),
        ),
    ),
)


def of(name: str) -> Service:
    """The row of a service."""
    return next(service for service in SERVICES if service.name == name)
