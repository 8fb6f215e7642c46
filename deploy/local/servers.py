"""The settings of the servers that are not ours."""

from __future__ import annotations

import importlib.util
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.errors import StackError
from deploy.local.layout import HOST, REPLICA_SET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.layout import Layout

#: Of MongoDB's cache; the default is half of the machine's memory.
_MONGO_CACHE_GB = "0.25"

_NATS = """\
host: {host}
port: {port}
server_name: local
max_payload: 8MB
jetstream {{
  store_dir: {store}
  sync_interval: always
  max_file_store: 64GB
}}
"""

#: Redis writes its title over its environment, by which it is known as ours: so it must not.
_REDIS = """\
bind {host}
port {port}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
set-proc-title no
"""


def nats_settings(layout: Layout) -> Path:
    """The file of NATS's settings."""
    return layout.state / "nats.conf"


def prepare_nats(layout: Layout) -> None:
    """Writes NATS's settings: JetStream, each write on disk before it is acknowledged."""
    store = json.dumps(str(make_data_folder(layout, "nats")))
    text = _NATS.format(host=HOST, port=layout.ports["nats"], store=store)
    nats_settings(layout).write_text(text, encoding="utf-8")


def redis_settings(layout: Layout) -> Path:
    """The file of Redis's settings."""
    return layout.state / "redis.conf"


def prepare_redis(layout: Layout) -> None:
    """Writes Redis's settings: an append-only file, synced each second, and nothing evicted."""
    folder = json.dumps(str(make_data_folder(layout, "redis")))
    text = _REDIS.format(host=HOST, port=layout.ports["redis"], folder=folder)
    redis_settings(layout).write_text(text, encoding="utf-8")


def prepare_mongo(layout: Layout) -> None:
    """Makes MongoDB's folder, and sets the run bit of the wheel's mongod, which comes without."""
    make_data_folder(layout, "mongo")
    path = _mongod()
    mode = path.stat().st_mode
    if not mode & stat.S_IXUSR:
        path.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def mongo_command(layout: Layout) -> Sequence[str]:
    """Starts MongoDB as a member of a replica set, which `readiness.check_mongo` initiates."""
    return (
        str(_mongod()),
        *("--bind_ip", HOST, "--port", str(layout.ports["mongo"]), "--dbpath", str(data_folder(layout, "mongo"))),
        *("--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", _MONGO_CACHE_GB),
        *("--nounixsocket", "--setParameter", "diagnosticDataCollectionEnabled=false", "--quiet"),
    )


def _mongod() -> Path:
    package = importlib.util.find_spec("fiftyone")
    if package is None or package.submodule_search_locations is None:
        raise StackError("mongod is not installed; `make setup` installs it")
    return Path(next(iter(package.submodule_search_locations))) / "db" / "bin" / "mongod"


def data_folder(layout: Layout, server: str) -> Path:
    """The folder in which a server keeps what it stores."""
    return layout.data / server


def make_data_folder(layout: Layout, server: str) -> Path:
    """The same, made if it is not there."""
    folder = data_folder(layout, server)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
