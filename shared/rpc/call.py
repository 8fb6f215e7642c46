"""The call that a handler answers: who makes it, under which request id, until when."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared import ids
from shared.errors import InvalidArgument, PenstockError, PermissionDenied, Unauthenticated, shown
from shared.identity import Principal, PrincipalKind
from shared.permissions import Scope

if TYPE_CHECKING:
    import grpc
    from google.protobuf.message import Message


@dataclass(slots=True, kw_only=True)
class Call:
    """One RPC on its way through the interceptors, each of which fills in its part."""

    #: As gRPC spells it: `/penstock.jobs.v1.JobService/GetJob`.
    method: str
    #: The service that answers.
    service: str
    metadata: dict[str, str]
    context: grpc.aio.ServicerContext[Any, Any]
    request_id: str = ""
    principal: Principal | None = None
    #: As soon as it is read.
    request: Message | None = None
    #: By `time.monotonic()`; None where the caller set no deadline.
    deadline: float | None = None
    error: PenstockError | None = field(default=None)
    #: Whether a part of the answer is sent already, so that nothing can go before it any more.
    begun: bool = False
    #: Whether there is an audit entry of it.
    audited: bool = False
    #: Jobs that it has made.
    jobs: int = 0

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, or None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()


#: Stands for all tenants in a request.
ALL_TENANTS = "-"
_current: ContextVar[Call] = ContextVar("penstock_call")


def enter(call: Call) -> None:
    """Makes the call the current one of this task."""
    _current.set(call)


def current() -> Call | None:
    """The call that this task answers, or None outside of one."""
    return _current.get(None)


def note_jobs(count: int) -> None:
    """Notes that the current call has made so many jobs, for what is known of its key's use."""
    call = current()
    if call is not None:
        call.jobs += count


def current_principal() -> Principal:
    """Who makes the current call.

    Raises:
        Unauthenticated: Nobody does.
    """
    call = current()
    if call is None or call.principal is None:
        raise Unauthenticated("this call carries no identity")
    return call.principal


def current_tenant() -> str:
    """The tenant in whose name the current call is made.

    Raises:
        Unauthenticated: It is made in no tenant's name.
    """
    principal = current_principal()
    if principal.kind is PrincipalKind.SERVICE or not principal.tenant:
        raise Unauthenticated("this call is made in no tenant's name")
    return principal.tenant


def asked_tenant(asked: str) -> str:
    """Whose things a request with such a `tenant` is about, empty for all tenants'.

    Raises:
        InvalidArgument: It names none.
        PermissionDenied: They are not the caller's, and it is no operator.
        Unauthenticated: The call is made in no tenant's name.
    """
    own = current_tenant()
    if asked in {"", own}:
        return own
    if Scope.OPERATOR not in current_principal().scopes:
        whose = "all tenants" if asked == ALL_TENANTS else "another tenant"
        raise PermissionDenied(
            f"this API key belongs to the tenant {own!r}; what is of {whose} needs the scope {Scope.OPERATOR.value!r}",
            metadata={"scope": Scope.OPERATOR.value},
        )
    if asked == ALL_TENANTS:
        return ""
    if not ids.is_slug(asked):
        raise InvalidArgument.field(
            "tenant",
            f"is {shown(asked)}, which is no tenant's name; it takes a lower-case slug, or - for all",
        )
    return asked
