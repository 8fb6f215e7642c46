"""Redis: the connection, Lua scripts, and its driver's errors as ours."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import hiredis
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from shared import observability
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from shared.config import Secret

log = observability.logger()

Client = redis.Redis
Argument = str | bytes | int | float

#: For one round trip, and for one connection; a script takes well under a millisecond.
TIMEOUT = timedelta(seconds=5)
#: A script's first part where it needs the time: Redis' own, `read_clock()`.
CLOCK = Path(__file__).parent / "lua" / "time.lua"
#: Connections of a pool; a command waits for a free one.
MAX_CONNECTIONS = 32
_RETRY_AFTER = timedelta(seconds=1)
#: What a server answers that is starting, failing over, full or not the primary any more.
_NOT_READY = ("OOM", "LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MOVED", "UNBLOCKED")


async def connect(url: Secret) -> Client:
    """A pool of connections to a server that has answered once.

    Args:
        url: As for `client`.

    Raises:
        Unavailable: The server does not answer.
    """
    connected = client(url)
    await ping(connected)
    return connected


def client(url: Secret) -> Client:
    """A pool of connections that are made when they are needed.

    Args:
        url: `redis://[user:password@]host:port/database`.
    """
    seconds = TIMEOUT.total_seconds()
    pool = redis.BlockingConnectionPool.from_url(
        url.reveal(),
        max_connections=MAX_CONNECTIONS,
        timeout=None,  # `translated` sees to it: of the driver's own timeouts each costs a task or a timer a command
        socket_timeout=None,
        socket_connect_timeout=seconds,
        # what the driver would tell and ask the server beside, by commands that a service's user need not have
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        retry=Retry(NoBackoff(), 1),  # once, for a connection that the server has closed since its last use
        retry_on_error=[RedisConnectionError],
    )
    return redis.Redis(connection_pool=pool)


async def ping(client: Client) -> None:
    """Tries the connection.

    Raises:
        Unavailable: The server does not answer.
    """
    async with translated():
        await cast("Any", client.ping())


async def close(client: Client) -> None:
    """Closes every connection of the pool."""
    await client.aclose(close_connection_pool=True)


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Raises the driver's errors as `Unavailable`, where repeating the call may help; so too after `TIMEOUT`."""
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            yield
    except AuthenticationError as error:
        log.warning("redis_refused", error=str(error))
        raise _unavailable("Redis refuses this service") from error
    except (RedisConnectionError, RedisTimeoutError, TimeoutError) as error:
        raise _unavailable("Redis does not answer") from error
    except RedisError as error:
        if str(error).startswith(_NOT_READY):
            raise _unavailable("Redis is not ready") from error
        raise
    task = asyncio.current_task()
    if task is not None and task.cancelling():  # before Python 3.12 what drivers wait by may lose a cancel
        raise asyncio.CancelledError


def _unavailable(what: str) -> Unavailable:
    return Unavailable(f"{what}; the call may be repeated", metadata={"dependency": "redis"}, retry_after=_RETRY_AFTER)


class Script:
    """A Lua script, called by its hash; a server that does not know it yet is told it.

    Args:
        paths: Its parts, in order: what several scripts share comes first.
    """

    def __init__(self, *paths: Path) -> None:
        self._text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
        self._hash = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Runs the script; the answer is as Redis gives it: integers, bytes, lists, None.

        Raises:
            Unavailable: The server is away. The script may have run.
        """
        (answer,) = await self.run_many(client, [(keys, arguments)])
        return answer

    async def run_many(self, client: Client, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Runs the script many times in one round trip, each with its own keys; every call stands alone.

        Raises:
            Unavailable: The server is away. Any of the calls may have run.
        """
        pack = cast("Any", hiredis.pack_command)  # its own type admits only a tuple of one
        commands = b"".join([pack(("EVALSHA", self._hash, len(keys), *keys, *arguments)) for keys, arguments in calls])
        async with translated():
            try:
                return await _exchanged(client, commands, len(calls))
            except NoScriptError:
                await client.script_load(self._text)
            try:
                return await _exchanged(client, commands, len(calls))
            except NoScriptError as error:  # the server was started anew in between
                raise _unavailable("Redis was started anew") from error


async def _exchanged(client: Client, commands: bytes, count: int) -> list[Any]:
    """The answers to so many commands; straight on a connection, for the driver's pipelines cost four times that."""
    try:
        return await _exchange(client, commands, count)
    except RedisConnectionError:  # once, for a connection that the server has closed since its last use
        return await _exchange(client, commands, count)


async def _exchange(client: Client, commands: bytes, count: int) -> list[Any]:
    pool = cast("Any", client.connection_pool)  # the driver's own types of a pool say little of its connections
    connection = await pool.get_connection()
    try:
        await connection.send_packed_command(commands)
        answers = [await _answer(connection) for _ in range(count)]  # all of them are read, whatever they say
    finally:
        await pool.release(connection)
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return answers


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
