"""MongoDB: the connection, and its driver's errors as ours."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.errors import ConnectionFailure, ExecutionTimeout, NetworkTimeout, OperationFailure, PyMongoError
from pymongo.read_preferences import Nearest, Primary, PrimaryPreferred, Secondary, SecondaryPreferred

from shared import observability
from shared.errors import Unavailable, shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from pymongo.asynchronous.database import AsyncDatabase

    from shared.config import Secret

Document = dict[str, Any]
Client = AsyncMongoClient[Document]
ReadMode = Primary | PrimaryPreferred | Secondary | SecondaryPreferred | Nearest

#: What was promised is on the disks of a majority, so that no failover takes it back.
MAJORITY = WriteConcern(w="majority")
#: A secondary that is further behind is not read; MongoDB takes 90 s at least.
_MAX_STALENESS_S = 90
_READ_MODES: Mapping[str, ReadMode] = {
    "primary": Primary(),
    "primaryPreferred": PrimaryPreferred(max_staleness=_MAX_STALENESS_S),
    "secondary": Secondary(max_staleness=_MAX_STALENESS_S),
    "secondaryPreferred": SecondaryPreferred(max_staleness=_MAX_STALENESS_S),
    "nearest": Nearest(max_staleness=_MAX_STALENESS_S),
}

#: For finding the primary, for one connection and for one command.
TIMEOUT = timedelta(seconds=5)
_RETRY_AFTER = timedelta(seconds=1)
#: The server's errors that our user or its password is unknown, or may not do this; an operator can mend both.
_REFUSALS = frozenset({13, 18})
#: That the collection was dropped or swapped for another one while it was read or written.
_SWAPPED = frozenset({43, 175})

log = observability.logger()
T = TypeVar("T")


async def connect(url: Secret) -> Client:
    """A client of a replica set that has answered once; writes are acknowledged by a majority.

    Args:
        url: `mongodb://[user:password@]host:port/?replicaSet=…`.

    Raises:
        Unavailable: No primary answers.
    """
    milliseconds = int(TIMEOUT.total_seconds() * 1000)
    client: Client = AsyncMongoClient(
        url.reveal(),
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=milliseconds,
        socketTimeoutMS=milliseconds,
        w="majority",
        tz_aware=True,
    )
    try:
        await ping(client)
    except BaseException:  # or its monitors would go on trying, one client more with every try
        await client.close()
        raise
    return client


def database(client: Client, name: str) -> AsyncDatabase[Document]:
    """A database whose times are read as UTC, and whose writes a majority acknowledges, whatever the URL says."""
    return client.get_database(
        name,
        codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
        read_preference=ReadPreference.PRIMARY,
        write_concern=MAJORITY,
    )


def read_mode(name: str) -> ReadMode:
    """Where is read what may be a little old, by MongoDB's name of it.

    Raises:
        ValueError: It is none; to be read behind the name of a setting.
    """
    mode = _READ_MODES.get(name)
    if mode is None:
        raise ValueError(f"is {shown(name)}; it takes {', '.join(_READ_MODES)}")
    return mode


async def ping(client: Client) -> None:
    """Tries the connection to the primary.

    Raises:
        Unavailable: It does not answer.
    """
    async with translated():
        await client.admin.command("ping")


async def close(client: Client) -> None:
    """Closes every connection."""
    await client.close()


class SwappedError(Unavailable):
    """What was read or written has gone, and another collection has come under its name."""


async def steadily(read: Callable[[], Awaitable[T]]) -> T:
    """Reads, and once again where another collection came in the place of the one that was read.

    Raises what `translated` does.

    Args:
        read: Sends the command anew each time that it is called.
    """
    try:
        async with translated():
            return await read()
    except SwappedError:
        async with translated():
            return await read()


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Raises the driver's errors as `Unavailable`, where repeating the call may help; so too refusals."""
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, NetworkTimeout) as error:
        raise unavailable("does not answer") from error
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code in _REFUSALS:
            log.warning("mongodb_refused", error=str(error).split(",")[0])  # what follows are the values of the command
            raise unavailable("refuses this service") from error
        if isinstance(error, OperationFailure) and error.code in _SWAPPED:
            raise SwappedError(
                "MongoDB has another collection in the place of this one; the call may be repeated"
            ) from error
        if error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError"):
            raise unavailable("does not answer") from error
        raise


def unavailable(what: str) -> Unavailable:
    """The error of a call that may be repeated.

    Args:
        what: MongoDB does, or does not.
    """
    return Unavailable(
        f"MongoDB {what}; the call may be repeated",
        metadata={"dependency": "mongodb"},
        retry_after=_RETRY_AFTER,
    )
