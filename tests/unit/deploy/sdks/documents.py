"""A small document of an API, and the names of its RPCs."""

from __future__ import annotations

import copy
from typing import Any

from deploy.sdks.reading import Reader

_JOB = {"schema": {"$ref": "#/components/schemas/Job"}}
_STATE = {"schema": {"$ref": "#/components/schemas/State"}}
_TEXT = {"type": "string", "description": "A text."}


def _answers(schema: dict[str, Any] | None = None) -> dict[str, Any]:
    content = schema or {"schema": {"type": "object"}}
    return {"200": {"description": "It.", "content": {"application/json": content}}}


def refusal(*reasons: str) -> dict[str, Any]:
    """The answer of a call that is refused."""
    reason = {"properties": {"reason": {"enum": list(reasons)}}}
    error = {"properties": {"details": {"contains": reason}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"error": error}}]}
    return {"description": "Not so.", "content": {"application/json": {"schema": schema}}}


def operation(rpc: str, **more: Any) -> dict[str, Any]:
    """An operation that is asked nothing and answers with nothing."""
    return {"operationId": rpc.replace(".", "_"), "description": "Does it.", "responses": _answers(), **more}


def body(schema: str) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": "Which.", "schema": _TEXT}


def query_parameter(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": "What of.", "schema": schema or _TEXT}


#: Three RPCs of one service, one of which has a second binding; and one of another service.
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Tried", "version": "1"},
    "tags": [
        {"name": "JobService", "description": "JobService has jobs."},
        {"name": "StateService", "description": "StateService has states."},
    ],
    "webhooks": {},
    "paths": {
        "/jobs": {
            "post": operation(
                "JobService.SubmitJob",
                requestBody=body("SubmitJobRequest"),
                responses={**_answers(_JOB), "503": {"$ref": "#/components/responses/503"}},
            ),
            "get": operation(
                "JobService.ListJobs",
                parameters=[query_parameter("pageSize", type="integer", format="int32"), query_parameter("pageToken")],
                responses=_answers({"schema": {"$ref": "#/components/schemas/ListJobsResponse"}}),
            ),
        },
        "/jobs/{job_id}:wait": {"get": operation("JobService.WaitJob", parameters=[path_parameter("job_id")])},
        "/state": {"get": operation("StateService.GetState", responses=_answers(_STATE))},
        "/jobs/{job_id}/wait": {"get": operation("JobService.WaitJob_2", parameters=[path_parameter("job_id")])},
    },
    "components": {
        "responses": {"503": refusal("QUEUE_FULL")},
        "schemas": {
            "SubmitJobRequest": {
                "type": "object",
                "properties": {
                    "upstream": _TEXT,
                    "tokenId": {"type": "string", "deprecated": True},
                    "requestId": _TEXT,
                },
                "required": ["upstream"],
            },
            "ListJobsResponse": {
                "type": "object",
                "properties": {
                    "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}},
                    "nextPageToken": _TEXT,
                },
            },
            "Job": {
                "type": "object",
                "description": "Job is a job.",
                "properties": {
                    "id": _TEXT,
                    "secret": _TEXT,
                    "revision": {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
                    "state": {"$ref": "#/components/schemas/Job.State"},
                },
            },
            "State": {"type": "object", "properties": {}},
            "Job.State": {"type": "string", "description": "Where it stands.", "enum": ["QUEUED", "DONE"]},
        },
    },
}
NAMES: dict[str, Any] = {
    "nouns": {
        "jobs": {
            "submit": "JobService.SubmitJob",
            "list": "JobService.ListJobs",
            "by_hand": {"wait": "JobService.WaitJob"},
        },
        "state": {"get": "StateService.GetState"},
    },
    "left_out": {},
    "secrets": ["Job.secret"],
}
REASONS: list[dict[str, Any]] = [
    {"name": "QUEUE_FULL", "meaning": ["Too many jobs."], "http_status": 503},
    {"name": "UPSTREAM_STATUS", "meaning": ["A job's error: the upstream has failed."], "http_status": 0},
    {"name": "CONNECTION_NOT_FOUND", "meaning": ["No such connection. Also a job's error."], "http_status": 404},
]


def document() -> dict[str, Any]:
    """One of one's own."""
    return copy.deepcopy(DOCUMENT)


def names() -> dict[str, Any]:
    """Names of one's own."""
    return copy.deepcopy(NAMES)


def reader(of: dict[str, Any] | None = None, called: dict[str, Any] | None = None) -> Reader:
    """A reader of the small document, or of another one."""
    return Reader(of or DOCUMENT, REASONS, called or NAMES, optional=frozenset({"Job.revision"}))
