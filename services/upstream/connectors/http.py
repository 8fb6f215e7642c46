"""The upstream `http`: any public HTTP API, called as the params say."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from multidict import CIMultiDict

from services.upstream import quotas, redirects
from services.upstream.domain import Failure, Kind, Method, Outcome, Quota, Reason, Success, Upstream, lost
from services.upstream.http_client import ExchangeError, HttpRequest
from services.upstream.limits import BreakerPolicy, Budget, Limits
from shared import retry_after
from shared.addresses import MAX_URL_CHARACTERS
from shared.formats import CALLABLE_HEADER, HEADER_VALUE, PUBLIC_URL, UPLOAD_ID
from shared.guarded_http import url_as_given

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.upstream.answers import Answer
    from services.upstream.connector import CallRequest
    from services.upstream.contents import Upload
    from services.upstream.http_client import HttpClient
    from shared.clock import Clock

_TIMEOUT = timedelta(seconds=30)
#: Statuses that may be gone the next time; the second kind says that nothing was done.
_RETRY_IDEMPOTENT = frozenset({429, 500, 502, 503, 504})
_RETRY_REFUSED = frozenset({429, 503})
#: Calls that one tenant may have at one host at a time: half of what a worker makes unless told otherwise, so that a
#: host on which each of them hangs for its whole time leaves the other half to everybody else.
_LANE_CONCURRENCY = 32
#: The param that says for how many seconds an answer to a read may serve again.
_CACHE_TTL = "cacheTtlS"
#: The param that names an upload.
_UPLOAD = "upload"
#: Whole numbers up to here are exact in JSON's doubles.
_EXACT_INTEGERS = 2**53


class HttpConnector:
    """Calls whatever URL it is given, where that may be called.

    Args:
        client: Makes the exchanges.
        clock: For the dates of `Retry-After`.
    """

    upstream: Upstream

    def __init__(self, client: HttpClient, clock: Clock) -> None:
        self.upstream = UPSTREAM
        self._client = client
        self._clock = clock

    async def call(self, request: CallRequest) -> Outcome:
        """Makes one call, redirects included."""
        params = request.params
        timeout_s = float(params.get("timeoutS", request.timeout.total_seconds()))
        call = _Call(request=request)
        first = _request(_VERBS[request.method.name], request)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(first, call)
        except TimeoutError:
            return call.lost(Reason.UPSTREAM_TIMEOUT, f"{first.host} did not answer within {timeout_s:g} s")
        except ExchangeError as error:
            failure = error.failure(idempotent=request.method.idempotent, sent=request.progress.sent)
            return replace(failure, quotas=call.quotas)

    async def _follow(self, request: HttpRequest, call: _Call) -> Outcome:
        for _ in range(redirects.MAX_REDIRECTS + 1):
            async with self._client.exchange(request, call.request) as answer:
                call.quotas = quotas.read(answer.field, status=answer.status, now=self._clock.now())
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
        pause = answer.header("Retry-After")
        return Failure(
            reason=Reason.UPSTREAM_STATUS,
            message=f"{request.host} answered {answer.status}{_phrase(answer.status)}",
            upstream_status=answer.status,
            retryable=answer.status in call.retry_statuses,
            retry_after=retry_after.parse(pause, self._clock.now()) if pause is not None else None,
            quotas=call.quotas,
        )


@dataclass(slots=True, kw_only=True)
class _Call:
    """What the exchanges of one call have in common."""

    request: CallRequest
    #: A redirect said that the call has been carried out; only its answer is still to be read.
    performed: bool = False
    #: What the newest answer said of them; they hold also where its body never comes.
    quotas: tuple[Quota, ...] = ()

    @property
    def follows(self) -> bool:
        return self.request.params.get("followRedirects", True)

    @property
    def retry_statuses(self) -> frozenset[int]:
        given = self.request.params.get("retryStatuses")
        if given is not None:
            return frozenset(map(int, given))
        if self.request.method.idempotent:
            return _RETRY_IDEMPOTENT
        return frozenset() if self.performed else _RETRY_REFUSED

    def lost(self, reason: Reason, message: str) -> Failure:
        method, progress = self.request.method, self.request.progress
        failure = lost(reason, message, idempotent=method.idempotent, sent=progress.sent)
        return replace(failure, quotas=self.quotas)


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
    elif _UPLOAD in params:
        body = call.uploads[params[_UPLOAD]]
        headers.setdefault("Content-Type", body.content_type)
    query = list(_pairs(params.get("query", {})))
    return HttpRequest(verb=verb, url=url.extend_query(query) if query else url, headers=headers, body=body)


def _pairs(query: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for each in cast("list[object]", value if isinstance(value, list) else [value]):
            yield name, _query_text(each)


def _query_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGERS:
        return str(int(value))  # 5 came as 5.0 through a Struct
    return str(value)


def _phrase(status: int) -> str:
    """The status in words: the standard's, for the upstream's own may say anything."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _schema(*, has_body: bool) -> Mapping[str, Any]:
    scalar = {"type": ["string", "number", "boolean"]}
    properties: dict[str, Any] = {
        "url": {
            "type": "string",
            "format": PUBLIC_URL,
            "maxLength": MAX_URL_CHARACTERS,
            "description": "What to call: an absolute http:// or https:// URL of a public host.",
        },
        "query": {
            "type": "object",
            "additionalProperties": {"anyOf": [scalar, {"type": "array", "items": scalar, "maxItems": 100}]},
            "maxProperties": 100,
            "description": "Added to the URL's own query; a list gives its name once for each item.",
        },
        "headers": {
            "type": "object",
            "propertyNames": {"format": CALLABLE_HEADER},
            "additionalProperties": {"type": "string", "format": HEADER_VALUE, "maxLength": 8000},
            "maxProperties": 64,
            "description": "Sent along; credentials come from connections.",
        },
        "timeoutS": {
            "type": "number",
            "minimum": 0.1,
            "maximum": 300,
            "default": _TIMEOUT.total_seconds(),
            "description": "Seconds that one attempt may take, redirects included.",
        },
        "followRedirects": {
            "type": "boolean",
            "default": True,
            "description": f"Whether redirects are followed, at most {redirects.MAX_REDIRECTS} of them.",
        },
        "retryStatuses": {
            "type": "array",
            "items": {"type": "integer", "minimum": 400, "maximum": 599},
            "uniqueItems": True,
            "description": "Statuses upon which the call is tried again. Default 429, 500, 502, 503 and 504 "
            "for idempotent methods, 429 and 503 for others.",
        },
    }
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": ["url"],
        "additionalProperties": False,
    }
    if not has_body:
        properties[_CACHE_TTL] = {
            "type": "integer",
            "minimum": 1,
            "maximum": 86400,
            "description": "Seconds for which an answer of 2xx is kept and serves the same call again; none without.",
        }
    else:
        properties["json"] = {"description": "The body, as JSON."}
        properties["text"] = {"type": "string", "description": "The body, as text in UTF-8."}
        properties[_UPLOAD] = {
            "type": "string",
            "format": UPLOAD_ID,
            "description": "The body, as the bytes of the upload of this id; under its type unless headers name one.",
        }
        schema["not"] = {"anyOf": [{"required": list(pair)} for pair in combinations(("json", "text", _UPLOAD), 2)]}
    return MappingProxyType(schema)


