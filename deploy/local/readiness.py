"""Whether the programs that are not ours answer."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from deploy.access.rights import OPERATOR
from deploy.local import trust
from deploy.local.layout import HOST

if TYPE_CHECKING:
    from deploy.local.layout import Layout

_TIMEOUT_S = 1.0
#: Longer than the site takes to ask everyone.
_READYZ_TIMEOUT_S = 5.0
_READY = "ready"


def check_nats(layout: Layout) -> None:
    """Raises OSError where NATS does not greet."""
    _expect(layout.ports["nats"], b"", b"INFO ")


def check_redis(layout: Layout) -> None:
    """Raises OSError where Redis does not answer a ping, or still loads."""
    login = f"AUTH {OPERATOR} {layout.password('redis', OPERATOR)}\r\n"
    _expect(layout.ports["redis"], login.encode() + b"PING\r\n", b"+OK\r\n+PONG")


def check_httpbin(layout: Layout) -> None:
    """Raises OSError where httpbin does not answer."""
    with urllib.request.urlopen(f"http://{layout.address('httpbin')}/get", timeout=_TIMEOUT_S):
        return


def check_gateway(layout: Layout) -> None:
    """Raises OSError where the mesh is not ready, naming what is not; also where it would do without a server."""
    ready, parts = ready_parts(layout)
    if not ready or any(answer != _READY for answer in parts.values()):
        raise ConnectionError(", ".join(f"{name} ({answer})" for name, answer in parts.items() if answer != _READY))


def ready_parts(layout: Layout, *, port: str = "gateway") -> tuple[bool, dict[str, str]]:
    """Whether the mesh is ready, and how each part of it stands, by the `/readyz` of the gateway or of the site."""
    try:
        gateway = port == "gateway"
        url = layout.url if gateway else f"http://{layout.address(port)}"
        trusted = trust.context(layout) if gateway else None
        with urllib.request.urlopen(f"{url}/readyz", timeout=_READYZ_TIMEOUT_S, context=trusted) as answer:  # noqa: S310  our own address
            return True, _parts(answer.read())
    except urllib.error.HTTPError as error:
        return False, _parts(error.read())
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return False, {port: " ".join(str(reason).split())}


def _parts(body: bytes) -> dict[str, str]:
    """Each service by its name, and what it lacks."""
    try:
        services: dict[str, dict[str, Any]] = json.loads(body)["services"]
    except (ValueError, KeyError, TypeError):  # Envoy's own answer while the site is away
        return {"site": "does not answer"}
    return {name: _standing(service) for name, service in services.items()}


def _standing(service: dict[str, Any]) -> str:
    away = " and ".join(name for name, there in service.get("dependencies", {}).items() if not there)
    if service["ready"]:
        return f"ready, without {away}" if away else _READY
    return f"waits for {away}" if away else service.get("error") or "not ready"


def _expect(port: int, request: bytes, answer: bytes) -> None:
    with socket.create_connection((HOST, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(request)
        answered = b""
        while len(answered) < len(answer) and (more := connection.recv(64)):
            answered += more
        if not answered.startswith(answer):
            raise ConnectionError("it does not answer as it should")
