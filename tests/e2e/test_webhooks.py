"""Endpoints through Envoy, as a tenant sees them: made, told of jobs, disabled, enabled, and what failed made again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.e2e.api import Api
from tests.integration.webhooks.receiver import Answer, Received
from tests.integration.webhooks.receiver import receiver as receiver_
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.mesh import Mesh
    from tests.integration.webhooks.receiver import Receiver

#: So quick that a dead letter is one at once.
HASTY = {"pauses": ["1s"]}


@pytest.fixture(scope="module")
def api(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key("hooked"))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiver_() as running:
        yield running


def post(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.call("POST", path, body)
    assert answer.status == 200, answer.body
    return answer.json


def get(api: Api, path: str) -> dict[str, Any]:
    answer = api.call("GET", path)
    assert answer.status == 200, answer.body
    return answer.json


def endpoint(api: Api, receiver: Receiver, path: str, **fields: Any) -> dict[str, Any]:
    """Makes an endpoint for what succeeds, unless told otherwise."""
    settings = {"filter": {"eventTypes": ["job.succeeded"]}, **fields}
    return post(api, "/api/v1/endpoints", {"url": f"{receiver.url}{path}", **settings})


async def ended_job(api: Api, mesh: Mesh, **fields: Any) -> str:
    """A job that has succeeded."""
    job = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}, **fields}
    job_id = post(api, "/api/v1/jobs", job)["id"]
    ended = await asyncio.to_thread(api.wait, job_id)  # the receiver, on this loop, may be called meanwhile
    assert ended["state"] == "SUCCEEDED"
    return job_id


def listed(api: Api, query: str) -> list[dict[str, Any]]:
    """The deliveries that a query finds."""
    return get(api, f"/api/v1/deliveries?{query}").get("deliveries", [])


async def came(receiver: Receiver, path: str, job_id: str) -> Received:
    """The first message about a job that came to a path."""

    def found() -> Received | None:
        return next((each for each in receiver.at(path) if each.message["data"].get("id") == job_id), None)

    message = await eventually(found, within=60, what=f"a message about {job_id} at {path}")
    assert message is not None
    return message


async def one_delivery(api: Api, query: str) -> dict[str, Any]:
    """The one delivery that a query finds, with all that is told of it."""
    (found,) = await eventually(lambda: listed(api, query), within=60, what=query)
    return get(api, f"/api/v1/deliveries/{found['id']}")


async def test_a_job_is_told_signed_and_kept_with_what_the_receiver_said(
    api: Api, mesh: Mesh, receiver: Receiver
) -> None:
    made = endpoint(api, receiver, "/told", headers={"values": {"X-Team": "canary-team"}})
    shown, secret = made["endpoint"], made["secret"]
    assert shown["enabled"] is True
    assert shown["headerNames"] == ["x-team"]
    assert "canary-team" not in str(made)
    job_id = await ended_job(api, mesh, metadata={"order": "7"})
    message = await came(receiver, "/told", job_id)
    assert message.headers["X-Team"] == "canary-team"
    told = Webhook(secret["secret"]).verify(message.body, dict(message.headers))
    assert told["type"] == "job.succeeded"
    assert told["data"]["metadata"] == {"order": "7"}
    kinds = [signature.split(",")[0] for signature in message.headers["webhook-signature"].split(" ")]
    assert sorted(kinds) == ["v1", "v1a"]
    delivery = await one_delivery(api, f"about={job_id}&state=DELIVERED")
    assert (delivery["webhookId"], delivery["endpointId"]) == (message.webhook_id, shown["id"])
    assert delivery["payload"].encode() == message.body
    (attempt,) = delivery["attemptLog"]
    assert (attempt["number"], attempt["status"], attempt["reason"]) == (1, 200, "OK")
    stats = await eventually(lambda: _counted(api, shown["id"]), within=60, what="the attempt in the figures")
    assert (stats["successfulAttempts"], stats["successRatio"]) == (stats["attempts"], 1)


def _counted(api: Api, endpoint_id: str) -> dict[str, Any] | None:
    stats = get(api, f"/api/v1/endpoints/{endpoint_id}/stats")
    return stats if int(stats.get("attempts", 0)) else None


async def test_what_was_skipped_while_it_was_disabled_is_replayed(api: Api, mesh: Mesh, receiver: Receiver) -> None:
    endpoint_id = endpoint(api, receiver, "/away")["endpoint"]["id"]
    path = f"/api/v1/endpoints/{endpoint_id}"
    disabled = api.call("PATCH", path, {"enabled": False}).json
    assert disabled.get("enabled", False) is False
    assert disabled["disabledReason"] == "ASKED"
    jobs = {await ended_job(api, mesh) for _ in range(3)}
    skipped = f"endpointId={endpoint_id}&state=SKIPPED"
    await eventually(lambda: {each["about"] for each in listed(api, skipped)} == jobs, within=60)
    assert not receiver.at("/away")
    enabled = post(api, f"{path}:enable", {"replaySkipped": True})
    assert (enabled["endpoint"]["enabled"], enabled["skippedDeliveries"]) == (True, "3")
    for job_id in jobs:
        await came(receiver, "/away", job_id)
    replay = f"/api/v1/replays/{enabled['replay']['id']}"
    await eventually(lambda: get(api, replay)["state"] == "DONE", within=60)
    assert get(api, replay)["replayed"] == "3"


async def test_a_dead_letter_is_listed_and_made_again(api: Api, mesh: Mesh, receiver: Receiver) -> None:
    receiver.answers["/dead"] += [Answer(500, size=3), Answer(500)]
    endpoint_id = endpoint(api, receiver, "/dead", retry=HASTY)["endpoint"]["id"]
    job_id = await ended_job(api, mesh)
    dead = await one_delivery(api, f"endpointId={endpoint_id}&state=FAILED")
    assert (dead["attempts"], dead["maxAttempts"], dead["lastStatus"]) == (2, 2, 500)
    assert [attempt["status"] for attempt in dead["attemptLog"]] == [500, 500]
    assert dead["attemptLog"][0]["responseBody"] == "eHh4"
    again = post(api, f"/api/v1/deliveries/{dead['id']}:replay", {})
    assert (again["state"], again["replays"]) == ("PENDING", 1)
    delivered = await one_delivery(api, f"endpointId={endpoint_id}&state=DELIVERED")
    assert (delivered["id"], delivered["about"]) == (dead["id"], job_id)
    assert {each.webhook_id for each in receiver.at("/dead")} == {dead["webhookId"]}


async def test_dead_letters_of_a_time_are_made_again_together(api: Api, mesh: Mesh, receiver: Receiver) -> None:
    receiver.answers["/outage"] += [Answer(503)] * 6
    begun = datetime.now(UTC) - timedelta(seconds=1)
    endpoint_id = endpoint(api, receiver, "/outage", retry=HASTY)["endpoint"]["id"]
    jobs = {await ended_job(api, mesh) for _ in range(3)}
    failed = f"endpointId={endpoint_id}&state=FAILED"
    await eventually(lambda: {each["about"] for each in listed(api, failed)} == jobs, within=60)
    asked = {"filter": {"endpointId": endpoint_id, "createdAfter": begun.isoformat()}, "maxPerSecond": 1000}
    replay = post(api, "/api/v1/deliveries:replay", asked)
    assert replay["total"] == "3"
    delivered = f"endpointId={endpoint_id}&state=DELIVERED"
    await eventually(lambda: {each["about"] for each in listed(api, delivered)} == jobs, within=60)


async def test_410_disables_and_another_endpoint_is_told(api: Api, mesh: Mesh, receiver: Receiver) -> None:
    receiver.answers["/gone"] += [Answer(410)]
    watcher = endpoint(api, receiver, "/watcher", filter={"eventTypes": ["endpoint.*"]})["endpoint"]["id"]
    gone = endpoint(api, receiver, "/gone")["endpoint"]["id"]
    await ended_job(api, mesh)
    shown = await eventually(lambda: _disabled(api, gone), within=60, what="the end of the endpoint")
    assert shown["disabledReason"] == "GONE"

    def told() -> Received | None:
        return next(iter(receiver.at("/watcher")), None)

    message = await eventually(told, within=20, what="the notice")
    assert message is not None
    assert message.message["type"] == "endpoint.disabled"
    assert message.message["data"]["endpointId"] == gone
    assert api.call("DELETE", f"/api/v1/endpoints/{watcher}").status == 200


def _disabled(api: Api, endpoint_id: str) -> dict[str, Any] | None:
    shown = get(api, f"/api/v1/endpoints/{endpoint_id}")
    return shown if not shown.get("enabled", False) else None


async def test_a_secret_is_rotated_and_both_sign(api: Api, mesh: Mesh, receiver: Receiver) -> None:
    made = endpoint(api, receiver, "/rotated")
    path = f"/api/v1/endpoints/{made['endpoint']['id']}"
    new = post(api, f"{path}:rotateSecret", {"grace": "3600s"})
    assert new["secret"] != made["secret"]["secret"]
    assert get(api, f"{path}/secret")["secret"] == new["secret"]
    assert get(api, path)["publicKeys"] == [new["publicKey"], made["secret"]["publicKey"]]
    message = await came(receiver, "/rotated", await ended_job(api, mesh))
    for secret in (new["secret"], made["secret"]["secret"]):
        Webhook(secret).verify(message.body, dict(message.headers))
    stranger = endpoint(api, receiver, "/stranger")["secret"]["secret"]
    with pytest.raises(WebhookVerificationError):
        Webhook(stranger).verify(message.body, dict(message.headers))


async def test_a_sample_is_sent_at_once(api: Api, receiver: Receiver) -> None:
    receiver.answers["/sample"] += [Answer(418, size=2)]
    made = endpoint(api, receiver, "/sample")
    path = f"/api/v1/endpoints/{made['endpoint']['id']}:test"
    tested = await asyncio.to_thread(post, api, path, {"eventType": "job.failed"})
    assert (tested["attempt"]["status"], tested["attempt"]["responseBody"]) == (418, "eHg=")
    (message,) = receiver.at("/sample")
    assert message.webhook_id == tested["webhookId"]
    assert Webhook(made["secret"]["secret"]).verify(message.body, dict(message.headers))["type"] == "job.failed"


def test_the_event_types_are_listed_with_schema_and_example(api: Api) -> None:
    listed = get(api, "/api/v1/event-types")["eventTypes"]
    names = [each["name"] for each in listed]
    assert names == sorted(names)
    assert {"job.succeeded", "job.failed", "batch.finished", "connection.needs_reauth", "endpoint.disabled"} <= set(
        names
    )
    for each in listed:
        assert each["example"]["type"] == each["name"]
        assert each["schema"]["type"] == "object"
        assert each["description"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"url": ""}, {"url"}),
        ({"url": "https://user:pass@client.example/hook"}, {"url"}),
        ({"url": "https://client.example:22/hook"}, {"url"}),
        ({"filter": {"eventTypes": ["job.exploded"]}}, {"filter.eventTypes[0]"}),
        ({"headers": {"values": {"webhook-id": "x"}}}, {"headers.values"}),
        ({"rateLimit": {"deliveries": -1}}, {"rateLimit.deliveries"}),
        ({"batching": {"maxEvents": 101}}, {"batching.maxEvents"}),
        ({"retry": {"pauses": ["0s"]}}, {"retry.pauses[0]"}),
        ({"secret": "whsec_dG9vIHNob3J0"}, {"secret"}),
    ],
)
def test_a_wrong_endpoint_is_refused_with_its_field(api: Api, change: dict[str, Any], fields: set[str]) -> None:
    answer = api.call("POST", "/api/v1/endpoints", {"url": "https://client.example/hook", **change})
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT"), answer.body
    assert {field.partition("[")[0] for field in answer.fields} == {field.partition("[")[0] for field in fields}
