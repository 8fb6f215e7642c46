"""What can be called, and how a call can come out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from services.upstream.limits import DEFAULT_BREAKER, NO_LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from services.upstream.limits import BreakerPolicy, Limits

#: The body of a result that travels in messages; a larger one goes to the object store.
MAX_INLINE_BYTES = 256 * 1024
#: The same for the headers of a result, names and values.
MAX_HEADER_BYTES = 32 * 1024
_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
_MAX_METHOD_CHARACTERS = 100


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
        cache_ttl_param: The param that says so in seconds, where a call may; without it `cache_ttl` holds.
        params_schema: JSON Schema (2020-12) of the params, with the formats of `shared.formats`.
        upload_params: The params that hold the id of an upload, whose bytes the call sends.
    """

    name: str
    title: str
    kind: Kind
    idempotent: bool
    timeout: timedelta
    params_schema: Mapping[str, Any]
    cache_ttl: timedelta | None = None
    cache_ttl_param: str = ""
    upload_params: tuple[str, ...] = ()


class ConnectionUse(StrEnum):
    """Whether the jobs of an upstream name a connection."""

    #: They must not.
    NONE = "none"
    #: They may.
    OPTIONAL = "optional"
    #: They must.
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMethods:
    """What holds for every method whose name begins in one way and that is not listed.

    Args:
        prefix: How their names begin, such as `flickr.`.
        template: As which each of them is taken, but for its name.
    """

    prefix: str
    template: Method

    def has(self, name: str) -> bool:
        """Whether this is the name of one: words with points between them, the first of them the prefix."""
        return (
            len(name) <= _MAX_METHOD_CHARACTERS and name.startswith(self.prefix) and _METHOD.fullmatch(name) is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A third-party API.

    Args:
        name: A lower-case slug, never renamed.
        title: For people.
        methods: What can be called.
        limits: What it lets be called; an operator may set others for a queue.
        breaker: When calls are held back from it.
        lane_param: The param that holds the URL to call, where the upstream has one: without a connection the URL's
            host is the job's lane.
        connection_use: Whether jobs name a connection.
        other_methods: What is known of methods that are not listed; None where there are none.
    """

    name: str
    title: str
    methods: tuple[Method, ...]
    limits: Limits = NO_LIMITS
    breaker: BreakerPolicy = DEFAULT_BREAKER
    lane_param: str = ""
    connection_use: ConnectionUse = ConnectionUse.NONE
    other_methods: OtherMethods | None = None

    def method(self, name: str) -> Method | None:
        """The method of this name, or None."""
        listed = next((method for method in self.methods if method.name == name), None)
        others = self.other_methods
        if listed is not None or others is None or not others.has(name):
            return listed
        return replace(others.template, name=name)

    def label(self, name: str) -> str:
        """What a method is called where names must be few: in metrics."""
        if any(method.name == name for method in self.methods):
            return name
        return "unknown" if self.method(name) is None else "other"


class Reason(StrEnum):
    """Why a call failed: names of `penstock.errors.v1.ErrorReason`."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    ADDRESS_FORBIDDEN = "ADDRESS_FORBIDDEN"
    UPSTREAM_UNREACHABLE = "UPSTREAM_UNREACHABLE"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    UPSTREAM_STATUS = "UPSTREAM_STATUS"
    UPSTREAM_PROTOCOL = "UPSTREAM_PROTOCOL"
    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    UPSTREAM_REFUSED = "UPSTREAM_REFUSED"
    CONTENT_GONE = "CONTENT_GONE"
    CONNECTION_NOT_FOUND = "CONNECTION_NOT_FOUND"
    CONNECTION_NEEDS_REAUTH = "CONNECTION_NEEDS_REAUTH"
    CONNECTION_FORBIDDEN = "CONNECTION_FORBIDDEN"
    UNAVAILABLE = "UNAVAILABLE"
    JOB_CANCELED = "JOB_CANCELED"
    INTERNAL = "INTERNAL"


class Health(StrEnum):
    """What an attempt says of the upstream; breakers go by it."""

    #: The call did not go out, or was broken off on this side.
    NOTHING = "nothing"
    #: It answers.
    HEALTHY = "healthy"
    #: It fails.
    FAILING = "failing"
    #: It asks for fewer calls.
    THROTTLED = "throttled"


class QuotaScope(StrEnum):
    """Which budget an upstream's word is about."""

    LANE = "lane"
    UPSTREAM = "upstream"
    #: The lane's for methods of the call's class.
    LANE_CLASS = "lane_class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What an upstream says is left of a budget.

    Args:
        scope: Of which.
        remaining: Calls that are left, as the upstream counts.
        reset_after: Until there are more.
    """

    scope: QuotaScope
    remaining: int
    reset_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A body that lies in the object store.

    Args:
        size: Bytes.
    """

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """The upstream answered.

    Args:
        status: The HTTP status.
        headers: Names in lower case, without `set-cookie`.
        body: Byte for byte, after content decoding; or where it lies, if it is too large to travel in messages.
        quotas: What the upstream said of its quotas.
        judged: What the connector knows of the upstream's health; None to go by the rule.
        from_cache: It has answered an earlier call, and was not asked now.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | Stored = b""
    quotas: tuple[Quota, ...] = ()
    judged: Health | None = None
    from_cache: bool = False

    @property
    def health(self) -> Health:
        """What the attempt says of the upstream."""
        if self.from_cache:
            return Health.NOTHING
        return self.judged or health_of(self.status)

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
        quotas: What the upstream said of its quotas.
        judged: What the connector knows of the upstream's health; None to go by the rule.
        upstream_code: The upstream's own code of the error, where it has one beside the status.
        credential_refused: The upstream takes the credential for none that works.
        uncounted: It did not go out, for a reason that is gone with another turn; as retryable, it costs no attempt.
    """

    reason: Reason
    message: str
    upstream_status: int = 0
    retryable: bool = False
    retry_after: timedelta | None = None
    outcome_unknown: bool = False
    quotas: tuple[Quota, ...] = ()
    judged: Health | None = None
    upstream_code: str = ""
    credential_refused: bool = False
    uncounted: bool = False

    @property
    def health(self) -> Health:
        """What the attempt says of the upstream."""
        return self.judged or health_of(self.upstream_status, self.reason)


Outcome = Success | Failure

#: Faults of the job or of this side, whatever came back.
_NOT_THE_UPSTREAMS = frozenset(
    {
        Reason.INVALID_ARGUMENT,
        Reason.ADDRESS_FORBIDDEN,
        Reason.CONNECTION_NOT_FOUND,
        Reason.CONNECTION_NEEDS_REAUTH,
        Reason.CONNECTION_FORBIDDEN,
        Reason.JOB_CANCELED,
        Reason.INTERNAL,
    }
)
_FAILING = frozenset({Reason.UPSTREAM_TIMEOUT, Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_PROTOCOL})


def health_of(status: int, reason: Reason | None = None) -> Health:
    """The one rule of what an attempt says of the upstream.

    Args:
        status: The HTTP status; 0 where there was none.
        reason: Why the call failed, where it did.
    """
    if reason in _NOT_THE_UPSTREAMS:
        return Health.NOTHING
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Health.THROTTLED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or reason in _FAILING:
        return Health.FAILING
    answered = status > 0 or reason is Reason.RESULT_TOO_LARGE
    return Health.HEALTHY if answered else Health.NOTHING


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


def not_kept(message: str, *, status: int, idempotent: bool) -> Failure:
    """The failure of a call that was carried out and answered, and whose answer could not be kept.

    Args:
        message: For people.
        status: What it was answered with.
        idempotent: The call may be made twice.
    """
    if idempotent:
        return Failure(reason=Reason.UNAVAILABLE, message=message, upstream_status=status, retryable=True)
    return Failure(
        reason=Reason.UNAVAILABLE,
        message=f"{message}; the call was carried out, so it is not made again",
        upstream_status=status,
        outcome_unknown=True,
    )


def canceled(*, idempotent: bool, sent: bool) -> Failure:
    """The failure of a call that was broken off because its job was canceled.

    Args:
        idempotent: The call may be made twice.
        sent: Any of it may have reached the upstream.
    """
    if not sent:
        return Failure(
            reason=Reason.JOB_CANCELED, message="the job was canceled while it ran; its call had not gone out"
        )
    return Failure(
        reason=Reason.JOB_CANCELED,
        message="the job was canceled while it ran; its call was broken off and may have taken effect",
        outcome_unknown=not idempotent,
    )
