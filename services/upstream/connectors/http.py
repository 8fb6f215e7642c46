"""The upstream `http`: any public HTTP API, called as the params say."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from multidict import CIMultiDict

from services.upstream import redirects
from services.upstream.authorization import UnsignableError, authorized, header_of, is_refusal, may_go_to
from services.upstream.calls import RETRY_IDEMPOTENT, RETRY_REFUSED, OngoingCall
from services.upstream.connectors.http_methods import UPLOAD, UPSTREAM, VERBS
from services.upstream.domain import Failure, Outcome, Reason, Success, Upstream
from services.upstream.http_client import HttpRequest
from services.upstream.wire import text_of
from shared.guarded_http import url_as_given

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from services.upstream.answers import Answer
    from services.upstream.connector import CallRequest
    from services.upstream.contents import Upload
    from services.upstream.http_client import HttpClient
    from shared.clock import Clock


class HttpConnector:
    """Calls whatever URL it is given, where that may be called.

    Args:
        client: Makes the exchanges.
        clock: For the dates of `Retry-After`.
    """

    upstream: Upstream
    #: Its URLs are the jobs' own.
    targets: Collection[str] = ()

    def __init__(self, client: HttpClient, clock: Clock) -> None:
        self.upstream = UPSTREAM
        self._client = client
        self._clock = clock

    async def call(self, request: CallRequest) -> Outcome:
        """Makes one call, redirects included."""
        params = request.params
        timeout_s = float(params.get("timeoutS", request.timeout.total_seconds()))
        call = _Call(request=request, carries=request.credential is not None)
        first = _request(VERBS[request.method.name], request)
        return _fault(first, request) or await call.bounded(
            self._follow(first, call), timeout_s=timeout_s, host=first.host
        )

    async def _follow(self, request: HttpRequest, call: _Call) -> Outcome:
        for _ in range(redirects.MAX_REDIRECTS + 1):
            try:
                dressed = call.dressed(request)
            except UnsignableError as error:
                return call.refuse(f"the URL at {request.host} {error}")
            async with self._client.exchange(dressed, call.request) as answer:
                call.answered(answer, self._clock.now())
                location = answer.header("Location")
                if location is None or not call.follows or not redirects.is_redirect(answer.status):
                    return await self._outcome(request, answer, call)
                call.performed |= redirects.is_performed(request.verb, answer.status)
                # a redirect that asks for the same call again has done nothing
                call.request.progress.sent = call.performed
            try:
                request = redirects.follow(request, answer.status, location)
            except redirects.BadRedirectError:
                return Failure(reason=Reason.UPSTREAM_PROTOCOL, message=f"{request.host} redirected to what is no URL")
        return Failure(
            reason=Reason.UPSTREAM_PROTOCOL,
            message=f"{request.host} would have been redirect number {redirects.MAX_REDIRECTS + 1}; "
            f"at most {redirects.MAX_REDIRECTS} are followed",
        )

    async def _outcome(self, request: HttpRequest, answer: Answer, call: _Call) -> Outcome:
        if answer.status < HTTPStatus.BAD_REQUEST:
            return Success(status=answer.status, headers=answer.headers(), body=await answer.body(), quotas=call.quotas)
        failure = call.refused(
            answer, host=request.host, retryable=answer.status in call.retry_statuses, now=self._clock.now()
        )
        return replace(failure, credential_refused=call.is_unauthorized(answer))


@dataclass(slots=True, kw_only=True)
class _Call(OngoingCall):
    """A call that follows redirects."""

    #: The credential goes along. It does not come back once a redirect has led away from its hosts: whoever was asked
    #: there would say what is asked in its name.
    carries: bool = False
    #: A redirect said that the call has been carried out; only its answer is still to be read.
    performed: bool = False

    def dressed(self, request: HttpRequest) -> HttpRequest:
        """The request as it goes out; what redirects are followed from has no credential in it.

        Raises:
            UnsignableError: It is to be signed, and cannot be.
        """
        credential = self.request.credential
        if credential is None:
            return request
        self.carries = self.carries and may_go_to(request.url, credential)
        return authorized(request, credential.secret) if self.carries else request

    def is_unauthorized(self, answer: Answer) -> bool:
        """Whether the answer refuses the credential."""
        credential = self.request.credential
        return self.carries and credential is not None and is_refusal(answer.status, answer.field, credential.secret)

    def refuse(self, message: str) -> Failure:
        """The failure of a call that cannot go on for what it asks itself."""
        if self.performed:
            return self.lost(Reason.UPSTREAM_PROTOCOL, message)
        return Failure(reason=Reason.INVALID_ARGUMENT, message=message)

    @property
    def follows(self) -> bool:
        return self.request.params.get("followRedirects", True)

    @property
    def retry_statuses(self) -> frozenset[int]:
        given = self.request.params.get("retryStatuses")
        if given is not None:
            return frozenset(map(int, given))
        if self.request.method.idempotent:
            return RETRY_IDEMPOTENT
        return frozenset() if self.performed else RETRY_REFUSED


def _fault(first: HttpRequest, call: CallRequest) -> Failure | None:
    """Why a call may not go out, or None."""
    given = {name.lower() for name in call.params.get("headers", {})}
    named = call.params.get("idempotencyHeader")
    if named is not None and named.lower() in given:
        return _invalid(f"params.headers sets {named}, and params.idempotencyHeader names it; keep one")
    credential = call.credential
    if credential is None:
        return None
    header = header_of(credential.secret)
    if header.lower() in given | {(named or "").lower()}:
        return _invalid(f"params set the header {header}, which the connection sets; leave it out")
    if may_go_to(first.url, credential):
        return None
    return Failure(
        reason=Reason.CONNECTION_FORBIDDEN,
        message=f"params.url is {first.url.scheme} at {first.host}; the connection is for https at "
        f"{', '.join(sorted(credential.hosts)) or 'no host'}",
    )


def _invalid(message: str) -> Failure:
    return Failure(reason=Reason.INVALID_ARGUMENT, message=message)


def _request(verb: str, call: CallRequest) -> HttpRequest:
    params = call.params
    url = url_as_given(params["url"])
    headers = CIMultiDict(cast("Mapping[str, str]", params.get("headers", {})))
    body: bytes | Upload | None = None
    if "json" in params:
        body = json.dumps(params["json"], ensure_ascii=False, separators=(",", ":")).encode()
        headers.setdefault("Content-Type", "application/json")
    elif "text" in params:
        body = params["text"].encode()
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    elif UPLOAD in params:
        body = call.uploads[params[UPLOAD]]
        headers.setdefault("Content-Type", body.content_type)
    if "idempotencyHeader" in params:
        headers[params["idempotencyHeader"]] = call.idempotency_key
    query = list(_pairs(params.get("query", {})))
    return HttpRequest(verb=verb, url=url.extend_query(query) if query else url, headers=headers, body=body)


def _pairs(query: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for each in cast("list[object]", value if isinstance(value, list) else [value]):
            yield name, text_of(each)
