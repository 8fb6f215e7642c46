"""Where a stack keeps its files, and on which ports its programs answer."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import sys
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.access.rights import OPERATOR
from deploy.local.errors import SettingError, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
#: Beside python, where wheels put their commands.
BIN = Path(sys.executable).parent
HOST = "127.0.0.1"
#: What the names of the settings begin with.
_PREFIX = "PENSTOCK_LOCAL_"
#: The folder of the stack's state.
STATE_SETTING = f"{_PREFIX}STATE"
#: The longest path that a unix socket may have on Linux (108 bytes with the closing zero), less a margin.
_SOCKET_PATH_MAX_BYTES = 100
#: Below the range from which Linux takes the ports of outgoing connections, so that none of those comes in between.
_FREE_PORTS = range(20_000, 32_000)
#: A stack on free ports has a block of so many for as long as its process lives, also while a program of it is down.
_BLOCK = 64
_guards: list[socket.socket] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a developer may choose beside ports; the field `log_level` is the variable `PENSTOCK_LOCAL_LOG_LEVEL`."""

    #: Of the services: debug, info, warning or error.
    log_level: str = "info"
    #: The OpenTelemetry collector (OTLP over gRPC, `host:port`) that gets the spans; empty for none.
    otlp_address: str = ""
    #: What the services run for: development or test.
    environment: str = "development"
    #: The folder in which a test arms the services' crash points; empty for none.
    crash_points: str = ""
    #: Requests a minute of a key, of a tenant, and of an address without a key; auth's own defaults where empty.
    key_rate_limit: str = ""
    tenant_rate_limit: str = ""
    address_rate_limit: str = ""
    #: Requests a second that the gateway takes from one address, 0 for as many as come; its own default where empty.
    gateway_address_rate: str = ""
    #: The certificate and the key (PEM) with which the gateway speaks TLS; empty for plain HTTP.
    tls_certificate: str = ""
    tls_key: str = ""
    #: A file with providers of your own, as auth's `PENSTOCK_PROVIDERS_FILE` takes it; empty for none.
    providers_file: str = ""
    #: A file with what this mesh is known by at providers (`PENSTOCK_PROVIDER_CLIENTS_FILE`); empty for none.
    provider_clients_file: str = ""
    #: Other URLs of upstreams' targets, as upstream's `PENSTOCK_UPSTREAM_URLS` takes them; empty for none.
    upstream_urls: str = ""
    #: Envoy's worker threads; the machine has other things to do.
    envoy_concurrency: str = "1"


_DEFAULT_OPTIONS = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One stack's folder, ports and options.

    Args:
        state: The folder that holds all of its state.
        ports: By name: `auth`, `auth_metrics`, `gateway` ...
        options: What else was chosen.
    """

    state: Path
    ports: Mapping[str, int]
    options: Options = _DEFAULT_OPTIONS

    @property
    def logs(self) -> Path:
        """The folder of the programs' logs."""
        return self.state / "logs"

    @property
    def data(self) -> Path:
        """The folder in which servers keep what they store, each in one of its own."""
        return self.state / "data"

    @property
    def secrets(self) -> Path:
        """The folder of keys and secrets."""
        return self.state / "secrets"

    @property
    def gateway(self) -> Path:
        """The folder of Envoy's settings."""
        return self.state / "gateway"

    @property
    def client_settings(self) -> Path:
        """The file that tells clients of this stack its URL and a key."""
        return self.state / "dev.env"

    @property
    def control_socket(self) -> Path:
        """The socket of supervisord; outside of the state folder only where the path would be too long."""
        path = self.state / "supervisor.sock"
        if len(str(path).encode()) <= _SOCKET_PATH_MAX_BYTES:
            return path
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"penstock-{digest}.sock"

    def log(self, program: str) -> Path:
        """One program's log."""
        return self.logs / f"{program}.log"

    def address(self, port: str) -> str:
        """`host:port` of a port by its name."""
        return f"{HOST}:{self.ports[port]}"

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return f"{'https' if self.options.tls_certificate else 'http'}://{self.address('gateway')}"

    @property
    def docs_url(self) -> str:
        """Where the gateway shows the documentation."""
        return f"{self.url}/docs"

    def password_file(self, server: str, user: str) -> Path:
        """The password of a server's user."""
        return self.secrets / f"{server}-{user}-password"

    def password(self, server: str, user: str) -> str:
        """The same, read; it is made when the stack first starts."""
        return self.password_file(server, user).read_text(encoding="utf-8").strip()

    def url_file(self, server: str, user: str) -> Path:
        """Where one of our services finds a server's URL, with its own name and password in it."""
        return self.secrets / f"{server}-{user}-url"

    def nats_url_of(self, user: str) -> str:
        """Where NATS answers a user."""
        return f"nats://{self._login('nats', user)}"

    def redis_url_of(self, user: str) -> str:
        """Where Redis answers a user."""
        return f"redis://{self._login('redis', user)}/0"

    def mongo_url_of(self, user: str, database: str) -> str:
        """Where MongoDB answers a user of this database, as a replica set of one."""
        return f"mongodb://{self._login('mongo', user)}/?replicaSet={REPLICA_SET}&authSource={database}"

    def _login(self, server: str, user: str) -> str:
        return f"{user}:{self.password(server, user)}@{self.address(server)}"

    @property
    def nats_url(self) -> str:
        """Where NATS answers whoever runs the stack, who may do everything there."""
        return self.nats_url_of(OPERATOR)

    @property
    def redis_url(self) -> str:
        """Where Redis does."""
        return self.redis_url_of(OPERATOR)

    @property
    def mongo_url(self) -> str:
        """Where MongoDB does."""
        return self.mongo_url_of(OPERATOR, "admin")

    @property
    def objects_url(self) -> str:
        """Where the object store answers."""
        return f"http://{self.address('objects')}"

    def make_folders(self) -> None:
        """Makes the state folder and those in it, readable by their owner alone."""
        for folder in (self.state, self.logs, self.data, self.secrets, self.gateway):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remember(self) -> None:
        """Writes ports and options down for the commands that come later."""
        text = json.dumps({"ports": dict(self.ports), "options": asdict(self.options)}, indent=2)
        _memory(self.state).write_text(text + "\n", encoding="utf-8")


