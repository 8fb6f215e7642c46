"""The faulty gateway does what its plan says, each fault as it is meant, and nothing else."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.sdks import faulty_gateway as faulty_gateway_
from tests.sdks.faults import CLEAN, PASSING, Fault, Kind, Plan, always, calm
from tests.sdks.faulty_gateway import RETRY_AFTER_S, faulty_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT = b"id: 1\nevent: job\ndata: {}\n\n"
STREAM, CONTENT = "/api/v1/jobs/1:watch", "/api/v1/jobs/1/result"


class Behind(BaseHTTPRequestHandler):
    """Answers with what it was asked, in JSON; a stream of two events; or bytes in chunks."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == STREAM:
            return self._chunks("text/event-stream", EVENT, EVENT)
        if self.path == CONTENT:
            return self._chunks("image/png", b"a" * 1000, b"b" * 1000)
        return self._json({"path": self.path, "host": self.headers["Host"]})

    def do_POST(self) -> None:
        self.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._json({"body": body.decode(), "link": f"http://{self.headers['Host']}/bucket"})

    def do_DELETE(self) -> None:
        self.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Says nothing."""

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self, kind: str, *parts: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(ConnectionError):  # broken off, as the test wants it
            for part in (*parts, b""):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")


@pytest.fixture(scope="module")
def behind() -> Iterator[ThreadingHTTPServer]:
    Behind.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Behind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def url(behind: ThreadingHTTPServer) -> str:
    Behind.asked.clear()
    return f"http://127.0.0.1:{behind.server_port}"


@contextmanager
def client(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, path: str = "/api/v1/jobs", method: str = "GET") -> tuple[int, bytes]:
    connection.request(method, path, b"{}" if method == "POST" else None)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_what_goes_well_is_passed_on_as_it_is_over_one_connection(url: str) -> None:
    with faulty_gateway(url, calm()) as gateway, client(gateway.url) as connection:
        assert json.loads(ask(connection)[1]) == {"path": "/api/v1/jobs", "host": urlsplit(gateway.url).netloc}
        opened = connection.sock
        assert json.loads(ask(connection, method="POST")[1])["body"] == "{}"
        assert ask(connection, method="DELETE") == (204, b"")
        assert ask(connection, CONTENT) == (200, b"a" * 1000 + b"b" * 1000)
        assert ask(connection, STREAM) == (200, EVENT * 2)
        assert connection.sock is opened
        assert gateway.done == {None: 5}


@pytest.mark.parametrize(("fault", "status"), [(Fault.LIMITED, 429), (Fault.UNAVAILABLE, 503)])
def test_what_is_refused_goes_no_further_and_says_when_to_come_again(url: str, fault: Fault, status: int) -> None:
    with faulty_gateway(url, always(fault)) as gateway, client(gateway.url) as connection:
        connection.request("POST", "/api/v1/jobs", b"{}")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (status, str(RETRY_AFTER_S))
        assert json.loads(answer.read())["error"]["code"] == status
        assert (Behind.asked, gateway.done) == ([], {fault: 1})


def test_a_reset_comes_before_anything_is_done_or_after_all_of_it(url: str) -> None:
    with faulty_gateway(url, always(Fault.RESET_BEFORE)) as gateway, client(gateway.url) as connection:
        with pytest.raises(ConnectionResetError):
            ask(connection)
        assert Behind.asked == []
        gateway.plan = always(Fault.RESET_AFTER)
        connection.close()
        with pytest.raises(ConnectionResetError):
            ask(connection)
        assert Behind.asked == ["/api/v1/jobs"]
        assert gateway.done == {Fault.RESET_BEFORE: 1, Fault.RESET_AFTER: 1}


@pytest.mark.parametrize("path", ["/api/v1/jobs", CONTENT])
def test_half_an_answer_says_that_it_is_half(url: str, path: str) -> None:
    with faulty_gateway(url, always(Fault.HALF)) as gateway, client(gateway.url) as connection:
        with pytest.raises(http.client.IncompleteRead):
            ask(connection, path)
        assert (Behind.asked, gateway.done) == ([path], {Fault.HALF: 1})


def test_cut_json_is_whole_but_by_its_meaning(url: str) -> None:
    with faulty_gateway(url, always(Fault.CUT)) as gateway, client(gateway.url) as connection:
        status, body = ask(connection)
        assert (status, body[:9]) == (200, b'{"path": ')
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
        assert ask(connection, method="DELETE") == (204, b"")  # there is nothing to be cut
        assert gateway.done == {Fault.CUT: 1, None: 1}


def test_an_answer_is_late_or_never_comes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faulty_gateway_, "STALL_S", 0.1)
    with faulty_gateway(url, always(Fault.SLOW)) as gateway, client(gateway.url) as connection:
        assert ask(connection)[0] == 200
        gateway.plan = always(Fault.STALLED)
        with pytest.raises(ConnectionResetError):
            ask(connection)
        assert len(Behind.asked) == 2
        assert gateway.done == {Fault.SLOW: 1, Fault.STALLED: 1}


def test_a_stream_breaks_after_its_first_event(url: str) -> None:
    with faulty_gateway(url, always(Fault.BROKEN)) as gateway, client(gateway.url) as connection:
        connection.request("GET", STREAM)
        answer = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as broken:
            answer.read()
        assert broken.value.partial.startswith(EVENT)
        assert gateway.done == {Fault.BROKEN: 1}


def test_a_proxys_page_comes_in_place_of_an_answer(url: str) -> None:
    with faulty_gateway(url, always(Fault.FOREIGN)) as gateway, client(gateway.url) as connection:
        status, body = ask(connection)
        assert (status, body[:6], Behind.asked) == (502, b"<html>", ["/api/v1/jobs"])


def test_links_lead_where_the_test_wants_them_to(url: str) -> None:
    leading = faulty_gateway(url, calm(), elsewhere={url: "http://a.example"}, knows_itself=True)
    with leading as gateway, client(gateway.url) as connection:
        assert json.loads(ask(connection, method="POST")[1])["link"] == "http://a.example/bucket"


def test_a_round_of_the_plan_has_every_fault_once_and_the_same_seed_the_same_order() -> None:
    for kind, faults in PASSING.items():
        first, second, other = (Plan(seed) for seed in (7, 7, 8))
        dealt = [first.next(kind) for _ in range(3 * (1 + CLEAN[kind]) * len(faults))]
        assert Counter(dealt) == {**dict.fromkeys(faults, 3), None: 3 * CLEAN[kind] * len(faults)}
        assert dealt == [second.next(kind) for _ in dealt]
        assert dealt != [other.next(kind) for _ in dealt]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v1/jobs/1:watch?after=3", Kind.STREAM),
        ("/api/v1/jobs/1/result", Kind.CONTENT),
        ("/api/v1/jobs:export?state=FAILED", Kind.CONTENT),
        ("/bucket/uploads/1?X-Amz-Signature=1", Kind.CONTENT),
        ("/api/v1/jobs/1:wait?timeout=30s", Kind.CALL),
    ],
)
def test_what_is_asked_for_is_told_by_the_path(path: str, kind: Kind) -> None:
    assert Kind.of(path) is kind
