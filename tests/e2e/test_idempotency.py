"""A submit that is repeated under its idempotency key makes one job, by either protocol and wherever the key stands."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from shared import ids, kv
from shared.config import Secret
from shared.crash_points import CrashPoint
from tests.e2e.api import Api
from tests.e2e.submitting import Caller, callers
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh
    from tests.e2e.submitting import Reply

TENANT = "repeater"
LONGEST = "k" * 255
PROTOCOLS = ["http", "grpc"]
#: Where a key may stand: a header, with or without quotes, or the body.
PLACES = {
    "Idempotency-Key": lambda key: ({}, {"Idempotency-Key": key}),
    "Idempotency-Key, quoted": lambda key: ({}, {"Idempotency-Key": f'"{key}"'}),
    "X-Idempotency-Key": lambda key: ({}, {"X-Idempotency-Key": key}),
    "X-Idempotency-Key, quoted": lambda key: ({}, {"X-Idempotency-Key": f'"{key}"'}),
    "requestId": lambda key: ({"requestId": key}, {}),
}


@pytest.fixture(scope="module")
def key(mesh: Mesh) -> str:
    return mesh.new_key(TENANT)


@pytest.fixture(scope="module")
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def by_protocol(mesh: Mesh, key: str, channel: grpc.Channel) -> dict[str, Caller]:
    return callers(mesh, key, channel)


@pytest.fixture(params=PROTOCOLS)
def caller(request: pytest.FixtureRequest, by_protocol: dict[str, Caller]) -> Caller:
    return by_protocol[request.param]


@pytest.fixture
def body(mesh: Mesh) -> dict[str, Any]:
    return {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/get"}}


@pytest.fixture(params=["job", "batch"])
def either(request: pytest.FixtureRequest, body: dict[str, Any]) -> dict[str, Any]:
    """A request for a job, or for a batch of three."""
    return {"jobs": [body] * 3} if request.param == "batch" else body


@pytest.fixture
def one_more(mesh: Mesh, request: pytest.FixtureRequest) -> Iterator[None]:
    """The test makes exactly one job, or one batch where it is about that."""
    before = mesh.submitted()
    asked = request.getfixturevalue("either") if "either" in request.fixturenames else {}
    yield
    assert mesh.submitted() == before + len(asked.get("jobs", [asked]))


@pytest.fixture
def none_more(mesh: Mesh) -> Iterator[None]:
    """The test makes no job."""
    before = mesh.submitted()
    yield
    assert mesh.submitted() == before


@pytest.mark.usefixtures("one_more")
def test_a_key_is_the_same_key_wherever_it_stands(by_protocol: dict[str, Caller], either: dict[str, Any]) -> None:
    key = ids.new_request_id()
    replies = [
        caller.submit(either | fields, headers)
        for caller in by_protocol.values()
        for fields, headers in (place(key) for place in PLACES.values())
    ]
    assert {reply.status for reply in replies} == {200}
    assert len({reply.made for reply in replies}) == 1


@pytest.mark.usefixtures("one_more")
def test_the_same_key_in_every_place_is_one_key(caller: Caller, body: dict[str, Any]) -> None:
    key = ids.new_request_id()
    everywhere = {"Idempotency-Key": f'"{key}"', "X-Idempotency-Key": key, "x-idempotency-key": key}
    assert (
        caller.submit(body | {"requestId": key}, everywhere).made == caller.submit(body, {"Idempotency-Key": key}).made
    )


@pytest.mark.usefixtures("none_more")
@pytest.mark.parametrize(
    ("fields", "headers", "named"),
    [
        ({"requestId": "a"}, {"Idempotency-Key": "b"}, {"requestId", "Idempotency-Key"}),
        ({"requestId": "a"}, {"X-Idempotency-Key": '"b"'}, {"requestId", "X-Idempotency-Key"}),
        ({}, {"Idempotency-Key": "a", "X-Idempotency-Key": "A"}, {"Idempotency-Key", "X-Idempotency-Key"}),
        ({}, {"Idempotency-Key": "a", "idempotency-key": "b"}, {"Idempotency-Key"}),
        ({}, {"X-Idempotency-Key": "a", "x-idempotency-key": "b"}, {"X-Idempotency-Key"}),
        (
            {"requestId": "a"},
            {"Idempotency-Key": "a", "X-Idempotency-Key": "b"},
            {"requestId", "Idempotency-Key", "X-Idempotency-Key"},
        ),
    ],
)
def test_keys_that_differ_are_refused_under_every_name(
    caller: Caller, body: dict[str, Any], fields: dict[str, str], headers: dict[str, str], named: set[str]
) -> None:
    reply = caller.submit(body | fields, headers)
    assert (reply.status, reply.reason, reply.fields) == (400, "INVALID_ARGUMENT", named)


@pytest.mark.usefixtures("one_more")
@pytest.mark.parametrize("place", PLACES)
def test_a_key_of_255_characters_is_taken(caller: Caller, body: dict[str, Any], place: str) -> None:
    longest = (ids.new_request_id() + LONGEST)[:255]
    fields, headers = PLACES[place](longest)
    assert caller.submit(body | fields, headers).made == caller.submit(body | {"requestId": longest}).made


@pytest.mark.usefixtures("none_more")
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (place, wrong)
        for place in PLACES
        for wrong in ("k" * 256, "two words", "")
        if (place, wrong) != ("requestId", "")  # a field that is empty was left out
    ],
)
def test_a_key_that_is_none_is_refused_under_its_name(
    caller: Caller, body: dict[str, Any], place: str, wrong: str
) -> None:
    fields, headers = PLACES[place](wrong)
    reply = caller.submit(body | fields, headers)
    assert (reply.status, reply.reason, reply.fields) == (400, "INVALID_ARGUMENT", {place.partition(",")[0]})


@pytest.mark.usefixtures("none_more")
@pytest.mark.parametrize("wrong", ["schlüssel", "钥匙", "\x7f", "a\x01b"])
def test_a_key_that_is_not_visible_ascii_is_refused(caller: Caller, body: dict[str, Any], wrong: str) -> None:
    reply = caller.submit(body | {"requestId": wrong})
    assert (reply.status, reply.reason, reply.fields) == (400, "INVALID_ARGUMENT", {"requestId"})


@pytest.mark.usefixtures("none_more")
@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Idempotency-Key"])
@pytest.mark.parametrize("wrong", ["schlüssel".encode(), "schlüssel".encode("latin-1"), b"\xff\xfe"])
def test_a_header_that_is_not_ascii_is_refused(
    by_protocol: dict[str, Caller], body: dict[str, Any], name: str, wrong: bytes
) -> None:
    reply = by_protocol["http"].submit(body, {name: wrong.decode("latin-1")})
    assert (reply.status, reply.reason, reply.fields) == (400, "INVALID_ARGUMENT", {name})


@pytest.mark.usefixtures("one_more")
@pytest.mark.parametrize(
    "change",
    [
        {"method": "http.head"},
        {"params": {"url": "https://example.com/other"}},
        {"priority": "HIGH"},
        {"cachePolicy": "BYPASS"},
        {"metadata": {"order": "7"}},
        {"retry": {"maxAttempts": 4}},
        {"notBefore": "2020-01-01T00:00:00Z"},
        {"callbackUrl": "https://client.example/hook"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_request_under_the_key_is_a_422_that_names_the_job(
    by_protocol: dict[str, Caller], body: dict[str, Any], change: dict[str, Any]
) -> None:
    keyed = body | {"requestId": ids.new_request_id()}
    first = by_protocol["http"].submit(keyed)
    for caller in by_protocol.values():
        reply = caller.submit(keyed | change)
        assert (reply.status, reply.reason) == (422, "IDEMPOTENCY_KEY_REUSED")
        assert (reply.about, reply.retry_after_s) == ({"job": first.made}, None)
        assert caller.submit(keyed).made == first.made


@pytest.mark.usefixtures("one_more")
def test_a_key_of_a_job_is_no_key_of_a_batch_nor_the_other_way(
    by_protocol: dict[str, Caller], body: dict[str, Any], either: dict[str, Any]
) -> None:
    key = {"requestId": ids.new_request_id()}
    made = by_protocol["grpc"].submit(either | key).made
    kind, others = ("batch", [body, {"jobs": [body]}]) if "jobs" in either else ("job", [{"jobs": [body]}])
    for caller in by_protocol.values():
        for other in others:
            reply = caller.submit(other | key)
            assert (reply.status, reply.reason) == (422, "IDEMPOTENCY_KEY_REUSED")
            assert reply.about == {kind: made}


@pytest.mark.usefixtures("one_more")
def test_what_is_left_out_is_the_same_as_its_default_in_any_order_and_spelling(
    by_protocol: dict[str, Caller], body: dict[str, Any]
) -> None:
    key = ids.new_request_id()
    said = {
        "request_id": key,
        "retry": {"initial_backoff": "1.0s", "maxAttempts": "3"},
        "cache_policy": "DEFAULT",
        "priority": "NORMAL",
        "metadata": {},
        **dict(reversed(body.items())),
    }
    jobs = {
        caller.submit(request).made for caller in by_protocol.values() for request in (body | {"requestId": key}, said)
    }
    assert len(jobs) == 1


def test_another_tenants_key_is_another_key(
    mesh: Mesh, by_protocol: dict[str, Caller], channel: grpc.Channel, body: dict[str, Any]
) -> None:
    keyed = body | {"requestId": ids.new_request_id()}
    other = callers(mesh, mesh.new_key("repeater-too"), channel)
    ours, theirs = ({caller.submit(keyed).made for caller in each.values()} for each in (by_protocol, other))
    assert len(ours) == len(theirs) == 1
    assert ours != theirs
    changed = other["grpc"].submit(keyed | {"priority": "LOW"})
    assert (changed.reason, changed.about) == ("IDEMPOTENCY_KEY_REUSED", {"job": theirs.pop()})


def recorded(mesh: Mesh, key: str, order: str) -> list[str]:
    """What history has of this order: jobs, those of a batch by its id."""
    jobs = Api(mesh.url, key).call("GET", "/api/v1/jobs?pageSize=500").json["jobs"]
    return [job.get("batchId") or job["id"] for job in jobs if job.get("metadata", {}).get("order") == order]


@pytest.mark.usefixtures("one_more")
@pytest.mark.parametrize("protocols", [["http"], ["grpc"], PROTOCOLS], ids="+".join)
async def test_a_hundred_duplicates_at_once_make_one_job_or_one_batch(
    mesh: Mesh, key: str, by_protocol: dict[str, Caller], either: dict[str, Any], protocols: list[str]
) -> None:
    order = ids.new_request_id()
    jobs = [job | {"metadata": {"order": order}} for job in either.get("jobs", [either])]
    keyed = {"requestId": order, **({"jobs": jobs} if "jobs" in either else jobs[0])}
    calling = [by_protocol[protocols[number % len(protocols)]] for number in range(100)]
    with ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(lambda caller: caller.submit(keyed), calling))
    [made] = {reply.made for reply in replies if reply.status == 200}
    others = [reply for reply in replies if reply.status != 200]
    assert {(reply.status, reply.reason) for reply in others} <= {(409, "IDEMPOTENCY_KEY_IN_FLIGHT")}
    assert {reply.retry_after_s for reply in others} <= {1.0}
    assert {each for reply in others for each in reply.about.values()} <= {made}
    assert {caller.submit(keyed).made for caller in by_protocol.values()} == {made}
    await eventually(lambda: recorded(mesh, key, order) == [made] * len(jobs))


@pytest.mark.usefixtures("one_more")
async def test_while_the_first_request_is_being_accepted_another_one_is_a_409_and_then_gets_its_job(
    mesh: Mesh, by_protocol: dict[str, Caller], either: dict[str, Any]
) -> None:
    keyed = either | {"requestId": ids.new_request_id()}
    armed = mesh.arm(CrashPoint.INTAKE_ADMITTED)
    refused = await asyncio.to_thread(by_protocol["http"].submit, keyed)
    assert (refused.status, refused.reason) == (503, "UNAVAILABLE")
    assert not armed.exists()

    async def is_back(caller: Caller) -> Reply | None:
        reply = await asyncio.to_thread(caller.submit, keyed)
        return reply if reply.status != 503 else None

    replies = [await eventually(lambda caller=caller: is_back(caller)) for caller in by_protocol.values()]
    for reply in replies:
        assert reply is not None
        assert (reply.status, reply.reason, reply.retry_after_s) == (409, "IDEMPOTENCY_KEY_IN_FLIGHT", 1.0)
    await end_claim(mesh, keyed["requestId"])
    [made] = {caller.submit(keyed).made for caller in by_protocol.values()}
    assert [reply.about for reply in replies] == [{"batch" if "jobs" in either else "job": made}] * 2


async def end_claim(mesh: Mesh, key: str) -> None:
    """Half a minute passes."""
    client = await kv.connect(Secret(mesh.layout.redis_url))
    await client.hset(f"{{intake:{TENANT}}}:key:{key}", "claim", "0")
    await kv.close(client)
