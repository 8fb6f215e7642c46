"""The one table of what a stack runs. Another service is another row."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from deploy.local import envoy, identity_keys, keys, mongo, objects, readiness, servers, users
from deploy.local.layout import BIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deploy.local.layout import Layout

#: Longer than the 30 s in which a service drains.
_DRAIN_WAIT_S = 40
_SERVER_WAIT_S = 20


class Tier(IntEnum):
    """What is stopped together: the last tier first, so that a service still has its servers while it drains."""

    SERVERS = 1
    SERVICES = 2
    GATEWAY = 3
    DEMO = 4


def _no_environment(_: Layout) -> Mapping[str, str]:
    return {}


def _nothing_to_do(_: Layout) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """One program of the stack."""

    name: str
    tier: Tier
    #: The default port of each name; `PENSTOCK_LOCAL_<NAME>_PORT` moves it.
    ports: Mapping[str, int]
    command: Callable[[Layout], Sequence[str]]
    environment: Callable[[Layout], Mapping[str, str]] = _no_environment
    #: Makes what the program needs before it first starts.
    prepare: Callable[[Layout], None] = _nothing_to_do
    #: Tries the program; raises when it does not answer. For programs without one the gateway's `/readyz` speaks.
    check: Callable[[Layout], None] | None = None
    #: Removes what the program leaves outside of the stack's folder.
    clear: Callable[[Layout], None] = _nothing_to_do
    #: What ends it.
    stop_signal: str = "TERM"
    #: How long it may take to end by that before it is killed.
    stop_wait_s: int = _SERVER_WAIT_S


def _service(
    name: str, *, port: int, metrics: int, environment: Callable[[Layout], Mapping[str, str]] = _no_environment
) -> Program:
    def complete(layout: Layout) -> Mapping[str, str]:
        return {
            "PENSTOCK_GRPC_ADDRESS": layout.address(name),
            "PENSTOCK_METRICS_ADDRESS": layout.address(f"{name}_metrics"),
            "PENSTOCK_IDENTITY_KEYS_FILE": str(identity_keys.public_keys_file(layout.secrets)),
            "PENSTOCK_SERVICE_KEY_FILE": str(identity_keys.private_key_file(layout.secrets, name)),
            "PENSTOCK_LOG_LEVEL": layout.options.log_level,
            "PENSTOCK_OTLP_ADDRESS": layout.options.otlp_address,
            "PENSTOCK_DOCS_URL": layout.docs_url,
            "PENSTOCK_ENVIRONMENT": layout.options.environment,
            "PENSTOCK_CRASH_POINTS": layout.options.crash_points,
            **users.settings(layout, name),
            **environment(layout),
        }

    return Program(
        name=name,
        tier=Tier.SERVICES,
        ports={name: port, f"{name}_metrics": metrics},
        command=lambda _: (sys.executable, "-m", f"services.{name}"),
        environment=complete,
        stop_wait_s=_DRAIN_WAIT_S,
    )


def _providers(layout: Layout) -> Mapping[str, str]:
    """What was chosen of them."""
    options = layout.options
    chosen = {
        "PENSTOCK_PROVIDERS_FILE": options.providers_file,
        "PENSTOCK_PROVIDER_CLIENTS_FILE": options.provider_clients_file,
    }
    return {name: path for name, path in chosen.items() if path}


def _upstream_urls(layout: Layout) -> Mapping[str, str]:
    """Those that were chosen."""
    chosen = layout.options.upstream_urls
    return {"PENSTOCK_UPSTREAM_URLS": chosen} if chosen else {}


def _rate_limits(layout: Layout) -> Mapping[str, str]:
    """Those that were chosen."""
    options = layout.options
    chosen = {
        "PENSTOCK_KEY_RATE_LIMIT": options.key_rate_limit,
        "PENSTOCK_TENANT_RATE_LIMIT": options.tenant_rate_limit,
        "PENSTOCK_ADDRESS_RATE_LIMIT": options.address_rate_limit,
    }
    return {name: limit for name, limit in chosen.items() if limit}


_SERVERS = (
    Program(
        name="nats",
        tier=Tier.SERVERS,
        ports={"nats": 18222},
        prepare=servers.prepare_nats,
        command=lambda layout: (str(BIN / "nats-server"), "--config", str(servers.nats_settings(layout))),
        check=readiness.check_nats,
    ),
    Program(
        name="redis",
        tier=Tier.SERVERS,
        ports={"redis": 18379},
        prepare=servers.prepare_redis,
        command=lambda layout: (str(BIN / "redis-server"), str(servers.redis_settings(layout))),
        check=readiness.check_redis,
    ),
    Program(
        name="mongo",
        tier=Tier.SERVERS,
        ports={"mongo": 18017},
        prepare=mongo.prepare,
        command=mongo.command,
        check=mongo.check,
    ),
    Program(
        name="objects",
        tier=Tier.SERVERS,
        ports=objects.PORTS,
        prepare=objects.prepare,
        command=objects.command,
        environment=objects.environment,
        check=objects.check,
        clear=objects.clear,
        stop_signal="KILL",  # asked to end, it takes 16 s; what it has acknowledged outlives either
    ),
)

_SERVICES = (
    _service(
        "auth",
        port=18101,
        metrics=18201,
        environment=lambda layout: {
            "PENSTOCK_KEY_PEPPER_FILE": str(keys.key_pepper_file(layout.secrets)),
            "PENSTOCK_SEALING_KEY_FILE": str(keys.signing_seal_file(layout.secrets)),
            "PENSTOCK_MASTER_KEYS_FILE": str(keys.master_keys_file(layout.secrets)),
            "PENSTOCK_PUBLIC_URL": layout.url,
            "PENSTOCK_HISTORY_ADDRESS": layout.address("history"),
            "PENSTOCK_ALLOW_LOOPBACK": "true",
            **_rate_limits(layout),
            **_providers(layout),
        },
    ),
    _service(
        "intake",
        port=18102,
        metrics=18202,
        environment=lambda layout: {
            "PENSTOCK_SCHEDULER_ADDRESS": layout.address("scheduler"),
            "PENSTOCK_UPSTREAM_ADDRESS": layout.address("upstream"),
            "PENSTOCK_HISTORY_ADDRESS": layout.address("history"),
            "PENSTOCK_AUTH_ADDRESS": layout.address("auth"),
            "PENSTOCK_SEALING_KEY_FILE": str(keys.sealing_key_file(layout.secrets)),
            "PENSTOCK_ALLOW_LOOPBACK": "true",
        },
    ),
    _service(
        "scheduler",
        port=18103,
        metrics=18203,
        environment=lambda layout: {
            "PENSTOCK_UPSTREAM_ADDRESS": layout.address("upstream"),
        },
    ),
    _service(
        "upstream",
        port=18104,
        metrics=18204,
        environment=lambda layout: {
            "PENSTOCK_SCHEDULER_ADDRESS": layout.address("scheduler"),
            "PENSTOCK_AUTH_ADDRESS": layout.address("auth"),
            "PENSTOCK_ALLOW_LOOPBACK": "true",
            **_upstream_urls(layout),
        },
    ),
    _service(
        "webhooks",
        port=18105,
        metrics=18205,
        environment=lambda layout: {
            "PENSTOCK_SEALING_KEY_FILE": str(keys.sealing_key_file(layout.secrets)),
            "PENSTOCK_CALLBACK_KEY_FILE": str(keys.callback_key_file(layout.secrets)),
            "PENSTOCK_HISTORY_ADDRESS": layout.address("history"),
            # Who tries callbacks out here wants to see the first retries.
            "PENSTOCK_RETRY_SCHEDULE": "0.5s,1s,2s,5s,15s,1m,5m,30m,2h",
            "PENSTOCK_ALLOW_LOOPBACK": "true",
        },
    ),
    _service(
        "history",
        port=18106,
        metrics=18206,
        environment=lambda layout: {
            "PENSTOCK_AUTH_ADDRESS": layout.address("auth"),
            "PENSTOCK_INTAKE_ADDRESS": layout.address("intake"),
            "PENSTOCK_SCHEDULER_ADDRESS": layout.address("scheduler"),
            "PENSTOCK_UPSTREAM_ADDRESS": layout.address("upstream"),
            "PENSTOCK_WEBHOOKS_ADDRESS": layout.address("webhooks"),
            # Who tries an erasure out here wants to see its end.
            "PENSTOCK_ERASE_INTERVAL": "2s",
        },
    ),
)

PROGRAMS: Sequence[Program] = (
    *_SERVERS,
    *_SERVICES,
    Program(
        name="site",
        tier=Tier.GATEWAY,
        ports={"site": 18090},
        command=lambda _: (sys.executable, "-m", "gateway.site"),
        environment=lambda layout: {
            "PENSTOCK_SITE_ADDRESS": layout.address("site"),
            "PENSTOCK_SITE_SERVICES": ",".join(f"{each.name}={layout.address(each.name)}" for each in _SERVICES),
            "PENSTOCK_SITE_DOCS_URL": layout.docs_url,
            "PENSTOCK_SITE_LOG_LEVEL": layout.options.log_level,
        },
    ),
    Program(
        name="gateway",
        tier=Tier.GATEWAY,
        ports={"gateway": 8080, "gateway_admin": 18001},
        prepare=envoy.prepare,
        command=envoy.command,
        check=readiness.check_gateway,
    ),
    Program(
        name="httpbin",
        tier=Tier.DEMO,
        ports={"httpbin": 18800},
        command=lambda layout: (
            str(BIN / "gunicorn"),
            "httpbin:app",
            *("--bind", layout.address("httpbin"), "--workers", "2", "--threads", "16", "--no-control-socket"),
        ),
        check=readiness.check_httpbin,
    ),
)

#: Every port's default, by name.
PORTS: Mapping[str, int] = {name: port for program in PROGRAMS for name, port in program.ports.items()}


def of_tiers(*tiers: Tier) -> tuple[Program, ...]:
    """The programs of these tiers."""
    return tuple(program for program in PROGRAMS if program.tier in tiers)
