"""On what was measured: the machine, the versions, and the settings that cost speed and give something for it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from deploy.local import mongo, servers
from deploy.local.layout import BIN
from tests.bench.mesh import MAX_PENDING_JOBS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.local.layout import Layout

_PACKAGES = ("grpcio", "nats-py", "pymongo", "protobuf", "uvloop")


def machine() -> Mapping[str, Any]:
    """Cores, memory, processor and kernel."""
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1),
        "processor": processor[1] if processor else "",
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(layout: Layout) -> Mapping[str, str]:
    """Of Python, of the servers, and of the libraries that carry the load."""
    commands = {
        "envoy": (str(BIN / "envoy"), "--version"),
        "nats": (str(BIN / "nats-server"), "--version"),
        "redis": (str(BIN / "redis-server"), "--version"),
        "mongodb": (mongo.command(layout)[0], "--version"),
    }
    return {
        "python": platform.python_version(),
        **{name: _version(command) for name, command in commands.items()},
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def settings(layout: Layout) -> Mapping[str, str]:
    """What is on: durability as the servers were started with it, and the caps."""
    nats = re.search(r"sync_interval: *(\S+)", servers.nats_settings(layout).read_text(encoding="utf-8"))
    client: Any = redis.Redis.from_url(layout.redis_url)
    asked = client.config_get("append*")
    return {
        "nats sync_interval": nats[1] if nats else "default",
        "redis appendonly": asked["appendonly"],
        "redis appendfsync": asked["appendfsync"],
        "mongodb": "replica set of one, journal",
        "max_pending_jobs": str(MAX_PENDING_JOBS),
        "limits of noop": "rate and concurrency, for upstream, class, lane, lane's class",
        "envoy concurrency": layout.options.envoy_concurrency,
        "log level": layout.options.log_level,
    }


def _version(command: tuple[str, ...]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else said.strip()
