"""API4:2023 Unrestricted resource consumption: requests that cost more than they weigh, while others are answered.

Slow, silent and many clients are in `tests/integration/gateway/test_slow_clients.py`, rate limits in `test_limits.py`.
"""

from __future__ import annotations

import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from tests.e2e.api import TIMEOUT_S, Api
from tests.e2e.attacks.rpcs import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh

_MIB = 1024 * 1024
#: What a message may be on either end of a call, and may at the most become when it is unfolded.
_MESSAGE_MIB = 11
#: Between two requests of another caller: without one they would be an attack of their own.
_PAUSE_S = 0.02
GOOD = '"upstream": "http", "method": "http.post", "params": {"url": "https://example.com/"'


@pytest.fixture(autouse=True)
def others_are_answered(mesh: Mesh) -> Iterator[None]:
    """While the attacks of this file go on, another caller's requests succeed; and nothing is stored."""
    done, other, before = Event(), Api(mesh.url, mesh.key), mesh.submitted()

    def ask() -> int:
        asked = 0
        while not asked or not done.wait(_PAUSE_S):
            assert other.call("GET", "/api/v1/queues").status == 200
            asked += 1
        return asked

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            done.set()
        assert asking.result() > 0
    assert mesh.submitted() == before


def nested(kind: str, levels: int) -> str:
    """JSON in JSON, so many times."""
    opening, closing = {"arrays": ("[", "]"), "objects": ('{"a":', "}"), "both": ('[{"a":', "}]")}[kind]
    return opening * levels + "1" + closing * levels


@pytest.mark.parametrize("levels", [33, 10_000, 1_000_000])
@pytest.mark.parametrize("kind", ["arrays", "objects", "both"])
def test_no_nesting_is_followed_to_its_end(intruder: Api, kind: str, levels: int) -> None:
    deep = nested(kind, levels)
    for body in (
        deep,
        deep[: len(deep) // 2],  # opened, and never closed
        f'{{"a": {deep}}}',
        f'{{{GOOD}, "json": {deep}}}}}',
        f'{{{GOOD}, "query": {{"a": {deep}}}}}}}',
        f'{{{GOOD}}}, "metadata": {deep}}}',
        f'{{"jobs": [{{{GOOD}, "json": {deep}}}}}]}}',
    ):
        path = "/api/v1/batches" if "jobs" in body[:10] else "/api/v1/jobs"
        answer = intruder.call("POST", path, body.encode())
        assert (answer.status, answer.reason) in {(400, "INVALID_ARGUMENT"), (413, "TOO_LARGE")}, answer.body[:500]
        assert len(answer.body) < 4096


def test_no_nesting_is_followed_to_its_end_over_grpc(mesh: Mesh, intruder: Api, gateway: grpc.Channel) -> None:
    pieces, size = [], 0
    for _ in range(10_000):  # from the inside: the value that holds a struct, that holds a field of it
        pieces.append(b"\x0a" + _varint(size + 4 + len(_varint(size))) + b"\x0a\x01a\x12" + _varint(size))
        size += len(pieces[-1])
    struct = b"".join(reversed(pieces))
    request = b"\x0a\x04http\x12\x08http.get\x1a" + _varint(len(struct)) + struct
    send = gateway.unary_unary("/penstock.jobs.v1.JobService/SubmitJob")
    with pytest.raises(grpc.RpcError) as failure:
        send(request, metadata=(("x-api-key", str(intruder.key)),), timeout=TIMEOUT_S)
    assert (refused(failure.value).status, refused(failure.value).reason) == (400, "INVALID_ARGUMENT")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found) + bytes([value])


