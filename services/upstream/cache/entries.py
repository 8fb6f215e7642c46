"""An answer that is kept: whose it is, and what of it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from services.upstream.domain import Stored, Success

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.upstream.domain import Outcome

#: A body up to here lies in Redis; a larger one in the object store.
MAX_BODY_IN_REDIS = 64 * 1024
#: What Redis takes of an answer beside its head, body and scope, as measured with Redis 6.2.
OVERHEAD_BYTES = 1400
#: What its allocator takes more than a large body has, at the most: it knows four sizes to each doubling.
_ROUNDED_UP = 5 / 4
#: With another form of keys or heads this grows, and what was kept under the old one is never found.
_FORM = b"penstock-cache-1"
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which answers: those that fit all that is given.

    Args:
        connection: Its id; of an answer empty where the job named none.
        upstream: Its name.
        method: Its name.
    """

    connection: str = ""
    upstream: str = ""
    method: str = ""

    @property
    def parts(self) -> tuple[str, str, str]:
        """As the store writes it: without spaces and line breaks, whatever a method is called."""
        connection, upstream, method = (quote(part, safe="") for part in (self.connection, self.upstream, self.method))
        return connection, upstream, method

    @property
    def text(self) -> str:
        """The parts as one text."""
        return "\n".join(self.parts)

    def fits(self, wanted: Scope) -> bool:
        """Whether an answer of this scope is one of those wanted."""
        pairs = zip(self.parts, wanted.parts, strict=True)
        return all(given == asked for given, asked in pairs if asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where one answer is kept.

    Args:
        tenant: Whose it is.
        scope: What it is of.
        digest: Of all that it is the answer to, in 43 letters.
    """

    tenant: str
    scope: Scope
    digest: str


def spot_of(tenant: str, scope: Scope, *, credential_version: int, params: Mapping[str, Any]) -> Spot:
    """The one place of the answers to identical calls.

    A connection that is given another secret, perhaps another account's, is another one here: the version counts.

    Args:
        tenant: Whose job it is.
        scope: What is called, with which connection.
        credential_version: Of the connection's secret; 0 without a connection.
        params: As they are sent. Their types count: 1, 1.0, "1" and true are four.
    """
    text = json.dumps(params, sort_keys=True, separators=(",", ":"))
    fields = (tenant, scope.upstream, scope.method, scope.connection, str(credential_version), text)
    digest = hashlib.sha256(_FORM)
    for each in fields:
        encoded = each.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(_LENGTH_BYTES, "big"))
        digest.update(encoded)
    return Spot(tenant=tenant, scope=scope, digest=base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the upstream answered.

    Args:
        status: The HTTP status.
        headers: As a result shows them.
        size: Bytes of the body.
        body: The body; None where it is only in the object store.
        object: Its name there; empty where it is not.
    """

    status: int
    size: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    object: str = ""

    @property
    def head(self) -> bytes:
        """Status and headers, as they are kept."""
        return json.dumps({"status": self.status, "headers": dict(self.headers)}, separators=(",", ":")).encode()

    @property
    def fits_redis(self) -> bool:
        """Whether the body lies in Redis."""
        return self.body is not None and self.size <= MAX_BODY_IN_REDIS

    @property
    def content_type(self) -> str:
        """The upstream's `Content-Type`, or an empty text."""
        return self.headers.get("content-type", "")

    def served(self, body: bytes | Stored) -> Success:
        """The outcome of a call that it answers; without quotas, for they were told of another call."""
        return Success(status=self.status, headers=self.headers, body=body, from_cache=True)


def answer_of(outcome: Outcome, *, object_name: str) -> Answer | None:
    """What of an outcome may serve again; None where it may not.

    Args:
        outcome: Of a call whose large body was stored under `object_name`.
        object_name: That it has in the object store.
    """
    if not isinstance(outcome, Success) or not HTTPStatus.OK <= outcome.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if isinstance(outcome.body, Stored):
        return Answer(status=outcome.status, headers=outcome.headers, size=outcome.body.size, object=object_name)
    return Answer(status=outcome.status, headers=outcome.headers, size=len(outcome.body), body=outcome.body)


def read_answer(head: bytes, body: bytes, *, object_name: str, size: int) -> Answer:
    """An answer as it was kept."""
    told: dict[str, Any] = json.loads(head)
    return Answer(
        status=told["status"],
        headers=told["headers"],
        size=size,
        body=None if object_name else body,
        object=object_name,
    )


def bytes_of(answer: Answer, scope: Scope) -> tuple[int, int]:
    """What an answer takes in Redis, and in the object store; never less than it does."""
    in_redis = OVERHEAD_BYTES + len(answer.head) + 2 * len(scope.text)
    if answer.object:
        return in_redis, answer.size
    return in_redis + round(answer.size * _ROUNDED_UP), 0


def read_objects(found: list[bytes]) -> Iterator[tuple[str, str]]:
    """The digest and name of each object that a script says nobody needs any more."""
    for each in found:
        digest, _, name = each.decode().partition("/")
        yield digest, name
