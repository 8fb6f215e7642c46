"""What can be called, and how a call can come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

#: A result larger than this fails: it travels in messages.
MAX_BODY_BYTES = 256 * 1024
#: The same for the headers of a result, names and values.
MAX_HEADER_BYTES = 32 * 1024


class Kind(StrEnum):
    """What a method does at the upstream."""

    READ = "read"
    WRITE = "write"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One operation of an upstream.

    Args:
        name: Unique within the upstream.
        title: For people.
        kind: The class its budgets are kept by.
        idempotent: Making the call twice is the same as making it once.
        timeout: One attempt's time at most, where the params do not say otherwise.
        cache_ttl: How long an answer may be served again; None for a method that is not cached.
        params_schema: JSON Schema (2020-12) of the params, with the formats of `shared.formats`.
    """

    name: str
    title: str
    kind: Kind
    idempotent: bool
    timeout: timedelta
    params_schema: Mapping[str, Any]
    cache_ttl: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A third-party API.

    Args:
        name: A lower-case slug, never renamed.
        title: For people.
        methods: What can be called.
    """

    name: str
    title: str
    methods: tuple[Method, ...]

    def method(self, name: str) -> Method | None:
        """The method of this name, or None."""
        return next((method for method in self.methods if method.name == name), None)


class Reason(StrEnum):
    """Why a call failed: names of `penstock.errors.v1.ErrorReason`."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    ADDRESS_FORBIDDEN = "ADDRESS_FORBIDDEN"
    UPSTREAM_UNREACHABLE = "UPSTREAM_UNREACHABLE"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    UPSTREAM_STATUS = "UPSTREAM_STATUS"
    UPSTREAM_PROTOCOL = "UPSTREAM_PROTOCOL"
    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """The upstream answered.

    Args:
        status: The HTTP status.
        headers: Names in lower case, without `set-cookie`.
        body: Byte for byte, after content decoding.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """The upstream's `Content-Type`, or an empty text."""
        return self.headers.get("content-type", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The call did not succeed.

    Args:
        reason: For programs.
        message: For people: what went wrong, with which value; never a query or a body, which may hold secrets.
        upstream_status: The upstream's HTTP status, or 0 where there was none.
        retryable: Trying again could help, and does no harm.
        retry_after: The upstream asked for this pause.
        outcome_unknown: The call may have taken effect though its answer is lost, and may not be repeated.
    """

    reason: Reason
    message: str
    upstream_status: int = 0
    retryable: bool = False
    retry_after: timedelta | None = None
    outcome_unknown: bool = False


Outcome = Success | Failure


def lost(reason: Reason, message: str, *, idempotent: bool, sent: bool) -> Failure:
    """The failure of a call whose answer never came, or cannot be read.

    Args:
        reason: Why.
        message: For people.
        idempotent: The call may be made twice.
        sent: Any of it may have reached the upstream.
    """
    if sent and not idempotent:
        return Failure(
            reason=reason, message=f"{message}; whether the call took effect is not known", outcome_unknown=True
        )
    return Failure(reason=reason, message=message, retryable=True)