@pytest.mark.parametrize(
    "body",
    [
        "{" + ", ".join(f'"a{n}": 1' for n in range(100_000)) + "}",
        "{" + ", ".join(['"upstream": "http"'] * 100_000) + "}",
        f'{{{GOOD}, "json": {{' + ", ".join(['"same": 1'] * 100_000) + "}}}",
        f'{{{GOOD}, "json": {{' + ", ".join(f'"a{n}": 1' for n in range(200_000)) + "}}}",
        f'{{{GOOD}, "query": {{' + ", ".join(f'"a{n}": 1' for n in range(50_000)) + "}}}",
        f'{{{GOOD}}}, "metadata": {{' + ", ".join(f'"a{n}": "1"' for n in range(100_000)) + "}}",
        '{"jobs": [' + ", ".join(["{}"] * 300_000) + "]}",
        f'{{{GOOD}, "json": ' + "9" * 100_000 + "}}",
        f'{{{GOOD}, "json": 1e' + "9" * 1000 + "}}",
        f'{{{GOOD}, "timeoutS": ' + "9" * 100_000 + ".5}}",
        '{"retry": {"maxAttempts": ' + "9" * 100_000 + "}}",
        '{"retry": {"initialBackoff": "' + "9" * 100_000 + 's"}}',
        '{"notBefore": "' + "9" * 100_000 + '-01-01T00:00:00Z"}',
        '{"upstream": "' + "\\u0041" * 200_000 + '"}',
        '{"' + "k" * 1_000_000 + '": 1}',
        " " * 5_000_000 + "{}",
        f'{{{GOOD}, "headers": {{"x": "' + "h" * 1_000_000 + '"}}}',
    ],
    ids=range(17),
)
def test_no_body_is_dearer_than_it_is_long(intruder: Api, body: str) -> None:
    path = "/api/v1/batches" if body.startswith('{"jobs"') else "/api/v1/jobs"
    answer = intruder.call("POST", path, body.encode())
    assert (answer.status, answer.reason) in {(400, "INVALID_ARGUMENT"), (413, "TOO_LARGE")}, answer.body[:500]
    assert len(answer.body) < 16 * 1024


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip"])
def test_no_compressed_body_is_unfolded(intruder: Api, coding: str) -> None:
    folded = zlib.compress if coding == "deflate" else gzip.compress
    bomb = folded(b'{"upstream": "' + b"0" * 64 * _MIB + b'"}')
    assert len(bomb) < _MIB / 8
    answer = intruder.call("POST", "/api/v1/jobs", bomb, headers={"Content-Encoding": coding})
    assert (answer.status, answer.reason) == (415, "UNSUPPORTED_MEDIA_TYPE"), answer.body


@contextmanager
def memory_kept(mesh: Mesh, *, within_mib: int) -> Iterator[None]:
    """Holds intake to at most so much more memory at its peak."""
    status = Path(f"/proc/{mesh.pids['intake']}/status")
    (status.parent / "clear_refs").write_text("5")  # the peak starts anew
    before = _peak_kib(status)
    yield
    assert _peak_kib(status) - before < within_mib * 1024


def _peak_kib(status: Path) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


@pytest.mark.parametrize(
    ("compression", "mib"),
    [
        (grpc.Compression.NoCompression, _MESSAGE_MIB + 1),
        (grpc.Compression.Gzip, 64),
        (grpc.Compression.Deflate, 64),
    ],
)
def test_no_message_is_taken_or_unfolded_beyond_what_a_message_may_be(
    mesh: Mesh, intruder: Api, compression: grpc.Compression, mib: int
) -> None:
    request = jobs_pb2.GetJobRequest(job_id="0" * mib * _MIB)
    metadata = (("x-api-key", str(intruder.key)),)
    options = [("grpc.max_send_message_length", -1)]
    with memory_kept(mesh, within_mib=4 * _MESSAGE_MIB), grpc.insecure_channel(mesh.grpc_address, options) as channel:
        get = job_service_pb2_grpc.JobServiceStub(channel).GetJob
        with pytest.raises(grpc.RpcError) as failure:
            get(request, metadata=metadata, compression=compression, timeout=TIMEOUT_S)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]  the call's


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/api/v1/jobs?pageSize=2147483647", {200}),
        ("/api/v1/keys?pageSize=500", {200}),
        ("/api/v1/jobs?" + "state=QUEUED&" * 4000, {200, 400, 431}),
        ("/api/v1/jobs?" + "a=1&" * 10_000, {400, 431}),
        ("/api/v1/jobs?pageToken=" + "A" * 50_000, {400, 431}),
        ("/api/v1/jobs/" + "%41" * 15_000, {400, 431}),
        ("/api/v1/" + "a/" * 20_000, {404, 431}),
        ("/api/v1/jobs?" + "a" * 100_000, {431}),
        ("/api/v1/keys/key_x/usage?days=2147483647", {400, 404}),
        ("/api/v1/queues/http?lanes=2147483647", {200}),
    ],
    ids=range(10),
)
def test_no_path_asks_for_more_than_there_may_be(intruder: Api, path: str, statuses: set[int]) -> None:
    answer = intruder.call("GET", path)
    assert answer.status in statuses, (answer.status, answer.body[:500])
    assert len(answer.body) < _MIB
    if answer.status == 200:
        shown: Any = answer.json
        assert all(len(each) <= 500 for each in shown.values() if isinstance(each, list))
