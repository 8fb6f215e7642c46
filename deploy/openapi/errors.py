"""The errors that an operation may answer with: those that its RPC's comment names, and those that any call may get."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from penstock.errors.v1.errors_pb2 import ErrorReason

from services.history import errors as history_errors
from services.webhooks import errors as webhooks_errors
from shared.config import DOCS_URL
from shared.errors import PenstockError
from shared.rpc import help_pages
from shared.rpc.status import DOMAIN, http_status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from google.protobuf.descriptor import MethodDescriptor

    from deploy.openapi.contract import Contract
    from deploy.openapi.schemas import Schema, Schemas
    from gateway.routes import Binding

_ENUM = "penstock.errors.v1.ErrorReason"
#: What services derive for themselves is known once their modules are read.
_SERVICES = (history_errors, webhooks_errors)
#: Nobody raises it: an operation that was canceled ends with it.
_NOT_RAISED = {"CANCELLED": ("CANCELLED", 499)}
#: What any call may be answered with.
_ANY = ("INVALID_ARGUMENT", "BAD_REQUEST", "RATE_LIMITED", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED")
_WITH_A_KEY = ("UNAUTHENTICATED", "PERMISSION_DENIED", "TENANT_SUSPENDED")
_WITH_A_BODY = ("TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE")
#: A variable part of a path that is empty makes another path.
_WITH_A_VARIABLE = ("ROUTE_NOT_FOUND",)
_PARAGRAPH = re.compile(r"^\s*Errors: (?P<list>.*)\.\s*$", re.DOTALL | re.MULTILINE)
#: `A`, `A with field paths`, `A (why)`, or `those of SubmitJob`.
_ITEM = re.compile(
    r"(?:and )?(?:those of (?P<other>[A-Z]\w+)|(?P<reason>[A-Z_]+)(?P<note> with [^(]+| \(.+\))?)", re.DOTALL
)
_HEADERS = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
_RETRIED = "IDEMPOTENCY_KEY_IN_FLIGHT"
_EXAMPLE = re.compile(r"^ {4,}(\{.*\})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Status:
    """What an error's reason is answered with: gRPC's status by name, and the HTTP status."""

    name: str
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Those of one operation: by HTTP status each reason, with what its RPC says of it."""

    by_status: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


def statuses() -> dict[str, Status]:
    """What each reason is answered with that a call may be answered with."""
    found = {reason: Status(*each) for reason, each in _NOT_RAISED.items()}
    pending: list[type[PenstockError]] = [PenstockError]
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        if error.code != PenstockError.code:
            # one that is derived has its parent's reason, or a more exact one
            found.setdefault(error.reason, Status(error.code, http_status(error)))
    return found


def named(contract: Contract, method: MethodDescriptor) -> dict[str, str]:
    """The reasons that an RPC's comment names, with what it says of each.

    Raises:
        ValueError: The comment names no reason of the contract, or an RPC that its service does not have.
    """
    paragraph = _PARAGRAPH.search(contract.raw_comment(method.full_name))
    found: dict[str, str] = {}
    for text in _split(paragraph["list"]) if paragraph else ():
        item = _ITEM.fullmatch(text)
        if item is None:
            raise ValueError(
                f"{method.full_name}: {text!r} is not read as an error; write REASON, REASON (why) or those of Rpc"
            )
        if item["other"]:
            other = method.containing_service.methods_by_name.get(item["other"])
            if other is None:
                raise ValueError(
                    f"{method.full_name} has the errors of {item['other']}, which its service does not have"
                )
            found = named(contract, other) | found
        elif item["reason"] not in ErrorReason.keys():  # noqa: SIM118  an enum's wrapper is no mapping
            raise ValueError(f"{method.full_name} names the error {item['reason']}, which {_ENUM} does not have")
        else:
            found[item["reason"]] = " ".join((item["note"] or "").split())
    return found


def without_errors(comment: str) -> str:
    """An RPC's comment without its paragraph on errors."""
    return re.sub(r"(?:^|\s)Errors: .*\Z", "", comment, flags=re.DOTALL).strip()


def of_binding(contract: Contract, binding: Binding, method: MethodDescriptor, *, anonymous: bool) -> Errors:
    """What a binding may be answered with.

    Args:
        contract: The protos.
        binding: One HTTP path of the RPC.
        method: The RPC.
        anonymous: Whether it asks for no key.

    Raises:
        ValueError: The RPC's comment names what is no error that a call is answered with.
    """
    found = named(contract, method)
    for reason in _common(binding, anonymous=anonymous):
        found.setdefault(reason, "")
    known = statuses()
    by_status: dict[int, dict[str, str]] = {}
    for reason in sorted(found):
        if reason not in known:
            raise ValueError(f"{method.full_name} names the error {reason}, which no call is answered with")
        by_status.setdefault(known[reason].code, {})[reason] = found[reason]
    return Errors(by_status=dict(sorted(by_status.items())))


def _common(binding: Binding, *, anonymous: bool) -> Iterator[str]:
    yield from _ANY
    if not anonymous:
        yield from _WITH_A_KEY
    if binding.body:
        yield from _WITH_A_BODY
    if binding.template.variables:
        yield from _WITH_A_VARIABLE