#: The name of MongoDB's replica set.
REPLICA_SET = "penstock"


def setting(option: str) -> str:
    """The variable that sets an option."""
    return f"{_PREFIX}{option.upper()}"


def setting_of(port: str) -> str:
    """The variable that moves a port."""
    return f"{_PREFIX}{port.upper()}_PORT"


def chosen(state: Path, defaults: Mapping[str, int], environment: Mapping[str, str]) -> Layout:
    """The layout that a developer has chosen by `PENSTOCK_LOCAL_<NAME>_PORT`.

    Raises:
        SettingError: A setting is unknown or no port, or two programs were given the same one.
    """
    ports: dict[str, int] = {}
    for name, default in defaults.items():
        text = environment.get(setting_of(name), str(default))
        if not text.isdecimal() or not 0 < int(text) < 1 << 16:
            raise SettingError(f"{setting_of(name)} is {text!r}; it takes a port, 1 to 65535")
        taken_by = next((other for other, port in ports.items() if port == int(text)), None)
        if taken_by is not None:
            raise SettingError(f"{setting_of(name)} and {setting_of(taken_by)} are both {text}; move one of them")
        ports[name] = int(text)
    settings = {setting(field.name): field.name for field in fields(Options)}
    options = {field: environment[setting] for setting, field in settings.items() if setting in environment}
    known = {STATE_SETTING, *settings, *(setting_of(name) for name in defaults)}
    for name in environment:
        if name.startswith(_PREFIX) and name not in known:
            raise SettingError(f"{name} is no setting of the local stack; `make ports` lists those of ports")
    return Layout(state=state.resolve(), ports=ports, options=Options(**options))


def remembered(state: Path, defaults: Mapping[str, int]) -> Layout | None:
    """The layout with which the stack in this folder was last started, or None."""
    try:
        known = json.loads(_memory(state).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Layout(state=state.resolve(), ports={**defaults, **known["ports"]}, options=Options(**known["options"]))


def on_free_ports(state: Path, defaults: Mapping[str, int], options: Options = _DEFAULT_OPTIONS) -> Layout:
    """A layout whose ports are free now, and which no other process is given by this while this one lives."""
    starts = list(_FREE_PORTS[::_BLOCK])
    random.shuffle(starts)
    for start in starts:
        guard = socket.socket()
        try:
            guard.bind((HOST, start))  # never listens; who finds it taken looks for another block
        except OSError:
            guard.close()
            continue
        free = [port for port in range(start + 1, start + _BLOCK) if is_free(port)]
        if len(free) >= len(defaults):
            _guards.append(guard)
            return Layout(state=state.resolve(), ports=dict(zip(defaults, free, strict=False)), options=options)
        guard.close()
    raise StackError(f"no {len(defaults)} ports are free together between {_FREE_PORTS.start} and {_FREE_PORTS.stop}")


def is_free(port: int) -> bool:
    """Whether a program could listen there now."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def _memory(state: Path) -> Path:
    return state / "layout.json"
