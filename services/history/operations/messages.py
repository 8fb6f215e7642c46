"""Operations as messages, and the filter of their list as it is read."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

import grpc
from google.longrunning import operations_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from penstock.history.v1 import data_pb2, history_pb2

from services.history.operations.domain import Filter, Kind, State
from shared.errors import FieldViolation, InvalidArgument, every_error, shown
from shared.rpc.help_pages import help_on
from shared.rpc.status import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from services.history.operations.domain import Operation

    Metadata = type[history_pb2.BulkMetadata | data_pb2.DataMetadata]

#: What the metadata and the response of each kind are.
_TYPES: Mapping[Kind, tuple[Metadata, type[Message]]] = MappingProxyType(
    {
        Kind.CANCEL_JOBS: (history_pb2.BulkMetadata, history_pb2.BulkResponse),
        Kind.RETRY_JOBS: (history_pb2.BulkMetadata, history_pb2.BulkResponse),
        Kind.EXPORT_DATA: (data_pb2.DataMetadata, data_pb2.ExportDataResponse),
        Kind.ERASE_DATA: (data_pb2.DataMetadata, data_pb2.EraseDataResponse),
    }
)
_CODES = {error.reason: grpc.StatusCode[error.code].value[0] for error in every_error()}
_TERM = re.compile(r'\s*(?P<field>[A-Za-z_]+)\s*=\s*"?(?P<value>[A-Za-z_]+)"?\s*')
_AND = re.compile(r"\s+AND\s+")
_FILTERS = "it takes done=true, done=false and kind=…, joined by AND"


def message_of(operation: Operation, response: bytes) -> operations_pb2.Operation:
    """The operation as callers see it.

    Args:
        operation: As it stands.
        response: What it came to, as it is shown now; of one that has succeeded alone.
    """
    metadata_type, response_type = _TYPES[operation.kind]
    metadata = metadata_type.FromString(operation.metadata)
    metadata.cancel_requested = operation.cancel_requested
    message = operations_pb2.Operation(name=operation.name, done=operation.ended)
    message.metadata.Pack(metadata)
    match operation.state:
        case State.SUCCEEDED:
            message.response.Pack(response_type.FromString(response))
        case State.CANCELED:
            message.error.CopyFrom(_error(code_pb2.CANCELLED, "CANCELLED", "the operation was canceled"))
        case State.FAILED:
            code = _CODES.get(operation.reason, code_pb2.INTERNAL)
            message.error.CopyFrom(_error(code, operation.reason, operation.message))
        case State.RUNNING:
            pass
    return message


def read_filter(text: str) -> Filter:
    """Which operations a list is asked for: a small part of AIP-160.

    Raises:
        InvalidArgument: It asks for something else.
    """
    kind: Kind | None = None
    ended: bool | None = None
    if not text.strip():
        return Filter()
    for term in _AND.split(text):
        match = _TERM.fullmatch(term)
        field, value = (match["field"], match["value"]) if match else ("", "")
        if field == "done" and value in {"true", "false"} and ended is None:
            ended = value == "true"
        elif field == "kind" and kind is None:
            if value not in Kind.__members__:
                raise InvalidArgument.field("filter", f"has the kind {shown(value)}; there are {', '.join(Kind)}")
            kind = Kind(value)
        else:
            raise InvalidArgument.of([FieldViolation("filter", f"has {shown(term.strip())}; {_FILTERS}")])
    return Filter(kind=kind, ended=ended)


def _error(code: int, reason: str, message: str) -> status_pb2.Status:
    """Why an operation has come to nothing, as a call would have it (AIP-151, "Errors")."""
    error = status_pb2.Status(code=code, message=message)
    error.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
    error.details.add().Pack(help_on(reason))
    return error
