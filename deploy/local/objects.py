"""The object store: SeaweedFS, all of its parts in one process, and who it knows."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from deploy.local import keys, servers
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
_USER = "penstock"


def prepare(layout: Layout) -> None:
    """Makes its folder, and tells it of its one user."""
    servers.make_data_folder(layout, "objects")
    user = {
        "name": _USER,
        "credentials": [
            {
                "accessKey": keys.objects_access_key_file(layout.secrets).read_text(encoding="utf-8").strip(),
                "secretKey": keys.objects_secret_key_file(layout.secrets).read_text(encoding="utf-8").strip(),
            }
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    write_private(_users_file(layout), json.dumps({"identities": [user]}) + "\n")


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


def settings(layout: Layout) -> Mapping[str, str]:
    """What services are told of it."""
    return {
        "PENSTOCK_OBJECTS_URL": layout.objects_url,
        # It keeps its bucket's rules, and leaves it to a worker of its own to go by them, which does not run here.
        "PENSTOCK_OBJECTS_SWEEP_INTERVAL": "1h",
        "PENSTOCK_OBJECTS_ACCESS_KEY_FILE": str(keys.objects_access_key_file(layout.secrets)),
        "PENSTOCK_OBJECTS_SECRET_KEY_FILE": str(keys.objects_secret_key_file(layout.secrets)),
    }


def _users_file(layout: Layout) -> Path:
    return layout.secrets / "objects-users.json"
