"""When tokens are refreshed: ahead of their end, while the old one still works, and not all at the same time."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from services.auth.connections.domain import Connection

#: The last part of a token's life, in which it is refreshed; the first half of it is the jitter's, so that the second
#: is there for trying again.
_AHEAD_SHARE = 0.2
_MAX_AHEAD = timedelta(minutes=10)
#: A token this near to its end is not called with: the call takes its time, and clocks differ.
_LEEWAY_SHARE = 0.1
_MAX_LEEWAY = timedelta(seconds=10)
#: A fresh token that is refused so soon after its refresh is not refreshed again: an upstream that refuses whatever it
#: is shown would have a token made for each call.
LEAST_AGE = timedelta(seconds=60)
_HASH_BYTES = 8


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether its token is to be refreshed by now; one that has not told its end is called with until it is refused."""
    end = connection.expires_at
    if end is None:
        return False
    ahead = min(_AHEAD_SHARE * _life(connection, end), _MAX_AHEAD)
    return now >= end - ahead * (1 - _jitter(connection) / 2)


def is_usable(connection: Connection, now: datetime) -> bool:
    """Whether its token can be called with now."""
    end = usable_until(connection)
    return end is None or now < end


def usable_until(connection: Connection) -> datetime | None:
    """Until when its token can be called with; None where its end has not been told."""
    end = connection.expires_at
    return end - min(_LEEWAY_SHARE * _life(connection, end), _MAX_LEEWAY) if end is not None else None


def is_young(connection: Connection, now: datetime) -> bool:
    """Whether its token was refreshed just now, by whichever clock."""
    return connection.refreshed_at is not None and abs(now - connection.refreshed_at) < LEAST_AGE


def _life(connection: Connection, end: datetime) -> timedelta:
    return max(end - (connection.refreshed_at or connection.created_at), timedelta())


def _jitter(connection: Connection) -> float:
    """From 0 to 1, the same in every replica, and another one for each connection and token."""
    named = f"{connection.id}:{connection.version}".encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=_HASH_BYTES).digest()) / 2 ** (8 * _HASH_BYTES)
