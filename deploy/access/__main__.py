"""`python -m deploy.access <server>`: the users of a server of your own, in its words; a table of all without one."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from deploy.access import backup, mongo, nats, objects, redis
from deploy.access.rights import BUCKET, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deploy.access.rights import ObjectRights

_HEADER = ("service", "NATS: publishes", "NATS: consumes, follows", "NATS: hears", "Redis", "MongoDB", "object store")


def nats_users() -> str:
    """A block for the settings of NATS, with passwords from the server's environment."""
    return nats.authorization(lambda user: f"$NATS_PASSWORD_OF_{user.upper()}")


def redis_users() -> str:
    """A file of users for Redis, with a blank for the digest of each password."""
    return redis.users(lambda user: f"<SHA-256 of the password of {user}>")


def object_policies(bucket: str = BUCKET) -> str:
    """A policy for each service that uses the object store, by the service's name, and one for backups."""
    policies = {
        service.name: objects.policy(service.objects, bucket=bucket)
        for service in SERVICES
        if service.objects is not None
    }
    policies[backup.USER] = backup.policy()
    return json.dumps(policies, indent=2) + "\n"


def overview() -> str:
    """The whole table in few words, as Markdown."""
    rows = [_HEADER, tuple("---" for _ in _HEADER)]
    for service in SERVICES:
        rights = service.nats
        streams = [f"{stream}/{name}" for stream, names in rights.consumes.items() for name in names]
        rows.append(
            (
                service.name,
                _codes([*rights.publishes, *(f"$KV.{bucket}.>" for bucket in rights.buckets)]),
                _codes([*streams, *rights.follows]),
                _codes(rights.hears),
                _codes(service.redis.keys) if service.redis is not None else "",
                _collections(service.mongo.database, service.mongo.collections) if service.mongo is not None else "",
                "" if service.objects is None else _prefixes(service.objects),
            )
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _codes(texts: Sequence[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _collections(database: str, collections: Mapping[str, Sequence[str]]) -> str:
    kept = [name for name, actions in collections.items() if "update" not in actions]
    changed = [name for name in collections if name not in kept]
    return _codes([f"{database}.{name}" for name in changed]) + "".join(
        f", `{database}.{name}` (adds and reads)" for name in kept
    )


def _prefixes(rights: ObjectRights) -> str:
    told = f"reads {_codes(rights.reads)}; writes {_codes(rights.writes)}"
    return f"{told}; deletes {_codes(rights.deletes)}" if rights.deletes else told


_COMMANDS: Mapping[str, Callable[[], str]] = {
    "nats": nats_users,
    "redis": redis_users,
    "mongo": mongo.script,
    "s3": object_policies,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.access", description="The users of a server of your own.")
    parser.add_argument("server", nargs="?", choices=_COMMANDS, help="whose users; a table of all where none is given")
    parser.add_argument("--bucket", default=BUCKET, help="of the object store (%(default)s)")
    given = parser.parse_args(arguments)
    if given.server is None:
        print(overview(), end="")
    elif given.server == "s3":
        print(object_policies(given.bucket), end="")
    else:
        print(_COMMANDS[given.server](), end="")


if __name__ == "__main__":
    main()
