"""The connector `http` sends uploads: as they come from the store, anew for each exchange."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.upstream.domain import Health, Reason
from shared import ids
from shared.objects import upload_key
from tests.integration.upstream.outcomes import failure, fate, success

if TYPE_CHECKING:
    from tests.fakes.contents import ContentStore
    from tests.fakes.far_end import FarEnd
    from tests.integration.upstream.conftest import MakeCall

CONTENT = bytes(range(256)) * 4096  # 1 MiB, in 16 chunks


@pytest.fixture
async def upload(store: ContentStore) -> str:
    """The id of an upload of `CONTENT`."""
    upload_id = ids.new_upload_id()
    await store.put(upload_key("acme", upload_id), CONTENT, content_type="image/png")
    return upload_id


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
async def test_an_upload_is_the_body_under_its_type_and_length(
    make_call: MakeCall, far_end: FarEnd, upload: str, method: str
) -> None:
    success(await make_call(method, f"{far_end.url}/status/200", upload=upload))
    asked = far_end.last
    assert asked.body == CONTENT
    assert (asked.headers["content-type"], asked.headers["content-length"]) == ("image/png", str(len(CONTENT)))
    assert "transfer-encoding" not in asked.headers


async def test_headers_may_name_another_type(make_call: MakeCall, far_end: FarEnd, upload: str) -> None:
    await make_call("put", f"{far_end.url}/status/200", upload=upload, headers={"content-type": "x/y"})
    assert far_end.last.headers.getall("content-type") == ["x/y"]


async def test_a_redirect_that_keeps_the_method_sends_it_again(
    make_call: MakeCall, far_end: FarEnd, upload: str
) -> None:
    success(await make_call("post", f"{far_end.url}/redirect/307?to=/status/200", upload=upload))
    assert [asked.body for asked in far_end.asked] == [CONTENT, CONTENT]
    assert far_end.last.headers["content-type"] == "image/png"


async def test_a_redirect_to_an_answer_sends_nothing(make_call: MakeCall, far_end: FarEnd, upload: str) -> None:
    success(await make_call("post", f"{far_end.url}/redirect/303?to=/status/200", upload=upload))
    assert (far_end.last.method, far_end.last.body) == ("GET", b"")
    assert not {"content-type", "content-length"} & {name.lower() for name in far_end.last.headers}


async def test_one_upload_is_sent_by_many_calls_at_once(make_call: MakeCall, far_end: FarEnd, upload: str) -> None:
    calls = [make_call("put", f"{far_end.url}/status/200", upload=upload, within=20) for _ in range(10)]
    assert all(success(outcome).status == 200 for outcome in await asyncio.gather(*calls))
    assert {asked.body for asked in far_end.asked} == {CONTENT}


@pytest.mark.parametrize("method", ["put", "post"])
async def test_an_upload_that_is_gone_fails_for_good_and_nothing_is_sent(
    make_call: MakeCall, far_end: FarEnd, store: ContentStore, upload: str, method: str
) -> None:
    prepared = make_call(method, f"{far_end.url}/status/200", upload=upload)
    await store.delete(upload_key("acme", upload))
    outcome = await prepared
    assert fate(outcome) == (Reason.CONTENT_GONE, False, False)
    assert not far_end.asked


@pytest.mark.parametrize("method", ["put", "post"])
async def test_a_store_that_is_away_before_anything_is_sent_costs_nothing(
    make_call: MakeCall, far_end: FarEnd, store: ContentStore, upload: str, method: str
) -> None:
    store.away_for = 1
    outcome = await make_call(method, f"{far_end.url}/status/200", upload=upload)
    assert fate(outcome) == (Reason.UNAVAILABLE, True, False)
    assert failure(outcome).health is Health.NOTHING
    assert not far_end.asked


@pytest.mark.parametrize(("method", "retryable"), [("put", True), ("post", False)])
async def test_a_store_that_goes_away_in_the_middle_breaks_the_call_off(
    make_call: MakeCall, far_end: FarEnd, store: ContentStore, upload: str, method: str, *, retryable: bool
) -> None:
    store.answers_left = 4  # the request and three chunks
    outcome = await make_call(method, f"{far_end.url}/status/200", upload=upload)
    assert fate(outcome) == (Reason.UNAVAILABLE, retryable, not retryable)
    assert upload in failure(outcome).message
    assert failure(outcome).health is Health.NOTHING  # the far end is not to blame
    assert not far_end.asked  # none that was whole


async def test_an_upstream_that_hangs_up_in_the_middle_is_to_blame_itself(
    make_call: MakeCall, far_end: FarEnd, upload: str
) -> None:
    url = far_end.raw(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    outcome = failure(await make_call("put", url, upload=upload))
    assert outcome.reason in {Reason.UPSTREAM_STATUS, Reason.UPSTREAM_UNREACHABLE}
    assert outcome.health is not Health.NOTHING
