"""MongoDB: the connection, and its driver's errors as ours."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, ExecutionTimeout, NetworkTimeout, OperationFailure, PyMongoError

from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pymongo.asynchronous.database import AsyncDatabase

    from shared.config import Secret

Document = dict[str, Any]
Client = AsyncMongoClient[Document]

#: For finding the primary, for one connection and for one command.
TIMEOUT = timedelta(seconds=5)
_RETRY_AFTER = timedelta(seconds=1)
#: The server's errors that our user or its password is unknown, or may not do this; an operator can mend both.
_REFUSALS = frozenset({13, 18})

log = observability.logger()


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
    """A database whose times are read as UTC."""
    return client.get_database(name, codec_options=CodecOptions(tz_aware=True, tzinfo=UTC))


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


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Raises the driver's errors as `Unavailable`, where repeating the call may help; so too refusals."""
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, NetworkTimeout) as error:
        raise _unavailable("does not answer") from error
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code in _REFUSALS:
            log.warning("mongodb_refused", error=str(error).split(",")[0])  # what follows are the values of the command
            raise _unavailable("refuses this service") from error
        if error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError"):
            raise _unavailable("does not answer") from error
        raise


def _unavailable(what: str) -> Unavailable:
    return Unavailable(
        f"MongoDB {what}; the call may be repeated",
        metadata={"dependency": "mongodb"},
        retry_after=_RETRY_AFTER,
    )