def _split(text: str) -> Iterator[str]:
    """The items of a list whose commas may stand in brackets too."""
    for item in re.split(r",\s+(?![^(]*\))", text):
        yield item.strip()


class Answers:
    """Makes the answers of errors, and gathers those that several operations have.

    Args:
        contract: The protos.
        schemas: Makes the parts of an error's schema.
    """

    def __init__(self, contract: Contract, schemas: Schemas) -> None:
        self._contract = contract
        self._statuses = statuses()
        self.responses: dict[str, Schema] = {}
        self.examples: dict[str, Schema] = {}
        self.error = _error_schema(contract, schemas)

    def answers(self, errors: Errors) -> dict[str, Schema]:
        """The answers of an operation with these errors, by HTTP status."""
        return {str(status): self._answer(status, reasons) for status, reasons in errors.by_status.items()}

    def _answer(self, status: int, reasons: Mapping[str, str]) -> Schema:
        if any(reasons.values()):
            return self._made(status, reasons)
        name = f"{status}.{'.'.join(reasons)}"
        if name not in self.responses:
            self.responses[name] = self._made(status, reasons)
        return {"$ref": f"#/components/responses/{name}"}

    def _made(self, status: int, reasons: Mapping[str, str]) -> Schema:
        lines = [
            f"- [`{reason}`](/docs/errors/{reason}): {self._means(reason, note)}" for reason, note in reasons.items()
        ]
        headers = ["X-Request-Id", "API-Version", "RateLimit", "RateLimit-Policy", *_HEADERS.get(status, ())]
        if _RETRIED in reasons:
            headers.append("Retry-After")
        for reason in reasons:
            self.examples.setdefault(reason, self._example(reason))
        info = {"properties": {"reason": {"enum": list(reasons)}}, "required": ["reason"]}
        error = {"properties": {"code": {"const": status}, "details": {"contains": info}}}
        schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"error": error}}]}
        return {
            "description": f"{HTTPStatus(status).phrase}\n\n" + "\n".join(lines),
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
            "content": {
                "application/json": {
                    "schema": schema,
                    "examples": {reason: {"$ref": f"#/components/examples/{reason}"} for reason in reasons},
                }
            },
        }

    def _means(self, reason: str, note: str) -> str:
        meaning = self._contract.comment(f"{_ENUM}.{reason}").partition("\n\n")[0]
        return f"{meaning} Here {note}." if note.startswith("with") else f"{meaning} {note}".strip()

    def _example(self, reason: str) -> Schema:
        """An error as a whole, around the ErrorInfo that the reason's comment shows."""
        comment = self._contract.raw_comment(f"{_ENUM}.{reason}")
        shown = _EXAMPLE.search(comment)
        info: dict[str, Any] = json.loads(shown[1]) if shown else {"reason": reason, "domain": DOMAIN, "metadata": {}}
        meaning = self._contract.comment(f"{_ENUM}.{reason}").partition("\n\n")[0]
        status = self._statuses[reason]
        details: list[dict[str, Any]] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}]
        link = {"description": help_pages.DESCRIPTION, "url": help_pages.page_of(reason, docs_url=DOCS_URL)}
        details.append({"@type": "type.googleapis.com/google.rpc.Help", "links": [link]})
        error = {"code": status.code, "status": status.name, "message": meaning, "details": details}
        return {"summary": reason, "value": {"error": error}}


def _error_schema(contract: Contract, schemas: Schemas) -> Schema:
    """The one shape, whose details are in the form of an `Any`."""
    schemas.reference(contract.message("google.rpc.BadRequest.FieldViolation"), without=("reason", "localizedMessage"))
    kinds = ("ErrorInfo", "BadRequest", "RetryInfo", "Help")
    details = [_detail(contract, schemas, f"google.rpc.{kind}") for kind in kinds]
    error: Schema = {
        "type": "object",
        "description": "What went wrong.",
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status."},
            "status": {"type": "string", "description": "The name of gRPC's status (`google.rpc.Code`)."},
            "message": {
                "type": "string",
                "description": "For people: what was wrong, with which value, and what to do.",
            },
            "details": {
                "type": "array",
                "description": "For programs. One of them is a `google.rpc.ErrorInfo`, whose `reason` is stable.",
                "items": {"anyOf": details},
            },
        },
        "required": ["code", "status", "message", "details"],
    }
    return {
        "type": "object",
        "description": "The one shape of all errors (AIP-193).",
        "externalDocs": {"description": "Every reason, and what to do about it", "url": "/docs/errors"},
        "properties": {"error": error},
        "required": ["error"],
    }


def _detail(contract: Contract, schemas: Schemas, name: str, required: Collection[str] = ("@type",)) -> Schema:
    schema = schemas.message(contract.message(name))
    kind = {"description": "What kind of detail it is.", "const": f"type.googleapis.com/{name}"}
    return schema | {"properties": {"@type": kind, **schema["properties"]}, "required": list(required)}
