"""What the upstream `http` offers: a method for each verb, all of one schema.

They stand in code and not in data: they differ in a verb alone, and their params in whether there is a body.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from services.upstream import redirects
from services.upstream.domain import ConnectionUse, Kind, Method, Upstream
from services.upstream.limits import BreakerPolicy, Budget, Limits
from shared.addresses import MAX_URL_CHARACTERS
from shared.formats import CALLABLE_HEADER, HEADER_VALUE, PUBLIC_URL, UPLOAD_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The param that says for how many seconds an answer to a read may serve again.
_CACHE_TTL = "cacheTtlS"
#: The param that names an upload.
UPLOAD = "upload"
_TIMEOUT = timedelta(seconds=30)
#: Calls that one tenant may have at one host at a time: half of what a worker makes unless told otherwise, so that a
#: host on which each of them hangs for its whole time leaves the other half to everybody else.
_LANE_CONCURRENCY = 32


#: What methods without a body take.
_ANSWER: Mapping[str, Any] = MappingProxyType(
    {
        _CACHE_TTL: {
            "type": "integer",
            "minimum": 1,
            "maximum": 86400,
            "description": "Seconds for which an answer of 2xx is kept and serves the same call again; none without.",
        }
    }
)
#: What methods with a body take.
_BODY: Mapping[str, Any] = MappingProxyType(
    {
        "json": {"description": "The body, as JSON."},
        "text": {"type": "string", "description": "The body, as text in UTF-8."},
        UPLOAD: {
            "type": "string",
            "format": UPLOAD_ID,
            "description": "The body, as the bytes of the upload of this id; under its type unless headers name one.",
        },
        "idempotencyHeader": {
            "type": "string",
            "format": CALLABLE_HEADER,
            "description": "The header by which the upstream knows a call that comes again, such as Idempotency-Key: "
            "each attempt of the job sends it with one and the same value. The method stays as idempotent as it is.",
        },
    }
)


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
    properties |= _BODY if has_body else _ANSWER
    if has_body:
        schema["not"] = {"anyOf": [{"required": list(pair)} for pair in combinations(("json", "text", UPLOAD), 2)]}
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
        upload_params=() if kind is Kind.READ else (UPLOAD,),
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
    connection_use=ConnectionUse.OPTIONAL,
)
#: What each method asks with.
VERBS = {method.name: method.name.removeprefix("http.").upper() for method in UPSTREAM.methods}
