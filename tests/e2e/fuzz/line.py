"""How the fuzzed requests are sent, how many there are, and what may come of one that is refused."""

from __future__ import annotations

import http.client
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, settings
from penstock.jobs.v1 import batches_pb2, uploads_pb2

from tests.e2e.api import TIMEOUT_S, Answer

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh

TENANT = "fuzzer"
#: What a request may be refused as for its fields.
REFUSALS = {400: "INVALID_ARGUMENT", 413: "TOO_LARGE"}
fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "15")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
)


@dataclass
class Line:
    """A connection that is kept for many requests, as a tenant of its own."""

    mesh: Mesh
    key: str
    #: What was accepted, and the keys it was accepted under.
    jobs: set[str] = field(default_factory=set)
    batches: set[str] = field(default_factory=set)
    uploads: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(urlsplit(self.mesh.url).netloc, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        with suppress(BrokenPipeError, ConnectionResetError):  # refused midway; the answer says why
            self.connection.request(method, path, body, headers if body is not None else headers | {"Content-Type": ""})
        response = self.connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        if response.will_close:
            self.connection.close()
        return answer

    def accepted(self, answer: Any, request: Any) -> None:
        if isinstance(answer, batches_pb2.Batch):
            self.batches.add(answer.id)
            self.jobs.update(job.id for job in answer.jobs)
        elif isinstance(answer, uploads_pb2.Upload):
            self.uploads.add(answer.id)
        else:
            self.jobs.add(answer.id)
        if key := getattr(request, "request_id", ""):
            self.keys.add(key)


def is_json(body: bytes) -> bool:
    """Whether it is JSON at all (RFC 8259): else no field can be named."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        json.dumps(
            json.loads(body.decode(), parse_constant=refuse), ensure_ascii=False
        ).encode()  # half a pair is no text
    except (ValueError, RecursionError):
        return False
    return True
