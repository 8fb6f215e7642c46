"""The settings of NATS and Redis, and their users."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from deploy.access import nats, redis
from deploy.local.layout import HOST
from deploy.local.private_files import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.layout import Layout

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
{authorization}"""

#: Redis writes its title over its environment, by which it is known as ours: so it must not.
_REDIS = """\
bind {host}
port {port}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
repl-backlog-ttl 0
aclfile {users}
daemonize no
set-proc-title no
"""


def nats_settings(layout: Layout) -> Path:
    """The file of NATS's settings."""
    return layout.state / "nats.conf"


def prepare_nats(layout: Layout) -> None:
    """Writes NATS's settings: JetStream, each write on disk before it is acknowledged, and who may do what."""
    store = json.dumps(str(make_data_folder(layout, "nats")))
    authorization = nats.authorization(lambda user: json.dumps(layout.password("nats", user)))
    text = _NATS.format(host=HOST, port=layout.ports["nats"], store=store, authorization=authorization)
    write_private(nats_settings(layout), text)


def redis_settings(layout: Layout) -> Path:
    """The file of Redis's settings."""
    return layout.state / "redis.conf"


def prepare_redis(layout: Layout) -> None:
    """Writes Redis's settings: an append-only file, synced each second, nothing evicted, and who may do what."""
    users = layout.secrets / "redis-users.acl"
    write_private(users, redis.users(lambda user: _digest(layout.password("redis", user))))
    folder = json.dumps(str(make_data_folder(layout, "redis")))
    text = _REDIS.format(host=HOST, port=layout.ports["redis"], folder=folder, users=json.dumps(str(users)))
    redis_settings(layout).write_text(text, encoding="utf-8")


def data_folder(layout: Layout, server: str) -> Path:
    """The folder in which a server keeps what it stores."""
    return layout.data / server


def make_data_folder(layout: Layout, server: str) -> Path:
    """The same, made if it is not there."""
    folder = data_folder(layout, server)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
