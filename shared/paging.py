"""Pages of a list: their size, and the tokens that lead from one to the next (AIP-158).

A token holds the position after which the next page begins, and is good for nobody but whom it was made for: it is
sealed with an HMAC over the position and everything that the list depends on.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors import InvalidArgument

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
_SEAL_BYTES = 16
#: A true token has about a hundred characters.
_TOKEN_MAX_CHARACTERS = 512
#: Stands in tokens that lead back.
_BACK = "back"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a thing stands in a list that is ordered by creation, newest first, and by id among those of one time."""

    #: In whole milliseconds, as the store keeps it.
    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a page begins: after a position, or before it."""

    position: Position
    #: Whether it leads back: the page ends just before the position.
    back: bool = False


def page_size(asked: int) -> int:
    """How many to answer with: the default where nothing was asked for, and never more than the most.

    Raises:
        InvalidArgument: It is negative.
    """
    if asked < 0:
        raise InvalidArgument.field("pageSize", f"is {asked}; it takes 1 to {MAX_PAGE_SIZE}, or 0 for the default")
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


class PageTokens:
    """Makes page tokens, and reads those that were made here.

    Args:
        key: The same in every replica.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"penstock page tokens", "sha256")  # the key has other uses; this one is its own

    def make(self, position: Position, *, bound_to: str, back: bool = False) -> str:
        """A token that leads on from the position, or back from it.

        Args:
            position: Of the last one on the page; of the first one where it leads back.
            bound_to: What the list depends on: its tenant, and its filters.
            back: Whether it leads back.
        """
        milliseconds = (position.created_at - _EPOCH) // _MILLISECOND
        payload = json.dumps([milliseconds, position.id, *([_BACK] if back else [])]).encode()
        return base64.urlsafe_b64encode(self._seal(payload, bound_to) + payload).decode()

    def read(self, token: str, *, bound_to: str) -> Position | None:
        """The position that the token leads on from; None for an empty token, which asks for the first page.

        Raises:
            InvalidArgument: It was not made here, or not for this.
        """
        cursor = self.read_cursor(token, bound_to=bound_to)
        return cursor.position if cursor is not None else None

    def read_cursor(self, token: str, *, bound_to: str) -> Cursor | None:
        """The same of a list whose tokens lead in either direction.

        Raises:
            InvalidArgument: It was not made here, or not for this.
        """
        if not token:
            return None
        sealed = _decoded(token)
        seal, payload = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(payload, bound_to)):
            raise InvalidArgument.field(
                "pageToken", "is none of this list's; send an answer's token as it is, with the same arguments"
            )
        milliseconds, last_id, *direction = json.loads(payload)
        position = Position(created_at=_EPOCH + milliseconds * _MILLISECOND, id=last_id)
        return Cursor(position=position, back=direction == [_BACK])

    def _seal(self, payload: bytes, bound_to: str) -> bytes:
        return hmac.digest(self._key, bound_to.encode() + b"\0" + payload, "sha256")[:_SEAL_BYTES]


def _decoded(token: str) -> bytes:
    """The token's bytes; none of them for what is no base64, which no seal fits."""
    if len(token) > _TOKEN_MAX_CHARACTERS:
        return b""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # the seal of nothing is wrong, and that is said
        return b""
