"""The connector `http`: where it follows to, and where it never goes."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from services.upstream.connectors.http import HttpConnector
from services.upstream.domain import Reason
from services.upstream.http_client import HttpClient
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from tests.integration.upstream.conftest import MakeCall, caller
from tests.integration.upstream.outcomes import failure, fate, success
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.fakes.far_end import FarEnd


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_as_rfc_9110_says(make_call: MakeCall, far_end: FarEnd, status: int) -> None:
    outcome = success(await make_call("post", f"{far_end.url}/redirect/{status}?to=/echo", text="body"))
    echo = json.loads(outcome.body)
    assert echo["method"] == ("POST" if status in {307, 308} else "GET")
    assert echo["body"] == ("body" if status in {307, 308} else "")


async def test_a_redirect_is_a_result_where_it_is_not_to_be_followed(make_call: MakeCall, far_end: FarEnd) -> None:
    url = f"{far_end.url}/redirect/302?to=/echo"
    outcome = success(await make_call("get", url, followRedirects=False))
    assert (outcome.status, outcome.headers["location"]) == (302, "/echo")
    assert success(await make_call("get", f"{far_end.url}/redirect/302")).status == 302  # it leads nowhere
    assert far_end.calls["/echo"] == 0


async def test_at_most_five_redirects_are_followed(make_call: MakeCall, far_end: FarEnd) -> None:
    assert success(await make_call("get", f"{far_end.url}/hops/5")).body == b"there"
    assert failure(await make_call("get", f"{far_end.url}/hops/6")).reason is Reason.UPSTREAM_PROTOCOL
    assert far_end.calls["/hops/0"] == 1


@pytest.mark.parametrize(
    "to",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "//192.168.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://0x0a.1/",
        "file:///etc/passwd",
        "http://user:pass@127.0.0.1/",
    ],
)
async def test_no_redirect_leads_to_a_forbidden_address(make_call: MakeCall, far_end: FarEnd, to: str) -> None:
    outcome = await make_call("get", f"{far_end.url}/redirect/302", query={"to": to})
    assert fate(outcome) == (Reason.ADDRESS_FORBIDDEN, False, False)


async def test_a_redirect_to_what_is_no_url_is_a_protocol_error(make_call: MakeCall, far_end: FarEnd) -> None:
    outcome = await make_call("get", f"{far_end.url}/redirect/302", query={"to": "http://[::1"})
    assert fate(outcome) == (Reason.UPSTREAM_PROTOCOL, False, False)


async def test_own_headers_do_not_follow_to_another_origin(make_call: MakeCall, far_end: FarEnd) -> None:
    there = far_end.url.replace("127.0.0.1", "localhost") + "/echo"
    outcome = await make_call(
        "get", f"{far_end.url}/redirect/307", query={"to": there}, headers={"X-Api-Key": "k", "Accept": "a/b"}
    )
    assert success(outcome).status == 200
    assert "X-Api-Key" not in far_end.last.headers
    assert far_end.last.headers["Accept"] == "a/b"


@pytest.mark.parametrize(
    ("redirect", "to", "expected"),
    [
        (303, "/broken/headers", (Reason.UPSTREAM_UNREACHABLE, False, True)),
        (303, "/status/503", (Reason.UPSTREAM_STATUS, False, False)),
        (307, "/status/503", (Reason.UPSTREAM_STATUS, True, False)),
        (307, "/broken/headers", (Reason.UPSTREAM_UNREACHABLE, False, True)),
    ],
)
async def test_a_post_that_was_carried_out_before_its_redirect_is_not_made_again(
    make_call: MakeCall, far_end: FarEnd, redirect: int, to: str, expected: tuple[Reason, bool, bool]
) -> None:
    assert fate(await make_call("post", f"{far_end.url}/redirect/{redirect}?to={to}")) == expected


async def test_a_post_that_was_only_pointed_elsewhere_may_be_made_again(make_call: MakeCall, far_end: FarEnd) -> None:
    gone = f"http://127.0.0.1:{unused_port()}/"
    pointed = await make_call("post", f"{far_end.url}/redirect/307", query={"to": gone})
    assert fate(pointed) == (Reason.UPSTREAM_UNREACHABLE, True, False)
    done = await make_call("post", f"{far_end.url}/redirect/303", query={"to": gone})
    assert fate(done) == (Reason.UPSTREAM_UNREACHABLE, False, True)


class Names(AbstractResolver):
    """A name server that gives every name these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
            for each in self.addresses
        ]

    async def close(self) -> None:
        return


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"]])
async def test_a_name_that_leads_to_this_machine_is_never_called(far_end: FarEnd, addresses: list[str]) -> None:
    client = HttpClient(AddressGuard(), limit=4, resolver=Names(*addresses))
    make_call = caller(HttpConnector(client, SystemClock()))
    url = far_end.url.replace("127.0.0.1", "trick.example") + "/echo"
    for method in ("get", "post"):
        assert fate(await make_call(method, url)) == (Reason.ADDRESS_FORBIDDEN, False, False)
    assert not far_end.asked
    await client.close()


@pytest.mark.parametrize("inside", ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1"])
async def test_no_redirect_leads_to_a_name_that_leads_inside(far_end: FarEnd, inside: str) -> None:
    client = HttpClient(AddressGuard(allow_loopback=True), limit=4, resolver=Names(inside))
    url = f"{far_end.url}/redirect/302"
    outcome = await caller(HttpConnector(client, SystemClock()))("get", url, query={"to": "http://trick.example/"})
    assert fate(outcome) == (Reason.ADDRESS_FORBIDDEN, False, False)
    await client.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①"])
async def test_this_machine_is_not_called_where_loopback_is_not_allowed(far_end: FarEnd, host: str) -> None:
    client = HttpClient(AddressGuard(), limit=4)
    url = far_end.url.replace("127.0.0.1", host)
    outcome: Any = await caller(HttpConnector(client, SystemClock()))("get", url)
    assert fate(outcome) == (Reason.ADDRESS_FORBIDDEN, False, False)
    assert not far_end.asked
    await client.close()


async def test_a_canceled_call_passes_the_cancellation_on(make_call: MakeCall, far_end: FarEnd) -> None:
    task = asyncio.ensure_future(make_call("get", f"{far_end.url}/held"))
    await eventually(lambda: far_end.calls["/held"] == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
