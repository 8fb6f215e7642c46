"""What a backup says of itself: written last, so that what has none is no backup."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy.backup.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of the layout of a backup; another one is not read.
FORMAT = 1
MANIFEST = "manifest.json"
_NAME_FORM = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a backup.

    Args:
        name: Below the backup's own key.
        bytes: As it lies in the store.
        sha256: Of those, in hexadecimal.
        content_bytes: Once it is unpacked.
    """

    name: str
    bytes: int
    sha256: str
    content_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPart:
    """A stream of NATS, or a bucket.

    Args:
        name: Of the stream.
        config: As the server tells it, and takes it back.
        state: The same.
        file: The server's own snapshot, messages and consumers.
    """

    name: str
    config: Mapping[str, Any]
    state: Mapping[str, Any]
    file: str

    @property
    def messages(self) -> int:
        """How many it had."""
        return int(self.state.get("messages", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionPart:
    """A collection of MongoDB.

    Args:
        options: As it was made with, in MongoDB's extended JSON.
        indexes: But for that of `_id`, in the same.
        documents: How many.
        file: Their BSON, one after the other, compressed.
    """

    database: str
    name: str
    options: str
    indexes: str
    documents: int
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """By what it is seen that a mesh has other keys than the one whose backup this is.

    Args:
        salt: In hexadecimal.
        fingerprints: By the name of the key.
    """

    salt: str
    fingerprints: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A backup.

    Args:
        format: Of its layout.
        name: Its time.
        began_at: What happened later may not be in it.
        ended_at: When the last of it was read.
        servers: Their versions.
        redis: The file with what Redis held.
        streams: In the order in which they were read.
        acknowledged: Up to which sequence the consumers, `<stream>/<consumer>`, of what MongoDB holds had been handled
            when it was read: what comes after has to be handled again.
        collections: Of MongoDB.
        cluster_time: Of MongoDB's snapshot, in seconds since the epoch.
        keys: Of the mesh.
        files: All of them.
    """

    format: int = FORMAT
    name: str
    began_at: datetime
    ended_at: datetime
    servers: Mapping[str, str]
    redis: str
    streams: Sequence[StreamPart]
    acknowledged: Mapping[str, int]
    collections: Sequence[CollectionPart]
    cluster_time: int
    keys: Keys
    files: Sequence[File] = field(default_factory=tuple)

    @property
    def bytes(self) -> int:
        """What it takes in the store."""
        return sum(file.bytes for file in self.files)

    def file(self, name: str) -> File:
        """One of its files.

        Raises:
            DamagedError: It says that there is such a file, and not which.
        """
        for file in self.files:
            if file.name == name:
                return file
        raise DamagedError(f"the manifest of {self.name} lacks its file {name}")


def name_at(time: datetime) -> str:
    """The name of the backup that is begun then."""
    return time.astimezone(UTC).strftime(_NAME_FORM)


def time_of(name: str) -> datetime | None:
    """When a backup of this name was begun; None where it is no such name."""
    try:
        return datetime.strptime(name, _NAME_FORM).replace(tzinfo=UTC)
    except ValueError:
        return None


def dump(manifest: Manifest) -> bytes:
    """Its form in the store."""
    values = dataclasses.asdict(manifest)
    values["began_at"], values["ended_at"] = manifest.began_at.isoformat(), manifest.ended_at.isoformat()
    return json.dumps(values, indent=1).encode() + b"\n"


def read(text: bytes, *, name: str) -> Manifest:
    """A manifest from the store.

    Args:
        text: What is there.
        name: Of its backup.

    Raises:
        DamagedError: It is none, or of another format.
    """
    try:
        values = json.loads(text)
        if values["format"] != FORMAT:
            known = f"this version reads {FORMAT}"
            raise DamagedError(
                f"the backup {name} has the format {values['format']}; {known}: use the one that made it"
            )
        values["streams"] = [StreamPart(**each) for each in values["streams"]]
        values["collections"] = [CollectionPart(**each) for each in values["collections"]]
        values["files"] = [File(**each) for each in values["files"]]
        values["keys"] = Keys(**values["keys"])
        for time in ("began_at", "ended_at"):
            values[time] = datetime.fromisoformat(values[time])
        return Manifest(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"the manifest of {name} cannot be read: {error}") from error
