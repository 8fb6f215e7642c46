"""What the commands are told, and what a backup says of itself."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from deploy.backup import __main__ as command
from deploy.backup import config, creating, fingerprints, manifest, nats_streams, packing
from deploy.backup.config import PARTS
from deploy.backup.errors import DamagedError
from deploy.backup.manifest import File, Keys, Manifest
from shared.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STORE = {
    "PENSTOCK_BACKUP_OBJECTS_URL": "http://store:8333",
    "PENSTOCK_BACKUP_OBJECTS_ACCESS_KEY": "backup",
    "PENSTOCK_BACKUP_OBJECTS_SECRET_KEY": "secret",
}


def test_all_mistakes_are_reported_together() -> None:
    told = {"PENSTOCK_BACKUP_OBJECTS_URL": "store", "PENSTOCK_BACKUP_DAYLY": "30", "PENSTOCK_BACKUP_DAILY": "many"}
    with pytest.raises(ConfigError) as failure:
        config.load(told, parts=PARTS)
    said = str(failure.value)
    for name in ("DAYLY is not a setting", "DAILY is 'many'", "OBJECTS_ACCESS_KEY is not set", "NATS_URL is not set"):
        assert f"PENSTOCK_BACKUP_{name}" in said
    wrong = STORE | {
        "PENSTOCK_BACKUP_OBJECTS_URL": "store",
        "PENSTOCK_BACKUP_KEY_FILES": "pepper,sealing=/nowhere",
        "PENSTOCK_BACKUP_MONTHLY": "-1",
        "PENSTOCK_BACKUP_STREAM_REPLICAS": "2",
        "PENSTOCK_BACKUP_RESTORE_ADDRESS": "here",
    }
    with pytest.raises(ConfigError) as failure:
        config.load(wrong)
    assert len(failure.value.mistakes) == 6


def test_who_lists_needs_no_server_but_the_store() -> None:
    assert config.load(STORE).objects.bucket == "penstock-backups"


def test_the_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = capsys.readouterr().out
    assert [name for name in config.Config.__dataclass_fields__ if name.upper() not in said] == []


def test_consumers_that_write_to_mongodb_are_those_of_the_table() -> None:
    assert {("JOBS", "history"), ("JOBS", "webhooks"), ("NOTICES", "webhooks-notices"), ("AUDIT", "auth")} <= set(
        creating.consumers_into_mongodb()
    )


def a_manifest(**changed: Any) -> Manifest:
    values: dict[str, Any] = {
        "name": "20261127T020000Z",
        "began_at": datetime(2026, 11, 27, 2, tzinfo=UTC),
        "ended_at": datetime(2026, 11, 27, 2, 1, tzinfo=UTC),
        "servers": {"redis": "6.2.14"},
        "redis": "redis/dump.rdb.gz",
        "streams": [manifest.StreamPart(name="JOBS", config={"name": "JOBS"}, state={"messages": 3}, file="nats/JOBS")],
        "acknowledged": {"JOBS/history": 2},
        "collections": [
            manifest.CollectionPart(
                database="auth", name="keys", options="{}", indexes="[]", documents=1, file="mongodb/a"
            )
        ],
        "cluster_time": 1,
        "keys": Keys(salt="00", fingerprints={}),
        "files": [File(name="redis/dump.rdb.gz", bytes=10, sha256="ab", content_bytes=20)],
    }
    return Manifest(**values | changed)


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert manifest.read(manifest.dump(a_manifest()), name="20261127T020000Z") == a_manifest()


@pytest.mark.parametrize("text", [b"", b"[]", b'{"format": 1}', b"{", b'{"format": 2}'])
def test_what_is_no_manifest_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(DamagedError, match="20261127T020000Z"):
        manifest.read(text, name="20261127T020000Z")


def test_a_manifest_that_lacks_a_file_says_which() -> None:
    with pytest.raises(DamagedError, match="lacks its file nats/JOBS"):
        a_manifest().file("nats/JOBS")


def test_fingerprints_tell_keys_apart_and_differ_from_backup_to_backup(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("key\n")
    (tmp_path / "two").write_text("another key")
    first, second = (fingerprints.of({"pepper": tmp_path / "one"}) for _ in range(2))
    assert first.fingerprints != second.fingerprints
    assert fingerprints.differing(first, {"pepper": tmp_path / "one", "new": tmp_path / "two"}) == []
    assert len(fingerprints.differing(first, {"pepper": tmp_path / "two"})) == 1
    assert len(fingerprints.differing(first, {})) == 1
    assert "key" not in json.dumps(first.fingerprints)


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_what_is_packed_is_unpacked_in_pieces_and_an_end_that_is_missing_is_told() -> None:
    packed = b"".join([chunk async for chunk in packing.packed(_chunks(bytes(3_000_000), b"end"))])
    pieces = [piece async for piece in packing.unpacked(_chunks(packed), what="it")]
    assert b"".join(pieces) == bytes(3_000_000) + b"end"
    assert max(map(len, pieces)) <= 1024 * 1024
    for damaged in (packed[:-4], b"no gzip", packed[:100] + b"x" + packed[101:]):
        with pytest.raises(DamagedError, match="it cannot be unpacked"):
            assert [piece async for piece in packing.unpacked(_chunks(damaged), what="it")] == []


class _Message:
    def __init__(self, data: bytes, reply: str, headers: dict[str, str] | None = None) -> None:
        self.data, self.reply, self.headers = data, reply, headers


class _Client:
    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.told = asyncio.Event()

    async def publish(self, subject: str) -> None:
        self.acknowledged.append(subject)
        self.told.set()


async def test_chunks_are_acknowledged_also_while_nobody_takes_any() -> None:
    """NATS gives up on who is silent for 5 s, and an object store may stand still longer."""
    client: Any = _Client()
    chunks: Any = nats_streams._Chunks(client, patience=timedelta(milliseconds=1))
    for number in range(3):
        await chunks.come(_Message(b"data", f"ack.{number}"))
    taken = chunks.taken("JOBS")
    assert await anext(taken) == b"data"
    await asyncio.wait_for(client.told.wait(), 10)
    assert client.acknowledged[0] == "ack.0"
    await taken.aclose()


@pytest.mark.parametrize(("headers", "said"), [(None, ""), ({"Status": "204"}, ""), ({"Status": "408"}, "gives up")])
async def test_the_end_of_a_snapshot_says_whether_it_is_whole(headers: dict[str, str] | None, said: str) -> None:
    client: Any = _Client()
    chunks: Any = nats_streams._Chunks(client)
    await chunks.come(_Message(b"", "", headers))
    if not said:
        assert [chunk async for chunk in chunks.taken("JOBS")] == []
        return
    with pytest.raises(nats_streams.BackupError, match=said):
        assert [chunk async for chunk in chunks.taken("JOBS")] == []
