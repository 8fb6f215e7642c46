"""The driver: clients of one store, their times, and their errors as ours."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from shared import aws
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from shared.objects.settings import ObjectSettings

#: For one request but for those that carry or copy much.
TIMEOUT = timedelta(seconds=10)
#: A copy within the store: 100 MiB at 5 MB/s, which is slow.
COPY_TIMEOUT = timedelta(seconds=20)
#: For the bytes of a stream to move at all.
STALL_TIMEOUT = timedelta(seconds=20)
CONNECT_TIMEOUT_S = 2.0
#: Requests to the store at a time; more of them wait.
MAX_CONNECTIONS = 64
RETRY_AFTER = timedelta(seconds=1)
#: Less than the 60 s after which the commonest stores and proxies before them hang up.
_KEEPALIVE_S = 20.0
_NOT_FOUND = frozenset({"NoSuchKey", "NotFound", "404", "NoSuchUpload"})
#: Refusals that may pass, or that an operator can mend without a new start of ours.
_MAY_PASS = frozenset(
    {
        "403",
        "AccessDenied",
        "BadDigest",
        "IncompleteBody",
        "InvalidAccessKeyId",
        "NoSuchBucket",
        "OperationAborted",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "SignatureDoesNotMatch",
        "SlowDown",
        "TooManyRequests",
    }
)
_AWAY = (HTTPClientError, BotoConnectionError, aiohttp.ClientError, TimeoutError, OSError)


class ObjectNotFoundError(Exception):
    """There is no object under this key."""


class ObjectTooLargeError(Exception):
    """The object has more bytes than were asked for at most."""


async def open_clients(settings: ObjectSettings, resources: AsyncExitStack) -> tuple[Any, Any]:
    """The driver's clients: one that asks the store, and one that signs links for the store's clients.

    Args:
        settings: Of the store.
        resources: Closes them.
    """
    session = await aws.common_session_for("s3")
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 2, "mode": "standard"},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=TIMEOUT.total_seconds(),
        max_pool_connections=MAX_CONNECTIONS,
        connector_args={"keepalive_timeout": _KEEPALIVE_S},
        proxies={},  # the environment's are for others
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )

    async def client(url: str) -> Any:
        return await resources.enter_async_context(
            session.create_client(
                "s3",
                endpoint_url=url,
                region_name=settings.region,
                aws_access_key_id=settings.access_key.reveal(),
                aws_secret_access_key=settings.secret_key.reveal(),
                config=config,
            )
        )

    asking = await client(settings.url)
    return asking, asking if settings.public_url == settings.url else await client(settings.public_url)


def http_session() -> aiohttp.ClientSession:
    """For streams, by signed links: their bytes are neither gathered nor hashed."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=_KEEPALIVE_S),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=STALL_TIMEOUT.total_seconds()
        ),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("Content-Type",),  # what is not signed is not sent
    )


@asynccontextmanager
async def translated(key: str = "", *, within: timedelta | None = TIMEOUT) -> AsyncGenerator[None]:
    """Raises the driver's errors as ours.

    Args:
        key: What is asked for.
        within: How long it may take; None where the caller sees to that.

    Raises:
        ObjectNotFoundError: There is nothing under the key.
        Unavailable: The store is away, or refuses for a reason that may pass.
    """
    try:
        async with asyncio.timeout(within.total_seconds() if within is not None else None):
            yield
    except ClientError as error:
        answer = cast("dict[str, Any]", error.response)
        status: int = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise of_refusal(str(answer.get("Error", {}).get("Code", "")), status, key) or error from error
    except _AWAY as error:
        raise unavailable("the object store does not answer") from error


def of_refusal(code: str, status: int, key: str) -> Exception | None:
    """The error that a refusal is; None for one that is a fault of ours.

    Args:
        code: The store's own.
        status: The HTTP status.
        key: What was asked for.
    """
    if code in _NOT_FOUND:
        return ObjectNotFoundError(key)
    if code in _MAY_PASS or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return unavailable(f"the object store refuses ({code or status})")
    return None


def unavailable(what: str) -> Unavailable:
    """The store is away, or as good as that."""
    return Unavailable(f"{what}; the call may be repeated", metadata={"dependency": "objects"}, retry_after=RETRY_AFTER)
