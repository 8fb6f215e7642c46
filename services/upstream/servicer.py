"""UpstreamService: the catalogue, as protos."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from penstock.upstream.v1 import limits_pb2, upstream_pb2, upstream_pb2_grpc

from services.upstream.cache.ttls import AS_LISTED, Ttls
from services.upstream.domain import ConnectionUse, Kind
from services.upstream.limits import NO_BUDGET
from shared import paging
from shared.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

    from services.upstream.catalogue import Catalogue
    from services.upstream.domain import Method, OtherMethods, Upstream
    from services.upstream.limits import BreakerPolicy, Budget, Limits

#: What a token starts with once it is read; a change of its form gets another.
_TOKEN_MARK = "1:"  # noqa: S105  no secret
_KINDS = {
    Kind.READ: upstream_pb2.Method.READ,
    Kind.WRITE: upstream_pb2.Method.WRITE,
    Kind.UPLOAD: upstream_pb2.Method.UPLOAD,
}
_CONNECTION_USES = {
    ConnectionUse.NONE: upstream_pb2.Upstream.NONE,
    ConnectionUse.OPTIONAL: upstream_pb2.Upstream.OPTIONAL,
    ConnectionUse.REQUIRED: upstream_pb2.Upstream.REQUIRED,
}


class UpstreamServicer(upstream_pb2_grpc.UpstreamServiceServicer):
    """Answers what can be called.

    Args:
        catalogue: Knows.
        ttls: Know for how long answers serve.
    """

    def __init__(self, catalogue: Catalogue, ttls: Ttls = AS_LISTED) -> None:
        self._catalogue = catalogue
        self._ttls = ttls

    async def ListUpstreams(  # noqa: N802  gRPC's name
        self, request: upstream_pb2.ListUpstreamsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> upstream_pb2.ListUpstreamsResponse:
        """A page of the catalogue, in the order of the names."""
        del context
        size = paging.page_size(request.page_size)
        after = _read_token(request.page_token)
        rest = [upstream for upstream in self._catalogue.upstreams() if upstream.name > after]
        page = rest[:size]
        return upstream_pb2.ListUpstreamsResponse(
            upstreams=[_upstream(self._ttls.upstream(each)) for each in page],
            next_page_token=_token(page[-1].name) if len(rest) > size else "",
        )

    async def GetUpstream(  # noqa: N802  gRPC's name
        self, request: upstream_pb2.GetUpstreamRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> upstream_pb2.Upstream:
        """One upstream."""
        del context
        return _upstream(self._ttls.upstream(self._catalogue.upstream(request.upstream)))


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(f"{_TOKEN_MARK}{last}".encode()).decode()


def _read_token(token: str) -> str:
    """The name after which the page begins; empty for the first."""
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):  # said below
        text = ""
    if not text.startswith(_TOKEN_MARK):
        raise InvalidArgument.field("pageToken", "is none of this list's; send an answer's nextPageToken as it is")
    return text.removeprefix(_TOKEN_MARK)


def _upstream(upstream: Upstream) -> upstream_pb2.Upstream:
    return upstream_pb2.Upstream(
        name=upstream.name,
        title=upstream.title,
        methods=[_method(each) for each in upstream.methods],
        limits=_limits(upstream.limits),
        breaker=_breaker(upstream.breaker),
        lane_param=upstream.lane_param,
        connection_use=_CONNECTION_USES[upstream.connection_use],
        other_methods=_other_methods(upstream.other_methods),
    )


def _other_methods(others: OtherMethods | None) -> upstream_pb2.OtherMethods | None:
    if others is None:
        return None
    return upstream_pb2.OtherMethods(prefix=others.prefix, method=_method(others.template))


def _limits(limits: Limits) -> limits_pb2.Limits:
    return limits_pb2.Limits(
        upstream=_budget(limits.upstream),
        classes=_class_budgets(limits.classes),
        lane=_budget(limits.lane),
        lane_classes=_class_budgets(limits.lane_classes),
    )


def _class_budgets(budgets: Mapping[Kind, Budget]) -> limits_pb2.ClassBudgets | None:
    if not budgets:
        return None
    return limits_pb2.ClassBudgets(**{kind.value: _budget(budget) for kind, budget in budgets.items()})


def _budget(budget: Budget) -> limits_pb2.Budget | None:
    """The budget; not set where it limits nothing."""
    if budget == NO_BUDGET:
        return None
    message = limits_pb2.Budget(concurrency=budget.concurrency)
    for rate in budget.rates:
        message.rates.add(calls=rate.calls).window.FromTimedelta(rate.window)
    return message


def _breaker(policy: BreakerPolicy) -> limits_pb2.BreakerPolicy:
    message = limits_pb2.BreakerPolicy(
        throttles=policy.throttles,
        failure_ratio=policy.failure_ratio,
        min_calls=policy.min_calls,
        upstream=policy.upstream,
    )
    message.throttle_pause.FromTimedelta(policy.throttle_pause)
    message.window.FromTimedelta(policy.window)
    message.failure_pause.FromTimedelta(policy.failure_pause)
    message.max_pause.FromTimedelta(policy.max_pause)
    return message


def _method(method: Method) -> upstream_pb2.Method:
    message = upstream_pb2.Method(
        name=method.name,
        title=method.title,
        kind=_KINDS[method.kind],
        idempotent=method.idempotent,
        upload_params=method.upload_params,
    )
    message.timeout.FromTimedelta(method.timeout)
    if method.cache_ttl is not None:
        message.cache_ttl.FromTimedelta(method.cache_ttl)
    json_format.ParseDict(dict(method.params_schema), message.params_schema)
    return message
