"""What goes wrong over gRPC does so as the plan says, to one call at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.sdks import faulty_gateway as faulty_gateway_
from tests.sdks.faults import Fault, always, calm
from tests.sdks.faulty_gateway import RETRY_AFTER_S, faulty_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO, COUNT = "/test.Echo/Echo", "/test.Echo/Count"
TIMEOUT_S = 10.0


class Behind(grpc.GenericRpcHandler):
    """Echoes, and remembers what it was asked; or counts to three."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def service(self, call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        if call_details.method == COUNT:
            return grpc.unary_stream_rpc_method_handler(lambda request, context: iter((b"1", b"2", b"3")))
        return grpc.unary_unary_rpc_method_handler(self._echo)

    def _echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.asked.append(request)
        return request


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Behind, str]]:
    behind = Behind()
    server = grpc.server(ThreadPoolExecutor(4), handlers=(behind,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield behind, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def behind(server: tuple[Behind, str]) -> Behind:
    server[0].asked.clear()
    return server[0]


@pytest.fixture
def url(server: tuple[Behind, str]) -> str:
    return server[1]


def channel(url: str) -> grpc.Channel:
    return grpc.insecure_channel(url.removeprefix("http://"), options=[("grpc.enable_retries", 0)])


def echo(through: grpc.Channel, message: bytes = b"a") -> bytes:
    return through.unary_unary(ECHO)(message, timeout=TIMEOUT_S)


def test_what_goes_well_is_passed_on_as_it_is(behind: Behind, url: str) -> None:
    with faulty_gateway(url, calm()) as gateway, channel(gateway.url) as through:
        large = b"a" * 300_000
        assert [echo(through, large) for _ in range(3)] == [large] * 3
        assert [*through.unary_stream(COUNT)(b"", timeout=TIMEOUT_S)] == [b"1", b"2", b"3"]
        assert gateway.done == {None: 4}


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.LIMITED, grpc.StatusCode.RESOURCE_EXHAUSTED), (Fault.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)],
)
def test_what_is_refused_reaches_nobody_and_what_follows_it_does(
    behind: Behind, url: str, fault: Fault, code: grpc.StatusCode
) -> None:
    with faulty_gateway(url, always(fault)) as gateway, channel(gateway.url) as through:
        for _ in range(20):  # more than fits into a window, were it not given back
            with pytest.raises(grpc.RpcError) as refused:
                echo(through, b"a" * 15_000)
            assert refused.value.code() is code
        status = rpc_status.from_call(refused.value)
        retry = error_details_pb2.RetryInfo()
        assert status is not None
        assert status.details[1].Unpack(retry)
        assert retry.retry_delay.seconds == RETRY_AFTER_S
        gateway.plan = calm()
        assert echo(through, b"after") == b"after"
        assert (behind.asked, gateway.done) == ([b"after"], {fault: 20, None: 1})


@pytest.mark.parametrize(
    ("fault", "asked"),
    [(Fault.RESET_BEFORE, 0), (Fault.RESET_AFTER, 1), (Fault.STALLED, 1), (Fault.HALF, 1)],
)
def test_a_connection_breaks_before_anything_is_done_or_after_it(
    behind: Behind, url: str, monkeypatch: pytest.MonkeyPatch, fault: Fault, asked: int
) -> None:
    monkeypatch.setattr(faulty_gateway_, "STALL_S", 0.1)
    with faulty_gateway(url, always(fault)) as gateway, channel(gateway.url) as through:
        with pytest.raises(grpc.RpcError) as lost:
            echo(through)
        assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (len(behind.asked), gateway.done) == (asked, {fault: 1})


def test_a_stream_breaks_after_its_first_message(behind: Behind, url: str) -> None:
    with faulty_gateway(url, always(Fault.HALF)) as gateway, channel(gateway.url) as through:
        got = through.unary_stream(COUNT)(b"", timeout=TIMEOUT_S)
        assert next(got) == b"1"
        with pytest.raises(grpc.RpcError):
            list(got)


def test_a_slow_answer_comes(behind: Behind, url: str) -> None:
    with faulty_gateway(url, always(Fault.SLOW)) as gateway, channel(gateway.url) as through:
        assert echo(through) == b"a"
        assert gateway.done == {Fault.SLOW: 1}