def _method(verb: str, title: str, kind: Kind, *, idempotent: bool) -> Method:
    return Method(
        name=f"http.{verb.lower()}",
        title=title,
        kind=kind,
        idempotent=idempotent,
        timeout=_TIMEOUT,
        params_schema=_schema(has_body=kind is not Kind.READ),
        cache_ttl_param=_CACHE_TTL if kind is Kind.READ else "",
        upload_params=() if kind is Kind.READ else (_UPLOAD,),
    )


UPSTREAM = Upstream(
    name="http",
    title="Any HTTP API",
    methods=(
        _method("GET", "Read with GET", Kind.READ, idempotent=True),
        _method("HEAD", "Read the headers alone", Kind.READ, idempotent=True),
        _method("POST", "Send with POST", Kind.WRITE, idempotent=False),
        _method("PUT", "Replace with PUT", Kind.WRITE, idempotent=True),
        _method("PATCH", "Change with PATCH", Kind.WRITE, idempotent=False),
        _method("DELETE", "Remove with DELETE", Kind.WRITE, idempotent=True),
    ),
    limits=Limits(lane=Budget(concurrency=_LANE_CONCURRENCY)),  # rates are each host's own, who tells them or not
    breaker=BreakerPolicy(upstream=False),  # its hosts have nothing in common
    lane_param="url",
)
_VERBS = {method.name: method.name.removeprefix("http.").upper() for method in UPSTREAM.methods}
