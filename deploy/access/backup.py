"""The user `backup`: reads everything on the servers, changes nothing, and writes to the bucket of the backups alone.

Whoever has its passwords has the data of all tenants, if not what is sealed.
"""

from __future__ import annotations

from typing import Any

from deploy.access import objects
from deploy.access.rights import SERVICES, ObjectRights

USER = "backup"
#: Of the object store; another than the services', and best of another store.
BUCKET = "penstock-backups"
#: Of MongoDB: in `admin`, for it reads databases of others.
ROLE = "penstock_backup"
DATABASE = "admin"

_API = "$JS.API"
_PREFIX = "backups/"


def publishes() -> list[str]:
    """The subjects that it may publish to: what it asks of JetStream, and acknowledgements of what it is sent."""
    consumers = [
        f"{_API}.CONSUMER.INFO.{stream}.{consumer}"
        for service in SERVICES
        if service.mongo is not None
        for stream, names in service.nats.consumes.items()
        for consumer in names
    ]
    return [f"{_API}.STREAM.NAMES", f"{_API}.STREAM.SNAPSHOT.*", "$JS.SNAPSHOT.ACK.>", *consumers]


def redis_commands() -> str:
    """What it may call: a replica's commands, which name no keys."""
    return "+info +ping +psync +replconf +sync"


def privileges() -> list[dict[str, Any]]:
    """What its role may do, in MongoDB's words."""
    read = ["find", "listCollections", "listIndexes"]
    databases = [service.mongo.database for service in SERVICES if service.mongo is not None]
    return [
        *({"resource": {"db": database, "collection": ""}, "actions": read} for database in databases),
        {"resource": {"cluster": True}, "actions": ["getParameter"]},
    ]


def policy(bucket: str = BUCKET) -> dict[str, Any]:
    """What it may do in the object store, as an IAM policy; it removes backups that have had their time."""
    rights = ObjectRights(reads=(_PREFIX,), writes=(_PREFIX,), lists=(_PREFIX,))
    allowed = objects.policy(rights, bucket=bucket)
    uploads = {
        "Effect": "Allow",
        "Action": ["s3:ListBucketMultipartUploads"],
        "Resource": [f"arn:aws:s3:::{bucket}"],
    }
    return allowed | {"Statement": [*allowed["Statement"], uploads]}
