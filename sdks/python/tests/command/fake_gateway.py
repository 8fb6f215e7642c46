"""A gateway of a few lines: keeps jobs, batches, endpoints and connections as the real one answers with them."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "psk_live_0123456789abcdefghijkl"
AT = "2026-11-27T08:00:00.123Z"
ENDED = "2026-11-27T08:00:01.5Z"


class Refused(Exception):
    def __init__(self, status: int, reason: str, message: str, *violations: tuple[str, str], **metadata: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.violations, self.metadata = status, reason, violations, metadata

    @property
    def body(self) -> Any:
        details: list[Any] = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.reason, "metadata": self.metadata},
            {
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [{"url": f"http://penstock.test/docs/errors/{self.reason}"}],
            },
        ]
        if self.violations:
            faults = [{"field": field, "description": text} for field, text in self.violations]
            details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": faults})
        return {"error": {"code": self.status, "status": "X", "message": str(self), "details": details}}


class FakeGateway:
    """What it keeps, and what it was asked.

    `holds` says of which jobs the end is kept back; `made` counts jobs by their URL; `asked` has all calls.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.jobs: dict[str, Any] = {}
        self.batches: dict[str, list[str]] = {}
        self.by_key: dict[str, tuple[Any, str]] = {}
        self.things: dict[str, dict[str, Any]] = {"endpoints": {}, "connections": {}}
        self.answers: dict[tuple[str, str], Any] = {}
        self.made: Counter[str] = Counter()
        self.holds: Callable[[Any], bool] = lambda _: False
        self.changed = threading.Condition()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), "it did not come to that"

    def release(self) -> None:
        with self.changed:
            self.holds = lambda _: False
            self.changed.notify_all()

    def answer(self, verb: str, path: str, query: dict[str, str], body: Any, key: str | None) -> Any:
        with self.changed:
            self.asked.append((verb, path, query, body))
            self.changed.notify_all()
            if (verb, path) in self.answers:
                told = self.answers[verb, path]
                if isinstance(told, Exception):
                    raise told
                return told(query, body) if callable(told) else told
            for (wanted, pattern), act in ROUTES.items():
                if wanted == verb and (found := re.fullmatch(pattern, path)):
                    return act(self, *found.groups(), query=query, body=body, key=key)
        raise Refused(404, "ROUTE_NOT_FOUND", f"no {verb} {path}")

    def make(self, request: Any) -> str:
        job_id = f"{request['upstream']}-{uuid.uuid4()}"
        self.made[str(request.get("params", {}).get("url"))] += 1
        self.jobs[job_id] = request
        return job_id

    def job(self, job_id: str) -> Any:
        if job_id not in self.jobs:
            raise Refused(404, "JOB_NOT_FOUND", f"there is no job {job_id}")
        request = self.jobs[job_id]
        url = str(request.get("params", {}).get("url"))
        job: dict[str, Any] = {
            "id": job_id, "upstream": request["upstream"], "method": request["method"], "state": "QUEUED",
            "createdAt": AT, "updatedAt": AT, "maxAttempts": 3, "revision": "1",
        }  # fmt: skip
        if self.holds(request):
            return job
        job |= {"attempt": 1, "finishedAt": ENDED, "updatedAt": ENDED, "revision": "3"}
        if "fail" in url:
            error = {"reason": "UPSTREAM_STATUS", "message": "the upstream has answered 500", "upstreamStatus": 500}
            return job | {"state": "FAILED", "error": error}
        return job | {
            "state": "SUCCEEDED",
            "result": {"inline": {"status": 200, "text": url}, "contentType": "text/plain"},
        }


def once(gateway: FakeGateway, key: str | None, body: Any, make: Callable[[], str]) -> str:
    if key is None:
        return make()
    known, made = gateway.by_key.get(key, (body, ""))
    if known != body:
        raise Refused(422, "IDEMPOTENCY_KEY_REUSED", "the key was used for another request")
    if not made:
        gateway.by_key[key] = body, (made := make())
    return made


def submit_job(gateway: FakeGateway, *, body: Any, key: str | None, **_: Any) -> Any:
    violations = faults(body, "")
    if violations:
        raise Refused(400, "INVALID_ARGUMENT", violations[0][1], *violations)
    return gateway.job(once(gateway, key, body, lambda: gateway.make(body)))


def faults(job: Any, at: str) -> list[tuple[str, str]]:
    missing = [(f"{at}{name}", "is required") for name in ("upstream", "method") if not job.get(name)]
    wrong = [(f"{at}params.url", "is no URL")] if job.get("params", {}).get("url") == "wrong" else []
    return missing + wrong


def submit_batch(gateway: FakeGateway, *, body: Any, key: str | None, **_: Any) -> Any:
    violations = [each for number, job in enumerate(body["jobs"]) for each in faults(job, f"jobs[{number}].")]
    if violations:
        raise Refused(400, "INVALID_ARGUMENT", violations[0][1], *violations)

    def make() -> str:
        batch_id = f"batch_{uuid.uuid4()}"
        gateway.batches[batch_id] = [gateway.make(job) for job in body["jobs"]]
        return batch_id

    return get_batch(gateway, once(gateway, key, body, make))


