"""Flickr from "connect" to the result, through Envoy, as a tenant and its user see it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from deploy.local.demo.receiver import receiver
from shared import ids
from tests.e2e.api import Api
from tests.e2e.test_uploads import send
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.api import Answer
    from tests.e2e.flickr import Flickr
    from tests.e2e.mesh import Mesh

PHOTO = b"\xff\xd8\xff\xe0 a photo, as far as anybody here looks"
SEARCH = {"tags": "cat", "per_page": 5}


@dataclass(slots=True)
class Browser:
    """What a person's browser does with our links: it keeps cookies, and goes where it is sent by hand."""

    api: Api
    cookies: dict[str, str] = field(default_factory=dict)

    def open(self, url: str) -> Answer:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}"
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Accept": "text/html", **({"Cookie": cookies} if cookies else {})}
        answer = self.api.call("GET", path, headers=headers)
        if "set-cookie" in answer.headers:
            name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


@pytest.fixture(scope="module")
def api(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key("photographers"))


@pytest.fixture(scope="module")
def connection(api: Api, mesh: Mesh) -> str:
    """A connection that somebody has authorized in a browser."""
    return connect(api, mesh.flickr, scopes=["delete"])["id"]


def post(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.call("POST", path, body)
    assert answer.status == 200, answer.body
    return answer.json


def connect(api: Api, flickr: Flickr, **wish: Any) -> dict[str, Any]:
    """Authorizes a connection by the browser's way."""
    begun = post(api, "/api/v1/connections:authorize", {"provider": "flickr", **wish})
    browser = Browser(Api(api.url))
    sent_on = browser.open(begun["authorizationUrl"])
    assert sent_on.status == 302, sent_on.body
    back = flickr.click(sent_on.headers["location"])
    assert back.startswith(f"{api.url}/api/v1/connections/callback?")
    page = browser.open(back)
    assert (page.status, page.headers["content-type"].partition(";")[0]) == (200, "text/html"), page.body
    newest = api.call("GET", "/api/v1/connections?upstream=flickr&pageSize=1").json["connections"][0]
    found = api.call("GET", f"/api/v1/connections/{wish.get('connectionId', newest['id'])}").json
    assert found["state"] == "ACTIVE"
    return found


def submit(api: Api, method: str, connection: str, params: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {"upstream": "flickr", "method": method, "connectionId": connection, "params": params, **fields}
    return post(api, "/api/v1/jobs", body)


def call(api: Api, method: str, connection: str, params: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A job at its end."""
    return api.wait(submit(api, method, connection, params, **fields)["id"])


def answer_of(job: dict[str, Any]) -> dict[str, Any]:
    assert job["state"] == "SUCCEEDED", job
    return json.loads(job["result"]["inline"]["text"])


def state_of(api: Api, connection: str) -> str:
    return api.call("GET", f"/api/v1/connections/{connection}").json["state"]


def test_the_provider_is_listed_and_configured(api: Api) -> None:
    providers = {each["name"]: each for each in api.call("GET", "/api/v1/providers").json["providers"]}
    assert providers["flickr"]["configured"] is True
    assert (providers["flickr"]["kind"], providers["flickr"]["upstream"]) == ("OAUTH1", "flickr")
    assert providers["github"].get("configured", False) is False


def test_somebody_connects_in_a_browser_and_jobs_call_in_their_name(api: Api, mesh: Mesh, connection: str) -> None:
    found = api.call("GET", f"/api/v1/connections/{connection}").json
    assert ids.is_connection_id(found["id"])
    assert (found["upstream"], found["provider"], found["kind"]) == ("flickr", "flickr", "OAUTH1")
    assert found["account"] == {"id": mesh.flickr.user.nsid, "name": mesh.flickr.user.username}
    answered = answer_of(call(api, "flickr.test.login", connection, {}))
    assert (answered["stat"], answered["user"]["id"]) == ("ok", mesh.flickr.user.nsid)


def test_somebody_connects_by_carrying_a_code_over(api: Api, mesh: Mesh) -> None:
    begun = post(
        api, "/api/v1/connections:authorize", {"provider": "flickr", "outOfBand": True, "displayName": "by hand"}
    )
    code = re.search(r"<b>([0-9-]+)</b>", mesh.flickr.click(begun["authorizationUrl"]))
    assert code is not None
    wrong = api.call("POST", "/api/v1/connections:complete", {"state": "x" * 43, "code": code[1]})
    assert (wrong.status, wrong.reason) == (404, "AUTHORIZATION_NOT_FOUND")
    done = post(api, "/api/v1/connections:complete", {"state": begun["state"], "code": code[1]})
    assert (done["displayName"], done["state"], done["account"]["name"]) == ("by hand", "ACTIVE", "ada")
    again = api.call("POST", "/api/v1/connections:complete", {"state": begun["state"], "code": code[1]})
    assert (again.status, again.reason) == (404, "AUTHORIZATION_NOT_FOUND")


def test_a_read_that_is_repeated_is_answered_from_the_cache(api: Api, mesh: Mesh, connection: str) -> None:
    before = mesh.flickr.calls("flickr.photos.search")
    first = call(api, "flickr.photos.search", connection, SEARCH)
    again = call(api, "flickr.photos.search", connection, dict(reversed(SEARCH.items())))
    assert answer_of(first) == answer_of(again)
    assert (first["result"].get("fromCache", False), again["result"]["fromCache"]) == (False, True)
    assert mesh.flickr.calls("flickr.photos.search") == before + 1
    fresh = call(api, "flickr.photos.search", connection, SEARCH, cachePolicy="REFRESH")
    assert fresh["result"].get("fromCache", False) is False
    assert mesh.flickr.calls("flickr.photos.search") == before + 2
    gone = api.call("DELETE", f"/api/v1/cache/invalidate?token_id={connection}")
    assert (gone.status, int(gone.json["entries"])) == (200, 1), gone.body
    assert call(api, "flickr.photos.search", connection, SEARCH)["result"].get("fromCache", False) is False


def test_another_tenant_gets_no_answer_from_this_ones_cache(api: Api, mesh: Mesh, connection: str) -> None:
    call(api, "flickr.photos.search", connection, {"tags": "dog"})
    stranger = Api(mesh.url, mesh.new_key("other-photographers"))
    body = {
        "upstream": "flickr",
        "method": "flickr.photos.search",
        "connectionId": connection,
        "params": {"tags": "dog"},
    }
    refused = stranger.call("POST", "/api/v1/jobs", body)
    assert (refused.status, refused.fields) == (400, {"connectionId"})
    own = connect(stranger, mesh.flickr)["id"]
    assert call(stranger, "flickr.photos.search", own, {"tags": "dog"})["result"].get("fromCache", False) is False


async def test_a_photo_is_uploaded_once_its_callback_is_told_and_history_has_it(
    api: Api, mesh: Mesh, connection: str
) -> None:
    told = {"size": len(PHOTO), "sha256": hashlib.sha256(PHOTO).hexdigest(), "contentType": "image/jpeg"}
    upload = post(api, "/api/v1/uploads", told)
    assert send(upload["put"], PHOTO) == 200
    post(api, f"/api/v1/uploads/{upload['id']}:complete", {})
    before = mesh.flickr.calls("flickr.upload")
    async with receiver(api.call("GET", "/api/v1/callbackSecret").json["secret"], refusals=0) as hook:
        job = submit(api, "flickr.upload", connection, {"photo": upload["id"], "title": "A cat"}, callbackUrl=hook.url)
        ended = await eventually(lambda: _ended(api, job["id"]), within=150)
        assert ended["state"] == "SUCCEEDED", ended
        await eventually(hook.taken.is_set, within=150)
        assert hook.disbelieved == []
        assert hook.messages[0].payload["data"]["id"] == job["id"]
    assert mesh.flickr.calls("flickr.upload") == before + 1
    photo = mesh.flickr.far.asked[-1]
    assert (photo.method, photo.file) == ("flickr.upload", PHOTO)
    listed = await eventually(lambda: _in_history(api, connection, job["id"]), within=150)
    assert (listed["state"], listed["method"]) == ("SUCCEEDED", "flickr.upload")


def _ended(api: Api, job_id: str) -> dict[str, Any] | None:
    job = api.call("GET", f"/api/v1/jobs/{job_id}").json
    return job if "finishedAt" in job else None


def _in_history(api: Api, connection: str, job_id: str) -> dict[str, Any] | None:
    jobs = api.call("GET", f"/api/v1/jobs?connectionId={connection}").json["jobs"]
    return next((job for job in jobs if job["id"] == job_id and job["state"] == "SUCCEEDED"), None)


def test_what_flickr_refuses_is_a_failure_though_http_says_200(api: Api, connection: str) -> None:
    ended = call(api, "flickr.photos.getInfo", connection, {"photo_id": "1"})
    assert (ended["state"], ended["attempt"]) == ("FAILED", 1)
    error = ended["error"]
    assert (error["reason"], error["upstreamCode"], error["upstreamStatus"]) == ("UPSTREAM_REFUSED", "1", 200)
    assert "photo" in error["message"]


def test_a_method_that_is_not_listed_passes(api: Api, connection: str) -> None:
    ended = call(api, "flickr.no.such.method", connection, {"anything": "goes"})
    assert (ended["state"], ended["error"]["upstreamCode"]) == ("FAILED", "112")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"connectionId": ""}, {"connectionId"}),
        ({"connectionId": "con_x"}, {"connectionId"}),
        ({"connectionId": ids.new_connection_id()}, {"connectionId"}),
        ({"params": {"per_page": 501}}, {"params.per_page"}),
        ({"params": {"oauth_token": "mine"}}, {"params.oauth_token"}),
    ],
)
def test_a_wrong_job_is_refused_with_its_field(
    api: Api, connection: str, change: dict[str, Any], fields: set[str]
) -> None:
    good = {"upstream": "flickr", "method": "flickr.photos.search", "connectionId": connection, "params": SEARCH}
    refused = api.call("POST", "/api/v1/jobs", good | change)
    assert (refused.status, refused.fields) == (400, fields), refused.body


async def test_jobs_wait_for_a_revoked_token_until_somebody_says_yes_again(api: Api, mesh: Mesh) -> None:
    found = connect(api, mesh.flickr, reauthPolicy="WAIT")
    token = list(mesh.flickr.far.accounts.access_tokens)[-1]
    mesh.flickr.far.accounts.revoke(token)
    job = submit(api, "flickr.test.login", found["id"], {})
    await eventually(lambda: state_of(api, found["id"]) == "NEEDS_REAUTH", within=150)
    explained = await eventually(lambda: _held(api, job["id"]), within=150)
    assert explained["scope"] == "lane"
    connect(api, mesh.flickr, connectionId=found["id"])
    assert api.wait(job["id"])["state"] == "SUCCEEDED"


def _held(api: Api, job_id: str) -> dict[str, Any] | None:
    holds = api.call("GET", f"/api/v1/jobs/{job_id}:explain").json.get("holds", [])
    return next((hold for hold in holds if hold["kind"] == "NEEDS_REAUTH"), None)


def test_jobs_of_a_revoked_token_fail_where_nobody_wants_to_wait(api: Api, mesh: Mesh) -> None:
    found = connect(api, mesh.flickr)
    mesh.flickr.far.accounts.revoke(list(mesh.flickr.far.accounts.access_tokens)[-1])
    ended = call(api, "flickr.test.login", found["id"], {})
    assert (ended["state"], ended["error"]["reason"]) == ("FAILED", "CONNECTION_NEEDS_REAUTH")
    assert state_of(api, found["id"]) == "NEEDS_REAUTH"


def test_jobs_of_a_connection_that_is_deleted_while_they_wait_fail(api: Api, mesh: Mesh) -> None:
    found = connect(api, mesh.flickr)
    answer_of(call(api, "flickr.people.getInfo", found["id"], {"user_id": mesh.flickr.user.nsid}))
    pause = {"lane": found["id"], "reason": "so that the job waits"}
    assert api.call("POST", "/api/v1/queues/flickr:pause", pause).status == 200
    job = submit(api, "flickr.people.getInfo", found["id"], {"user_id": mesh.flickr.user.nsid})
    assert api.call("DELETE", f"/api/v1/connections/{found['id']}").status == 200
    assert api.call("POST", "/api/v1/queues/flickr:resume", {"lane": found["id"]}).status == 200
    ended = api.wait(job["id"])
    assert (ended["state"], ended["error"]["reason"]) == ("FAILED", "CONNECTION_NOT_FOUND")
    assert api.call("GET", f"/api/v1/connections/{found['id']}").status == 404


async def test_no_secret_of_a_connection_stands_anywhere(api: Api, mesh: Mesh, connection: str) -> None:
    job = call(api, "flickr.test.login", connection, {})
    answer_of(job)
    accounts = mesh.flickr.far.accounts
    secrets = [*mesh.flickr.secrets]
    for token in accounts.access_tokens.values():
        secrets += [token.token, token.secret]
    for wish in accounts.request_tokens.values():
        secrets += [wish.secret, wish.verifier or wish.secret]
    await eventually(
        lambda: "attempt" in {span.name for span in mesh.collector.spans(job["traceId"])}, what="the call's span"
    )
    stores = {
        "traces": str(mesh.collector.spans()).encode(),
        "redis": await mesh.everything_in_redis(),
        "nats": mesh.everything_in_nats(),
        "mongo": await mesh.everything_in_mongo(),
        "logs": b"\n".join(path.read_bytes() for path in mesh.logs.iterdir()),
    }
    assert all(stores.values())
    found = {(name, secret) for name, content in stores.items() for secret in secrets if secret.encode() in content}
    assert found == set()
