"""The object store (S3 API): what is too large to travel in messages, under keys that name its tenant."""

from shared.objects.client import Objects, connect, open_objects
from shared.objects.driver import ObjectNotFoundError, ObjectTooLargeError
from shared.objects.keys import (
    ARCHIVE,
    ERASURES,
    EXPORTS,
    LIFETIME_DAYS,
    OF_INTAKE,
    OF_UPSTREAM,
    archive_key,
    cache_key,
    export_key,
    export_part_key,
    incoming_key,
    params_key,
    result_key,
    upload_key,
)
from shared.objects.settings import ObjectsConfig, ObjectSettings
from shared.objects.sweep import Sweep
from shared.objects.values import ObjectInfo, SignedPut

__all__ = [
    "ARCHIVE",
    "ERASURES",
    "EXPORTS",
    "LIFETIME_DAYS",
    "OF_INTAKE",
    "OF_UPSTREAM",
    "ObjectInfo",
    "ObjectNotFoundError",
    "ObjectSettings",
    "ObjectTooLargeError",
    "Objects",
    "ObjectsConfig",
    "SignedPut",
    "Sweep",
    "archive_key",
    "cache_key",
    "connect",
    "export_key",
    "export_part_key",
    "incoming_key",
    "open_objects",
    "params_key",
    "result_key",
    "upload_key",
]
