"""The connector of every upstream that is described by a file."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from services.upstream import redirects
from services.upstream.answers import Edges
from services.upstream.authorization import UnsignableError, authorized, is_refusal, may_go_to, without_secrets
from services.upstream.calls import RETRY_IDEMPOTENT, RETRY_REFUSED, OngoingCall, pause_of
from services.upstream.credentials import OAuth1Secret
from services.upstream.domain import ConnectionUse, Failure, Outcome, Reason, Success, Upstream, lost
from services.upstream.rest.data import Retry, kind_of
from services.upstream.rest.reading import Received, Refusal, UnreadableError, read_json
from services.upstream.rest.requests import UnsendableError, request_of
from shared.errors import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from services.upstream.answers import Answer
    from services.upstream.connector import CallRequest
    from services.upstream.http_client import HttpClient, HttpRequest
    from services.upstream.rest.data import RestData, Route
    from services.upstream.rest.reading import Reading
    from shared.clock import Clock

#: How much of an error's body is looked at, and for how long: the status alone would do.
_ERROR_BYTES = 64 * 1024
_ERROR_WAIT = timedelta(seconds=5)


class RestConnector:
    """Calls the methods of one upstream; follows no redirect, for its credential is for its targets alone.

    Args:
        data: What its file says.
        client: Makes the exchanges.
        clock: For the dates of `Retry-After`.
        reading: Reads its answers.
    """

    upstream: Upstream
    targets: Collection[str]
    #: Params that fit, by method.
    examples: Mapping[str, Mapping[str, object]]

    def __init__(self, data: RestData, client: HttpClient, clock: Clock, reading: Reading = read_json) -> None:
        self.upstream = data.upstream
        self.targets = data.targets.keys()
        self.examples = {name: route.example for name, route in data.routes.items()}
        self._data = data
        self._client = client
        self._clock = clock
        self._read = reading

    async def call(self, request: CallRequest) -> Outcome:
        """Makes one call."""
        route = self._data.route(request.method)
        try:
            to_send = request_of(request, route, self._data.targets[route.target])
        except UnsendableError as error:
            return _invalid(str(error))
        fault = self._fault(request, to_send)
        if fault is not None:
            return fault
        if request.credential is not None:
            try:
                to_send = authorized(to_send, request.credential.secret)
            except UnsignableError as error:
                return _invalid(f"the call of {request.method.name} {error}")
        call = OngoingCall(request=request)
        timeout_s = request.timeout.total_seconds()
        return await call.bounded(self._exchange(to_send, route, call), timeout_s=timeout_s, host=to_send.host)

    def _fault(self, call: CallRequest, request: HttpRequest) -> Failure | None:
        """Why a call may not go out with what it has of a credential, or None."""
        credential = call.credential
        if credential is None:
            if self.upstream.connection_use is ConnectionUse.REQUIRED:
                return _invalid(
                    f"the upstream {self.upstream.name} is called with a connection; name it in connectionId"
                )
            return None
        kind = kind_of(credential.secret)
        if kind not in self._data.credentials:
            taken = ", ".join(sorted(self._data.credentials)) or "no credential"
            message = f"the connection is of the kind {kind}; the upstream {self.upstream.name} takes {taken}"
            return Failure(reason=Reason.CONNECTION_FORBIDDEN, message=message)
        if credential.hosts and not may_go_to(request.url, credential):
            message = f"the connection is for {', '.join(sorted(credential.hosts))}, and not for {request.host}"
            return Failure(reason=Reason.CONNECTION_FORBIDDEN, message=message)
        return None

    async def _exchange(self, request: HttpRequest, route: Route, call: OngoingCall) -> Outcome:
        async with self._client.exchange(request, call.request) as answer:
            call.answered(answer, self._clock.now())
            if answer.status >= HTTPStatus.BAD_REQUEST:
                return await self._error(request, route, answer, call)
            if redirects.is_redirect(answer.status):
                return self._redirected(request, answer, call)
            edges = Edges()
            headers = answer.headers()
            body = await answer.body(edges)
            received = _received(call, route, answer, body if isinstance(body, bytes) else None, edges)
            try:
                refusal = self._read(received)
            except UnreadableError as error:
                return replace(
                    call.lost(Reason.UPSTREAM_PROTOCOL, f"{request.host} {error}"), upstream_status=answer.status
                )
            if refusal is not None:
                return self._refused(refusal, answer, call, Failure(reason=Reason.UPSTREAM_REFUSED, message=""))
            return Success(status=answer.status, headers=headers, body=body, quotas=call.quotas)

    async def _error(self, request: HttpRequest, route: Route, answer: Answer, call: OngoingCall) -> Failure:
        """What an answer with a status of 400 or more says: by its body, where that can be read, and else by itself."""
        retryable = answer.status in (RETRY_IDEMPOTENT if call.request.method.idempotent else RETRY_REFUSED)
        by_status = call.refused(answer, host=request.host, retryable=retryable, now=self._clock.now())
        edges = Edges()
        edges.head = edges.tail = start = await answer.start(at_most=_ERROR_BYTES, within=_ERROR_WAIT)
        try:
            refusal = self._read(_received(call, route, answer, start, edges))
        except UnreadableError:  # a proxy's page, or a part of one
            return by_status
        secret = call.request.credential.secret if call.request.credential is not None else None
        refused = secret is not None and is_refusal(answer.status, answer.field, secret)
        by_status = replace(by_status, credential_refused=refused)
        return by_status if refusal is None else self._refused(refusal, answer, call, by_status)

    def _redirected(self, request: HttpRequest, answer: Answer, call: OngoingCall) -> Failure:
        sent = redirects.is_performed(request.verb, answer.status)
        message = f"{request.host} answered {answer.status}, a redirect, and calls of {self.upstream.name} follow none"
        failure = lost(Reason.UPSTREAM_PROTOCOL, message, idempotent=call.request.method.idempotent, sent=sent)
        return replace(failure, upstream_status=answer.status, quotas=call.quotas)

    def _refused(self, refusal: Refusal, answer: Answer, call: OngoingCall, by_status: Failure) -> Failure:
        """The failure of a call that the upstream has refused in its own way.

        Args:
            refusal: How.
            answer: Which says so.
            call: The call.
            by_status: What the answer's status alone says, for a code that no table has.
        """
        request = call.request
        secret = request.credential.secret if request.credential else None
        code, said = (without_secrets(text, secret) for text in (refusal.code, refusal.message))
        rule = self._data.rule(request.method, refusal.code)
        failure = Failure(
            reason=Reason.UPSTREAM_REFUSED,
            message=f"{self.upstream.title} refuses with code {code}: {rule.message if rule else shown(said)}",
            upstream_status=answer.status,
            upstream_code=code,
            retry_after=pause_of(answer, self._clock.now()),
            quotas=call.quotas,
        )
        if rule is None:
            # a token is refused by 401 for one reason, and a signature for many, of which this is none that is known
            refused = by_status.credential_refused and not isinstance(secret, OAuth1Secret)
            return replace(failure, retryable=by_status.retryable, credential_refused=refused)
        return replace(
            failure,
            retryable=rule.retry is Retry.ALWAYS or (rule.retry is Retry.IDEMPOTENT and request.method.idempotent),
            judged=rule.health,
            credential_refused=rule.credential_refused,
        )


def _received(call: OngoingCall, route: Route, answer: Answer, body: bytes | None, edges: Edges) -> Received:
    return Received(
        method=call.request.method,
        target=route.target,
        status=answer.status,
        content_type=answer.header("Content-Type") or "",
        body=body,
        head=edges.head,
        tail=edges.tail,
    )


def _invalid(message: str) -> Failure:
    return Failure(reason=Reason.INVALID_ARGUMENT, message=message)
