"""What the commands are told: `PENSTOCK_BACKUP_…`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.access.backup import BUCKET
from shared import config
from shared.config import ConfigError, Secret
from shared.objects import ObjectSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "PENSTOCK_BACKUP_"
#: The parts of a backup, as the commands name them.
REDIS, NATS, MONGODB = "redis", "nats", "mongodb"
PARTS = (REDIS, NATS, MONGODB)
#: What must be set for each.
_URLS = {REDIS: "redis_url", NATS: "nats_url", MONGODB: "mongo_url"}
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+/?")
_KEY = re.compile(r"[a-z][a-z0-9-]*=.+")
_ADDRESS = re.compile(r"[A-Za-z0-9.\[\]:-]+:\d{1,5}")
_UNSET = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The field `nats_url` is the variable `PENSTOCK_BACKUP_NATS_URL`; of a `Secret` there is `…_FILE` too."""

    #: Where NATS answers: `nats://user:password@host:port`, several parted by commas. Restoring takes its operator.
    nats_url: Secret = _UNSET
    #: Where Redis answers: `redis://user:password@host:port/0`; for `create` it may be a replica.
    redis_url: Secret = _UNSET
    #: Where MongoDB answers: `mongodb://user:password@hosts/?replicaSet=…&authSource=admin`.
    mongo_url: Secret = _UNSET
    #: The object store of the backups, best not the mesh's own: `https://host[:port]`.
    objects_url: str
    #: The store's region; part of every signature.
    objects_region: str = "us-east-1"
    #: The bucket of the backups, which somebody has made.
    objects_bucket: str = BUCKET
    #: The key pair that signs requests.
    objects_access_key: Secret
    objects_secret_key: Secret
    #: Files of keys without which a restore is worth nothing, as `name=path`, parted by commas: the manifest has their
    #: fingerprints, and a restore compares.
    key_files: tuple[str, ...] = ()
    #: For so many days the newest backup of each is kept.
    daily: int = 30
    #: For so many months the first backup of each is kept.
    monthly: int = 12
    #: For so long MongoDB has to show one state; its own setting is raised to it, where this user may do that.
    mongo_history: timedelta = timedelta(hours=1)
    #: Copies of each stream that is restored, 1 or 3; 0 for as many as it had.
    stream_replicas: int = 0
    #: Where Redis reaches this command while it restores: `host:port`; empty for where it reaches Redis from.
    restore_address: str = ""

    @property
    def objects(self) -> ObjectSettings:
        """Of the store."""
        return ObjectSettings(
            url=self.objects_url,
            public_url=self.objects_url,
            region=self.objects_region,
            bucket=self.objects_bucket,
            access_key=self.objects_access_key,
            secret_key=self.objects_secret_key,
        )

    @property
    def keys(self) -> Mapping[str, Path]:
        """The files of keys, by what they are called."""
        return {name: Path(path) for name, path in (each.split("=", 1) for each in self.key_files)}


def load(environment: Mapping[str, str], *, parts: Sequence[str] = ()) -> Config:
    """The settings.

    Args:
        environment: The variables.
        parts: The servers that the command needs.

    Raises:
        ConfigError: Something is missing, malformed or unknown; every such mistake is named.
    """
    mistakes: list[str] = []
    try:
        read = config.load(Config, environment, prefix=PREFIX)
    except ConfigError as error:
        mistakes, read = error.mistakes, None
    for part in parts:
        name = f"{PREFIX}{_URLS[part].upper()}"
        if not {name, f"{name}_FILE"} & set(environment):
            mistakes.append(f"{name} is not set; it or {name}_FILE says where {part} answers")
    if read is not None:
        mistakes += _mistakes(read)
    if mistakes or read is None:
        raise ConfigError(mistakes)
    return read


def _mistakes(read: Config) -> list[str]:
    mistakes: list[str] = []
    if not _ORIGIN.fullmatch(read.objects_url):
        wanted = "http:// or https://, a host, and a port where it needs one"
        mistakes.append(f"{PREFIX}OBJECTS_URL is {read.objects_url!r}; it takes {wanted}")
    for each in read.key_files:
        if not _KEY.fullmatch(each):
            mistakes.append(f"{PREFIX}KEY_FILES has {each!r}; it takes name=path, such as pepper=/keys/pepper")
        elif not Path(each.split("=", 1)[1]).is_file():
            mistakes.append(f"{PREFIX}KEY_FILES names {each.split('=', 1)[1]!r}, which is no file")
    if read.restore_address and not _ADDRESS.fullmatch(read.restore_address):
        mistakes.append(f"{PREFIX}RESTORE_ADDRESS is {read.restore_address!r}; it takes host:port")
    bounds = {"DAILY": (read.daily, 1, 366), "MONTHLY": (read.monthly, 0, 120)}
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            mistakes.append(f"{PREFIX}{name} is {value}; it takes {least} to {most}")
    if read.stream_replicas not in {0, 1, 3, 5}:
        mistakes.append(f"{PREFIX}STREAM_REPLICAS is {read.stream_replicas}; it takes 1, 3 or 5, or 0 for as it was")
    return mistakes