def get_batch(gateway: FakeGateway, batch_id: str, **_: Any) -> Any:
    jobs = [gateway.job(job_id) for job_id in gateway.batches[batch_id]]
    counts = Counter(job["state"].lower() for job in jobs)
    ended = {"finishedAt": ENDED} if all("finishedAt" in job for job in jobs) else {}
    return {"id": batch_id, "createdAt": AT, "size": len(jobs), "counts": counts, "jobs": jobs, **ended}


def wait_job(gateway: FakeGateway, job_id: str, *, query: dict[str, str], **_: Any) -> Any:
    timeout_s = min(float(query.get("timeout", "1s").removesuffix("s")), 2.0)
    gateway.changed.wait_for(lambda: "finishedAt" in gateway.job(job_id), timeout_s)
    return gateway.job(job_id)


def watch_job(gateway: FakeGateway, job_id: str, **_: Any) -> Any:
    ended = gateway.job(job_id)
    queued = {name: ended[name] for name in ("id", "upstream", "method", "createdAt", "maxAttempts")}
    running = {**queued, "updatedAt": AT, "attempt": 1, "state": "RUNNING", "revision": "2"}
    jobs = [{**queued, "updatedAt": AT, "state": "QUEUED", "revision": "1"}, running, ended]
    text = "".join(f"event: job\nid: {job['revision']}\ndata: {json.dumps(job)}\n\n" for job in jobs)
    return text.encode(), "text/event-stream"


def list_jobs(gateway: FakeGateway, *, query: dict[str, str], **_: Any) -> Any:
    jobs = [gateway.job(job_id) for job_id in reversed(gateway.jobs)]
    start = int(query.get("pageToken") or 0)
    size = int(query.get("pageSize") or 50)
    found = [job for job in jobs if query.get("state") in (None, job["state"])]
    more = {"nextPageToken": str(start + size)} if start + size < len(found) else {}
    return {"jobs": found[start : start + size], **more}


def export_jobs(gateway: FakeGateway, *, query: dict[str, str], **_: Any) -> Any:
    ids = [*gateway.jobs]
    start = ids.index(query["afterJobId"]) + 1 if "afterJobId" in query else 0
    lines = [json.dumps(gateway.job(job_id)) for job_id in ids[start:]]
    return "".join(f"{line}\n" for line in lines).encode(), "application/x-ndjson"


def job_result(gateway: FakeGateway, job_id: str, **_: Any) -> Any:
    return str(gateway.job(job_id)["result"]["inline"]["text"]).encode(), "text/plain"


def create_endpoint(gateway: FakeGateway, *, body: Any, **_: Any) -> Any:
    endpoint = {"id": f"ep_{uuid.uuid4()}", "enabled": True, "createdAt": AT, "url": body["url"]}
    gateway.things["endpoints"][endpoint["id"]] = endpoint
    return {"endpoint": endpoint, "secret": {"secret": body.get("secret", "whsec_made"), "publicKey": "whpk_made"}}


def listed(gateway: FakeGateway, noun: str, **_: Any) -> Any:
    return {noun: [*gateway.things[noun].values()]}


def got(gateway: FakeGateway, noun: str, thing_id: str, **_: Any) -> Any:
    return gateway.things[noun][thing_id]


def deleted(gateway: FakeGateway, noun: str, thing_id: str, **_: Any) -> Any:
    if gateway.things[noun].pop(thing_id, None) is None:
        raise Refused(404, f"{noun[:-1].upper()}_NOT_FOUND", f"there is no {thing_id}")
    return {}


ROUTES: dict[tuple[str, str], Callable[..., Any]] = {
    ("POST", "/jobs"): submit_job,
    ("GET", "/jobs"): list_jobs,
    ("GET", "/jobs:export"): export_jobs,
    ("GET", r"/jobs/([^/:]+)"): lambda gateway, job_id, **_: gateway.job(job_id),
    ("GET", r"/jobs/([^/:]+):wait"): wait_job,
    ("GET", r"/jobs/([^/:]+):watch"): watch_job,
    ("GET", r"/jobs/([^/:]+)/result"): job_result,
    ("POST", r"/jobs/([^/:]+):(?:cancel|retry)"): lambda gateway, job_id, **_: gateway.job(job_id),
    ("POST", "/batches"): submit_batch,
    ("GET", r"/batches/([^/:]+)"): get_batch,
    ("POST", "/endpoints"): create_endpoint,
    ("GET", r"/(endpoints|connections)"): listed,
    ("GET", r"/(endpoints|connections)/([^/:]+)"): got,
    ("DELETE", r"/(endpoints|connections)/([^/:]+)"): deleted,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: FakeGateway

    def _handle(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.headers.get("Idempotency-Key")
        try:
            self._authenticate()
            body = json.loads(text) if text else {}
            key = body.pop("requestId", key)
            told = self.server.gateway.answer(self.command, asked.path.removeprefix("/api/v1"), query, body, key)
            status = 200
        except Refused as error:
            status, told = error.status, error.body
        content, kind = told if isinstance(told, tuple) else (json.dumps(told).encode(), "application/json")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _authenticate(self) -> None:
        if KEY not in {self.headers.get("X-API-Key"), (self.headers.get("Authorization") or "")[7:]}:
            raise Refused(401, "UNAUTHENTICATED", "this key does not work")

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _handle  # noqa: N815  # names that http.server calls

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    gateway: FakeGateway


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    server = Server(("127.0.0.1", 0), Handler)
    server.gateway = gateway = FakeGateway()
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
