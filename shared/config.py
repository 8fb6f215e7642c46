"""Settings: one frozen class a service, read once from the environment, with every mistake reported together."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "PENSTOCK_"
#: Names that clients of Penstock read (`.penstock/dev.env`), so that a service may find them in its environment too.
CLIENT_NAMES = frozenset({"PENSTOCK_URL", "PENSTOCK_API_KEY", "PENSTOCK_WEBHOOK_SECRET"})
#: Where the local stack shows its documentation.
DOCS_URL = "http://127.0.0.1:8080/docs"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MAX_PORT = 65535
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Secret:
    """A text that shows itself only when asked to: not in logs, not in tracebacks, not in `--print-config`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Environment(StrEnum):
    """What a process runs for."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What every service is told; the field `grpc_address` is the variable `PENSTOCK_GRPC_ADDRESS`."""

    #: Where the service answers gRPC.
    grpc_address: str
    #: Where it answers `GET /metrics` to Prometheus; empty for nowhere.
    metrics_address: str = ""
    #: The public keys of all who may sign identity tokens (a JWK set, RFC 7517), each under its issuer's name as `kid`.
    identity_keys_file: Path
    #: The service's own private key (Ed25519, PEM), with which it signs its calls to other services.
    service_key: Secret
    #: The least severe log lines that are written: debug, info, warning or error.
    log_level: str = "info"
    #: The OpenTelemetry collector (OTLP over gRPC, `host:port`) that gets the spans; empty for none.
    otlp_address: str = ""
    #: Copies of each JetStream stream, 1 or 3; the same for every service, since any of them makes the streams.
    stream_replicas: int = 1
    #: Bytes of each stream at most; when it is full, submits are refused and nothing is dropped.
    stream_max_bytes: int = 8 * 1024**3
    #: Where the pages of the documentation are; each error links to its own, `<docs url>/errors/<REASON>`.
    docs_url: str = DOCS_URL
    #: What the process runs for: production, development or test.
    environment: Environment = Environment.PRODUCTION
    #: The folder in which a test arms crash points; only where the environment is test.
    crash_points: str = ""
    #: How long begun calls may go on after SIGTERM.
    drain_timeout: timedelta = timedelta(seconds=30)

    def mistakes_of_loopback(self, *, allowed: bool) -> list[str]:
        """What is wrong with letting calls lead to this machine, whose other programs take whoever comes."""
        if allowed and self.environment is Environment.PRODUCTION:
            return [
                "PENSTOCK_ALLOW_LOOPBACK is true, and PENSTOCK_ENVIRONMENT is production; unset it, or name another"
            ]
        return []

    def mistakes_of_webhook_ports(self, ports: tuple[int, ...]) -> list[str]:
        """What is wrong with the ports that webhooks may go to."""
        if not ports:
            return ["PENSTOCK_WEBHOOK_PORTS is empty; it takes ports, with commas between them, such as 443,8443"]
        return [
            f"PENSTOCK_WEBHOOK_PORTS names port {port}; a port is 1 to {_MAX_PORT}"
            for port in ports
            if not 1 <= port <= _MAX_PORT
        ]


class ConfigError(Exception):
    """The environment holds mistakes.

    Args:
        mistakes: Each names a variable, its value where it is no secret, and what is wanted.
    """

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


ConfigT = TypeVar("ConfigT", bound=ServiceConfig)
SettingsT = TypeVar("SettingsT")


def load(config_class: type[SettingsT], environment: Mapping[str, str], *, prefix: str = PREFIX) -> SettingsT:
    """Reads the settings of a process into their dataclass.

    Every field `name` is the variable `PENSTOCK_NAME`; a `Secret` may be given as `PENSTOCK_NAME_FILE`, a path.

    Args:
        config_class: The frozen dataclass.
        environment: The variables.
        prefix: What the variables' names begin with, where a process has a family of names of its own.

    Raises:
        ConfigError: A variable is missing, malformed or unknown; every such mistake is named.
    """
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    known = set(CLIENT_NAMES)
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):  # pyright: ignore[reportArgumentType]  no type says "a dataclass"
        name = prefix + field.name.upper()
        known |= {name, f"{name}_FILE"} if hints[field.name] is Secret else {name}
        try:
            text = _text(name, hints[field.name], environment)
            if text is not None:
                values[field.name] = _parse(hints[field.name], text)
            elif field.default is dataclasses.MISSING:
                mistakes.append(f"{name} is not set; it has no default")
        except (ValueError, OSError) as error:
            mistakes.append(f"{name} {error}")
    mistakes += [
        f"{name} is not a setting of this service; remove it or mend its spelling"
        for name in sorted(environment)
        if name.startswith(prefix) and name not in known
    ]
    if mistakes:
        raise ConfigError(mistakes)
    return config_class(**values)


def describe(config: ServiceConfig) -> str:
    """The settings as `NAME=value` lines, with secrets struck out."""
    lines: list[str] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        lines.append(f"{PREFIX}{field.name.upper()}={_show(value)}")
    return "\n".join(lines)


def _text(name: str, kind: type, environment: Mapping[str, str]) -> str | None:
    """The variable's text, or that of the file it names."""
    if kind is Secret and f"{name}_FILE" in environment:
        if name in environment:
            raise ValueError(f"and {name}_FILE are both set; keep one")
        return Path(environment[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
    return environment.get(name)


def _parse(kind: Any, text: str) -> Any:  # the type is only known at run time
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(_parse(item, part.strip()) for part in text.split(",") if part.strip())
    parser = _PARSERS.get(kind)
    if parser is None:
        raise TypeError(f"settings of type {kind} have no parser")
    return parser(text)


def _show(value: object) -> str:
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.12g}s"  # a short one writes days as 7.776e+06
    if isinstance(value, tuple):
        return ",".join(_show(part) for part in typing.cast("tuple[object, ...]", value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"is {text!r}; it takes a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"is {text!r}; it takes a number") from None


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(f"is {text!r}; it takes true or false") from None


def _environment(text: str) -> Environment:
    try:
        return Environment(text)
    except ValueError:
        raise ValueError(f"is {text!r}; it takes {', '.join(Environment)}") from None


def duration(text: str) -> timedelta:
    """A span of time as settings and data files write it.

    Raises:
        ValueError: It is none; to be read behind its name.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"is {text!r}; it takes a number with its unit, ms, s, m, h or d, such as 30s")
    return timedelta(seconds=float(match[1]) * _DURATION_UNITS[match[2]])


_PARSERS: Mapping[Any, Callable[[str], Any]] = types.MappingProxyType(
    {
        str: str,
        int: _integer,
        float: _number,
        bool: _boolean,
        timedelta: duration,
        Path: Path,
        Environment: _environment,
        Secret: Secret,
    }
)
