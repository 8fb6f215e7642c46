"""The table of `docs/api.md` against the running mesh: each form of each path, with the statuses that its row names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.permissions import Scope
from tests import api_table
from tests.e2e.api import Api
from tests.e2e.conforming import REQUESTS, UPLOAD, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.api import Answer
    from tests.e2e.mesh import Mesh

_ROWS = {rpc: row for rpc, row in api_table.rows().items() if row.bindings}
_FORMS = [(rpc, verb, path) for rpc, row in _ROWS.items() for verb, path in row.bindings]
_BODIES = {"POST", "PUT", "PATCH"}
#: Those take what they are told as their query.
_WITHOUT_BODY = "/api/v1/cache/invalidate"
_NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def world(mesh: Mesh) -> World:
    return World(mesh)


@pytest.fixture(scope="module")
def stranger(mesh: Mesh) -> Api:
    """Of another tenant, and allowed whatever a tenant may be."""
    return Api(mesh.url, mesh.new_key("stranger"))


@pytest.fixture(scope="module")
def helpless(mesh: Mesh) -> Callable[[str], Api]:
    """A key that lacks the scope."""
    keys = {scope: Api(mesh.url, mesh.new_key("conforming", [scope])) for scope in (Scope.AUDIT_READ, Scope.JOBS_READ)}
    return lambda scope: keys[Scope.JOBS_READ if scope == Scope.AUDIT_READ else Scope.AUDIT_READ]


def _plain(template: str) -> str:
    """A path of the template that is about nothing there is."""
    return re.sub(r"\{\w+\}", "x", template)


def _refused(answer: Answer, status: int, reason: str, of: object) -> None:
    assert (answer.status, answer.reason) == (status, reason), (of, answer.body)


def test_each_rpc_has_a_request_that_succeeds() -> None:
    assert REQUESTS.keys() == _ROWS.keys()


@pytest.mark.parametrize("rpc", _ROWS)
def test_each_form_of_a_path_succeeds_as_its_row_says_and_shows_strangers_nothing(
    world: World, stranger: Api, rpc: str
) -> None:
    row = _ROWS[rpc]
    for verb, path in row.bindings:
        wish = REQUESTS[rpc](world)
        body = None if path == _WITHOUT_BODY else wish.body
        if row.scope not in {"operator", "none"} and (named := set(re.findall(r"\{(\w+)\}", path)) - {"upstream"}):
            foreign = stranger.call(verb, wish.at(path), body)
            assert (foreign.status, row.errors[foreign.reason]) == (404, 404), (verb, path, named, foreign.body)
        answer = world.call(row.scope, verb, path, replace(wish, body=body))
        assert answer.status == row.success[0], (verb, path, answer.body)
        assert answer.headers["x-request-id"]


def test_whoever_has_no_key_or_not_the_scope_is_refused_at_each_path(
    mesh: Mesh, world: World, helpless: Callable[[str], Api]
) -> None:
    nobody = Api(mesh.url)
    for rpc, verb, path in _FORMS:
        if (scope := _ROWS[rpc].scope) != "none":
            answer = nobody.call(verb, _plain(path))
            _refused(answer, 401, "UNAUTHENTICATED", (verb, path))
            assert answer.headers["www-authenticate"] == "Bearer"
            body = {} if verb == "PUT" else None  # it is a field of the request, without which that is none
            _refused(helpless(scope).call(verb, _plain(path), body), 403, "PERMISSION_DENIED", (verb, path))


def test_each_path_refuses_what_it_does_not_know_and_what_is_no_json(world: World) -> None:
    for rpc, verb, path in _FORMS:
        if _ROWS[rpc].scope != "none":  # whatever a provider sends along with a browser is passed over
            answer = world.operator.call(verb, f"{_plain(path)}?nope=1", b"" if verb in _BODIES else None)
            _refused(answer, 400, "INVALID_ARGUMENT", (verb, path))
            assert answer.fields == {"nope"}
        if verb in _BODIES and path != _WITHOUT_BODY:
            answer = world.operator.call(verb, _plain(path), b"{}", headers={"Content-Type": "text/plain"})
            _refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE", (verb, path))
        else:
            _refused(world.operator.call(verb, _plain(path), b"{}"), 400, "BAD_REQUEST", (verb, path))


def test_each_path_names_the_methods_that_it_takes(world: World) -> None:
    taken: dict[str, set[str]] = {}
    for _, verb, path in _FORMS:
        taken.setdefault(re.sub(r"\{\w+\}", "x", path), set()).add(verb)
    for path, verbs in taken.items():
        answer = world.api.call("TRACE" if path.endswith("callback") else "OPTIONS", path)
        _refused(answer, 405, "METHOD_NOT_ALLOWED", path)
        assert set(answer.headers["allow"].split(", ")) >= verbs


def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    _refused(world.api.call("POST", "/api/v1/jobs", b" " * (10 * 1024 * 1024 + 1)), 413, "TOO_LARGE", "a job")


def _provoked(world: World) -> Iterator[tuple[str, str, Callable[[], Answer]]]:
    """Each RPC's own errors: those that a single caller comes to by what it asks for."""
    api, key = world.api, {"Idempotency-Key": f"conforming-{world.number()}"}
    ended, waiting = world.ended(), world.waiting()
    missing = f"http-{_NOBODY}"
    one, other = world.job(), world.job(method="http.head")
    for rpc, path, bodies in (
        ("JobService.SubmitJob", "/api/v1/jobs", (one, other)),
        ("JobService.SubmitBatch", "/api/v1/batches", ({"jobs": [one]}, {"jobs": [other]})),
    ):
        told = {"Idempotency-Key": f"{key['Idempotency-Key']}-{rpc}"}
        assert api.call("POST", path, bodies[0], headers=told).status == 200
        yield rpc, "IDEMPOTENCY_KEY_REUSED", lambda p=path, b=bodies, t=told: api.call("POST", p, b[1], headers=t)
    yield "JobService.CancelJob", "JOB_FINISHED", lambda: api.call("POST", f"/api/v1/jobs/{ended}:cancel", {})
    yield "JobService.RetryJob", "JOB_NOT_FINISHED", lambda: api.call("POST", f"/api/v1/jobs/{waiting}:retry", {})
    result = f"/api/v1/jobs/{ended}/result"
    yield "JobService.GetJobResult", "JOB_NOT_FINISHED", lambda: api.call("GET", f"/api/v1/jobs/{waiting}/result")
    yield (
        "JobService.GetJobResult",
        "RANGE_NOT_SATISFIABLE",
        lambda: api.call("GET", result, headers={"Range": "bytes=99999999-"}),
    )
    assert api.call("POST", f"/api/v1/jobs/{waiting}:cancel", {}).status == 200
    yield "JobService.GetJobResult", "RESULT_NOT_FOUND", lambda: api.call("GET", f"/api/v1/jobs/{waiting}/result")
    yield (
        "HistoryService.ExportJobs",
        "JOB_NOT_FOUND",
        lambda: api.call("GET", f"/api/v1/jobs:export?afterJobId={missing}"),
    )
    upload = world.ok("POST", "/api/v1/uploads", UPLOAD)["id"]
    yield (
        "UploadService.CompleteUpload",
        "UPLOAD_INCOMPLETE",
        lambda: api.call("POST", f"/api/v1/uploads/{upload}:complete", {}),
    )
    for rpc, path, body in (
        ("DataService.ExportData", "/api/v1/data:export", {"connectionId": f"con_{_NOBODY}"}),
        ("DataService.EraseData", "/api/v1/data:erase", {"connectionId": f"con_{_NOBODY}"}),
        (
            "ConnectionService.AuthorizeConnection",
            "/api/v1/connections:authorize",
            {"provider": "flickr", "connectionId": f"con_{_NOBODY}"},
        ),
    ):
        yield rpc, "CONNECTION_NOT_FOUND", lambda p=path, b=body: api.call("POST", p, b)
    yield (
        "ConnectionService.AuthorizeConnection",
        "PROVIDER_NOT_FOUND",
        lambda: api.call("POST", "/api/v1/connections:authorize", {"provider": "nowhere"}),
    )
    yield (
        "ConnectionService.CompleteConnection",
        "AUTHORIZATION_NOT_FOUND",
        lambda: api.call("POST", "/api/v1/connections:complete", {"state": "x" * 43, "code": "1"}),
    )
    revoked = world.key()
    assert api.call("DELETE", f"/api/v1/keys/{revoked}").status == 200
    yield "KeyService.RotateKey", "KEY_NOT_ACTIVE", lambda: api.call("POST", f"/api/v1/keys/{revoked}:rotate", {})
    operator, because = world.operator, {"reason": "a test"}
    yield (
        "TenantService.CreateTenant",
        "TENANT_EXISTS",
        lambda: operator.call("POST", "/api/v1/tenants", {"name": "conforming"}),
    )
    yield (
        "TenantService.SuspendTenant",
        "OWN_TENANT",
        lambda: operator.call("POST", "/api/v1/tenants/mesh:suspend", because),
    )
    for verb, rpc, action in (
        ("GET", "GetTenant", ""),
        ("POST", "SuspendTenant", ":suspend"),
        ("POST", "ResumeTenant", ":resume"),
    ):
        path = f"/api/v1/tenants/nobody-here{action}"
        body = because if action == ":suspend" else {} if verb == "POST" else None
        yield f"TenantService.{rpc}", "TENANT_NOT_FOUND", lambda v=verb, p=path, b=body: operator.call(v, p, b)
    for rpc, row in _ROWS.items():
        if "UPSTREAM_NOT_FOUND" in row.errors:
            ((verb, path),) = row.bindings
            body = {} if verb in _BODIES else None
            where = path.replace("{upstream}", "nowhere")
            yield rpc, "UPSTREAM_NOT_FOUND", lambda v=verb, p=where, b=body: operator.call(v, p, b)
    endpoint = {"filter": {"endpointId": f"ep_{_NOBODY}"}}
    yield (
        "DeliveryService.ReplayDeliveries",
        "ENDPOINT_NOT_FOUND",
        lambda: api.call("POST", "/api/v1/deliveries:replay", endpoint),
    )


def test_each_error_that_one_caller_can_come_to_is_answered_as_its_row_says(world: World) -> None:
    for rpc, reason, call in _provoked(world):
        _refused(call(), _ROWS[rpc].errors[reason], reason, rpc)


def test_a_result_is_answered_in_each_way_that_its_row_names(world: World) -> None:
    job = world.ended()
    path = f"/api/v1/jobs/{job}/result"
    whole = world.api.call("GET", path)
    part = world.api.call("GET", path, headers={"Range": "bytes=0-1"})
    same = world.api.call("GET", path, headers={"If-None-Match": whole.headers["etag"]})
    # 302, of a result that is stored, is shown by test_results.py
    assert {whole.status, part.status, same.status, 302} == set(_ROWS["JobService.GetJobResult"].success)
    assert (part.body, same.body) == (whole.body[:2], b"")
