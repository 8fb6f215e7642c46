"""API6:2023 Unrestricted access to sensitive business flows: what each call alone may do, done many times at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from shared import ids
from tests.e2e.api import Answer, Api
from tests.e2e.attacks.tenants import in_an_hour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

#: Unfinished jobs that a tenant may have; the setting's default.
MOST = 1000
IN_A_BATCH = 95
AT_ONCE = 16


@pytest.fixture(scope="module")
def flooder(mesh: Mesh) -> Iterator[Api]:
    """A tenant of its own, none of whose jobs is called, and all of which are canceled at the end."""
    api = Api(mesh.url, mesh.new_key("flooder"))
    yield api
    listed = api.call("GET", "/api/v1/jobs?state=QUEUED&pageSize=500").json.get("jobs", [])
    for job in listed:
        if "batchId" not in job:
            api.call("POST", f"/api/v1/jobs/{job['id']}:cancel", {})


def order(mesh: Mesh) -> dict[str, object]:
    """A job that waits."""
    url = f"{mesh.far_end}/get"
    return {"upstream": "http", "method": "http.get", "params": {"url": url}, "notBefore": in_an_hour()}


def test_submits_at_the_same_moment_do_not_pass_the_limit_together(mesh: Mesh, flooder: Api) -> None:
    job = order(mesh)

    def submit(size: int) -> Answer:
        if size == 1:
            return flooder.call("POST", "/api/v1/jobs", job)
        return flooder.call("POST", "/api/v1/batches", {"jobs": [job] * size})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        batches = list(pool.map(submit, [IN_A_BATCH] * (MOST // IN_A_BATCH + 2)))
        singles = list(pool.map(submit, [1] * (MOST % IN_A_BATCH + 20)))
    accepted = [answer for answer in batches if answer.status == 200]
    try:
        assert len(accepted) == MOST // IN_A_BATCH
        assert sum(answer.status == 200 for answer in singles) == MOST % IN_A_BATCH
        for refused in (answer for answer in (*batches, *singles) if answer.status != 200):
            assert (refused.status, refused.reason) == (503, "QUEUE_FULL"), refused.body
            assert int(refused.headers["retry-after"]) >= 1
        assert submit(1).reason == "QUEUE_FULL"
    finally:
        for batch in accepted:
            assert flooder.call("POST", f"/api/v1/batches/{batch.json['id']}:cancel", {}).status == 200
    assert submit(1).status == 200  # room is given back, and only then


def test_another_tenant_is_not_in_the_way_of_the_limit(mesh: Mesh, intruder: Api, flooder: Api) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = [
            pool.submit(api.call, "POST", "/api/v1/batches", {"jobs": [order(mesh)] * IN_A_BATCH})
            for api in (flooder, intruder)
        ]
    made = [answer.result() for answer in answers]
    assert [answer.status for answer in made] == [200, 200]
    for api, batch in zip((flooder, intruder), made, strict=True):
        api.call("POST", f"/api/v1/batches/{batch.json['id']}:cancel", {})


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/batches"])
def test_one_key_at_the_same_moment_makes_one_thing(mesh: Mesh, flooder: Api, path: str) -> None:
    body = {**order(mesh), "requestId": (key := ids.new_request_id())}
    if path.endswith("batches"):
        body = {"jobs": [order(mesh)] * 3, "requestId": key}
    before = mesh.submitted()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: flooder.call("POST", path, body), range(AT_ONCE)))
    statuses = {answer.status for answer in answers}
    assert 200 in statuses
    assert statuses <= {200, 409}
    (made,) = {answer.json["id"] for answer in answers if answer.status == 200}
    assert mesh.submitted() - before == (3 if path.endswith("batches") else 1)
    if path.endswith("batches"):
        flooder.call("POST", f"/api/v1/batches/{made}:cancel", {})
