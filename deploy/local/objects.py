"""The object store: SeaweedFS, all of its parts in one process, who it knows, and its bucket."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from deploy.access import backup
from deploy.access.objects import policy
from deploy.access.rights import OPERATOR, SERVICES
from deploy.local import servers
from deploy.local.layout import BIN, HOST
from deploy.local.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.local.layout import Layout

#: Where it is asked, and where its parts ask each other.
PORTS: Mapping[str, int] = MappingProxyType(
    {
        "objects": 18333,
        "objects_grpc": 18334,
        "objects_master": 18335,
        "objects_master_grpc": 18336,
        "objects_volume": 18337,
        "objects_volume_grpc": 18338,
        "objects_filer": 18339,
        "objects_filer_grpc": 18340,
    }
)
#: Of one file in which objects lie; there are as many as the disk has room for.
_VOLUME_MB = 256
#: Where it puts the sockets by which its parts ask each other, and nowhere else.
_SOCKETS = Path("/tmp")  # noqa: S108  it is written so in its code
_TIMEOUT_S = 1.0
_SIGNING_BYTES = 32


def prepare(layout: Layout) -> None:
    """Makes its folder, and tells it of its users: services by their policies, which it goes by as written."""
    servers.make_data_folder(layout, "objects")
    users = [_user(layout, OPERATOR) | {"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
    policies: list[dict[str, str]] = []
    for service in SERVICES:
        if service.objects is not None:
            users.append(_user(layout, service.name) | {"policyNames": [service.name]})
            policies.append({"name": service.name, "content": json.dumps(policy(service.objects))})
    users.append(_user(layout, backup.USER) | {"policyNames": [backup.USER]})
    policies.append({"name": backup.USER, "content": json.dumps(backup.policy())})
    write_private(_users_file(layout), json.dumps({"identities": users, "policies": policies}) + "\n")
    folder = _home(layout) / ".seaweedfs"
    for each in (_home(layout), folder):
        each.mkdir(mode=0o700, exist_ok=True)
    sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    signed = [f'[{section}]\nkey = "{secrets.token_urlsafe(_SIGNING_BYTES)}"\n' for section in sections]
    write_private(folder / "security.toml", "".join(signed))


def environment(layout: Layout) -> Mapping[str, str]:
    """Where it finds how its parts know each other; the files that it would serve to anyone it then serves to none."""
    return {"HOME": str(_home(layout))}


def command(layout: Layout) -> Sequence[str]:
    """Starts it on this machine alone; it tells nobody of itself, and logs what matters."""
    ports = layout.ports
    return (
        *(str(BIN / "weed"), "-logtostderr=true", "server"),
        *(f"-ip={HOST}", f"-ip.bind={HOST}", f"-dir={servers.data_folder(layout, 'objects')}"),
        *(f"-master.port={ports['objects_master']}", f"-master.port.grpc={ports['objects_master_grpc']}"),
        *("-master.telemetry=false", f"-master.volumeSizeLimitMB={_VOLUME_MB}"),
        "-master.electionTimeout=200ms",  # there is nobody else to elect; the default has a restart take 10 s longer
        *(f"-volume.port={ports['objects_volume']}", f"-volume.port.grpc={ports['objects_volume_grpc']}"),
        "-volume.max=0",
        *("-filer", f"-filer.port={ports['objects_filer']}", f"-filer.port.grpc={ports['objects_filer_grpc']}"),
        *("-s3", f"-s3.port={ports['objects']}", f"-s3.port.grpc={ports['objects_grpc']}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={_users_file(layout)}"),
    )


def clear(layout: Layout) -> None:
    """Removes its sockets, which it leaves behind."""
    ports = layout.ports
    names = [f"{part}-grpc-{ports[f'objects_{part}_grpc']}" for part in ("master", "volume", "filer")]
    names += [f"filer-{ports['objects_filer']}", f"s3-{ports['objects']}", f"s3-grpc-{ports['objects_grpc']}"]
    for name in names:
        (_SOCKETS / f"seaweedfs-{name}.sock").unlink(missing_ok=True)


def check(layout: Layout) -> None:
    """Raises OSError where it does not answer; makes the bucket, which no service may.

    That it wants a signature is an answer.
    """
    try:
        with urllib.request.urlopen(f"http://{layout.address('objects')}/", timeout=_TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != HTTPStatus.FORBIDDEN:
            raise
    from deploy.local import bucket  # noqa: PLC0415  the driver takes a third of a second, and most commands need it not

    bucket.make(layout)


def _user(layout: Layout, name: str) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": name, "secretKey": layout.password("objects", name)}]}


def _home(layout: Layout) -> Path:
    return layout.secrets / "objects"


def _users_file(layout: Layout) -> Path:
    return layout.secrets / "objects-users.json"
