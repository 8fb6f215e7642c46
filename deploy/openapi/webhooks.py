"""What receivers are sent: a webhook for each type of events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from services.webhooks.collecting.event_types.catalogue import BATCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.openapi.schemas import Schema

_TAG = "Webhooks"
TAG = {
    "name": _TAG,
    "description": (
        "What Penstock posts to endpoints, and to the `callbackUrl` of a job or batch. Every message is signed as "
        "Standard Webhooks 1.0.0 has it, and comes at least once: take a `webhook-id` that you have seen as done."
    ),
}
_HEADERS: Mapping[str, str] = {
    "webhook-id": "Names the event, the same in every attempt.",
    "webhook-timestamp": "When this attempt was made, in Unix seconds. Refuse one that is more than five minutes off.",
    "webhook-signature": (
        "One or more signatures of `<webhook-id>.<webhook-timestamp>.<body>`, with spaces between: `v1,` and a "
        "HMAC-SHA256 made with the secret, `v1a,` and an Ed25519 signature. Any one that holds will do."
    ),
}
_ANSWERS: Mapping[str, str] = {
    "2XX": "The event is taken.",
    "410": "Nothing more is to be sent here; the endpoint is disabled.",
    "default": "The event is sent again later; `Retry-After` with 429, 502, 503 or 504 says not before when.",
}


def webhooks(types: Mapping[str, Schema]) -> dict[str, Schema]:
    """The webhook of each event type.

    Args:
        types: The schema of each one's body, by name.
    """
    return {name: {"post": _operation(name, body)} for name, body in types.items()}


def _operation(name: str, body: Schema) -> Schema:
    example: Any = body["examples"][0]
    schema = {key: value for key, value in body.items() if key not in {"$schema", "$defs", "examples"}}
    return {
        "operationId": f"{_TAG}_{name}",
        "tags": [_TAG],
        "summary": "Several events in one message" if name == BATCH else f"`{name}`",
        "description": body["description"],
        "security": [],
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
            for header, said in _HEADERS.items()
        ],
        "requestBody": {
            "description": "What has happened.",
            "required": True,
            "content": {"application/json": {"schema": schema, "example": json.loads(json.dumps(example))}},
        },
        "responses": {status: {"description": said} for status, said in _ANSWERS.items()},
    }
