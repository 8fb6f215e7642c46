"""No request hides in another, in a path or in a protocol: what is answered has been asked of auth first.

API8:2023 of OWASP's list, as far as it is about what reads a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway import descriptors
from tests import frames
from tests.frames import END_HEADERS, END_STREAM, HEADERS, Http2, frame
from tests.integration.gateway.envoys import chunks
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_KEY = f"authorization: Bearer {GOOD_KEY}\r\n"
_HIDDEN = f"GET /api/v1/keys HTTP/1.1\r\nhost: a\r\n{_KEY}\r\n"


def _with_body(*headers: str, body: str = "") -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return (
        f"POST {_PATH}:cancel HTTP/1.1\r\nhost: a\r\n{_KEY}content-type: application/json\r\n{lines}\r\n{body}".encode()
    )


#: Requests whose end can be read in two ways, with another one behind it.
_AMBIGUOUS = (
    # both lengths, and either first: whoever reads the other one finds a request in the body
    _with_body(f"content-length: {len(_HIDDEN) + 5}", "transfer-encoding: chunked", body=f"0\r\n\r\n{_HIDDEN}"),
    _with_body("transfer-encoding: chunked", "content-length: 4", body=f"{len(_HIDDEN):x}\r\n{_HIDDEN}\r\n0\r\n\r\n"),
    _with_body("content-length: 2", f"content-length: {len(_HIDDEN) + 2}", body="{}" + _HIDDEN),
    _with_body(f"content-length: 2, {len(_HIDDEN) + 2}", body="{}" + _HIDDEN),
    *(
        _with_body(f"content-length: {length}", body="{}" + _HIDDEN)
        for length in ("+2", "-2", "0x2", "2 2", "2.0", "", "18446744073709551618")
    ),
    # codings that one end may know and the other not
    *(
        _with_body(f"transfer-encoding: {coding}", body=f"0\r\n\r\n{_HIDDEN}")
        for coding in ("xchunked", "chunked, identity", "identity", "gzip", "chunked, gzip", "\x0bchunked", "cow", "")
    ),
    _with_body("transfer-encoding : chunked", body=f"0\r\n\r\n{_HIDDEN}"),
    _with_body("transfer-encoding\r\n : chunked", body=f"0\r\n\r\n{_HIDDEN}"),
    _with_body("transfer-encoding: cow", "transfer-encoding: chunked", body=f"0\r\n\r\n{_HIDDEN}"),
    # sizes of chunks
    *(
        _with_body("transfer-encoding: chunked", body=f"{size}\r\n{{}}\r\n0\r\n\r\n{_HIDDEN}")
        for size in ("-2", "+2", "0x2", "2g", "", "fffffffffffffffff2", "2\n")
    ),
)


@pytest.mark.parametrize("request_", _AMBIGUOUS, ids=range(len(_AMBIGUOUS)))
def test_a_request_whose_end_can_be_read_in_two_ways_is_refused_with_all_behind_it(
    envoy: Envoy, services: Services, request_: bytes
) -> None:
    answer = envoy.raw(request_)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), answer
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert services.received == []


@pytest.mark.parametrize("lie", [0, 1, 1000])
def test_a_length_that_does_not_fit_the_frames_is_refused(envoy: Envoy, services: Services, lie: int) -> None:
    key, media = ("authorization", f"Bearer {GOOD_KEY}"), ("content-type", "application/json")
    block = frames.request("/api/v1/jobs", key, media, ("content-length", str(lie)), method="POST")
    with Http2(envoy.settings.address) as connection:
        connection.send(
            frame(HEADERS, END_HEADERS, 1, block), frame(frames.DATA, END_STREAM, 1, b'{"upstream": "http"}')
        )
        assert not any(each.answers for each in connection.until_ended(1))
    assert services.received == []


#: Paths that some servers read as one that anybody may read, or as one of the API's.
PATHS = (
    *("//healthz", "/./healthz", "/healthz/", "/healthz/.", "/healthz;x", "/healthz%00", "/healthz%2f", "/%68ealthz"),
    *("/healthz/../api/v1/keys", "/healthz/..%2fapi/v1/keys", "/healthz/%2e%2e/api/v1/keys", "/healthz\\..\\api"),
    *("/readyz/../api/v1/keys", "/readyz;/api/v1/keys", "/readyz%3f/../api/v1/keys", "/healthz#/api/v1/keys"),
    *("/docs;/../api/v1/keys", "/docs%2f..%2fapi/v1/keys", "/docs/..%2fapi/v1/keys"),
    *("//api/v1/keys", "/api//v1/keys", "/api/./v1/keys", "/api/v1/../v1/keys", "/api/v1/keys/", "/api/v1/keys/."),
    *("/api/v1/%6beys", "/api/v1%2fkeys", "/API/V1/KEYS", "/api/v1/keys;a=b", "/api/v1/keys%20", "/api/v1/keys%09"),
    *("/api/v1/keys/..;/keys", "/..;/api/v1/keys", "/%2e%2e/api/v1/keys", "/%252e%252e/api/v1/keys", "/api/v1/keys\\"),
)


@pytest.mark.parametrize("path", PATHS)
def test_no_writing_of_a_path_is_let_in_without_a_key(envoy: Envoy, services: Services, path: str) -> None:
    for target in (path, f"http://a{path}", f"http://127.0.0.1{path}", f"https://healthz{path}"):
        answer = envoy.raw(f"GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 ", b"HTTP/1.1 403 ")), (target, answer)
    assert services.received == []


@pytest.mark.parametrize("path", PATHS)
def test_no_writing_of_a_path_is_another_path(envoy: Envoy, services: Services, path: str) -> None:
    answer = envoy.raw(f"GET {path} HTTP/1.1\r\nhost: a\r\n{_KEY}connection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")) or {each.method for each in services.received} == {
        "/penstock.auth.v1.KeyService/GetKey"  # `/api/v1/keys/.`: the key of that id, which there is not
    }, answer


@pytest.mark.parametrize(
    "rest", ["../api/v1/keys", "%2e%2e/api/v1/keys", "..;/api/v1/keys", "./../api/v1/keys", "/api/v1/keys"]
)
def test_what_begins_as_a_page_is_the_sites_whatever_follows(envoy: Envoy, services: Services, rest: str) -> None:
    answer = envoy.raw(f"GET /docs/{rest} HTTP/1.1\r\nhost: a\r\n{_KEY}connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 503 "), answer  # there is no site here
    assert (services.checks, services.received) == (0, [])


@pytest.mark.parametrize(
    "start",
    [
        "TRACE / HTTP/1.1",
        "TRACE /healthz HTTP/1.1",
        "CONNECT 169.254.169.254:80 HTTP/1.1",
        "CONNECT /healthz HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1",
        "GET /nope HTTP/0.9",
        "GET /nope HTTP/3.0",
        "GET /nope",
        "PRI * HTTP/1.1",
        "TRACK / HTTP/1.1",
        "PURGE /api/v1/keys HTTP/1.1",
    ],
)
def test_what_a_proxy_would_do_for_others_is_not_done_here(envoy: Envoy, services: Services, start: str) -> None:
    for key in ("", _KEY):
        answer = envoy.raw(f"{start}\r\nconnection: close\r\nhost: 169.254.169.254\r\n{key}\r\n".encode())
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")) or not answer, answer
        assert b"169.254.169.254" not in answer
    assert services.received == []


@pytest.mark.parametrize("more", [[], [(":protocol", "websocket"), (":scheme", "http"), (":path", _PATH)]])
def test_no_frame_opens_a_tunnel(envoy: Envoy, services: Services, more: list[tuple[str, str]]) -> None:
    pairs = [(":method", "CONNECT"), (":authority", "169.254.169.254:80"), *more]
    with Http2(envoy.settings.address) as connection:
        connection.send(
            frame(HEADERS, END_HEADERS, 1, frames.fields([*pairs, ("authorization", f"Bearer {GOOD_KEY}")]))
        )
        assert not any(each.answers for each in connection.until_ended(1))
    assert services.received == []


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "CONNECT-UDP", "TLS/1.0"])
def test_no_connection_becomes_one_of_another_protocol(envoy: Envoy, services: Services, protocol: str) -> None:
    more = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" if protocol == "h2c" else ""
    wanted = f"connection: upgrade, http2-settings\r\nupgrade: {protocol}\r\n{more}"
    request = f"GET {_PATH} HTTP/1.1\r\nhost: a\r\n{_KEY}{wanted}\r\n"
    hidden = f"GET /api/v1/keys HTTP/1.1\r\nhost: a\r\n{_KEY}connection: close\r\n\r\n"
    answer = envoy.raw((request + hidden).encode())
    assert b" 101 " not in answer
    assert answer.count(b"HTTP/1.1 200 ") == services.checks == len(services.received)


def test_internal_rpcs_have_no_route_in_any_form(envoy: Envoy, services: Services) -> None:
    internal = "/penstock.scheduler.v1.SchedulerService/Lease"
    assert internal[1:].partition("/")[0] in {service.full_name for service in descriptors.services()}
    public = "/penstock.jobs.v1.JobService/GetJob"
    forms = (
        *(internal, f"{public}/..{internal}", f"/{internal}", f"{internal}/", f"{internal}?a", f"/x{internal}"),
        *(internal.replace("/Lease", "/%4cease"), internal.upper(), f"{public}?/..{internal}", f"{public}#{internal}"),
        *("/envoy.service.auth.v3.Authorization/Check", "/grpc.health.v1.Health/Check"),
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    )
    for path in forms:
        for media in ("application/grpc", "application/grpc+proto", "application/grpc-web", "application/json"):
            headers = {"content-type": media, "te": "trailers"}
            answer = envoy.call("POST", path, chunks(b"\0\0\0\0\0"), headers=headers)
            assert answer.headers.get("grpc-status", "12") in {"12", "13"}, (path, media, answer)
            assert answer.status in {200, 400, 404, 415}, (path, media, answer)
    assert [each.method for each in services.received if each.method != public] == []
