"""Flickr's connector when answers are partial, broken, endless, or none of Flickr's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from services.upstream.domain import MAX_INLINE_BYTES, Health, Reason
from shared import ids
from shared.objects import upload_key
from tests.fakes.flickr.server import flickr_far_end
from tests.integration.upstream.flickr_calls import FlickrCalls, calls_to
from tests.integration.upstream.outcomes import failure, fate
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.upstream.http_client import HttpClient

SOON_S = 0.3
#: A read, a write that may be repeated, one that may not, and an upload.
READ = ("photos.getInfo", {"photo_id": "1"})
SET = ("photos.setTags", {"photo_id": "1", "tags": "cat"})
CREATE = ("photosets.create", {"title": "x", "primary_photo_id": "1"})
CALLS = pytest.mark.parametrize(("method", "params", "repeatable"), [(*READ, True), (*SET, True), (*CREATE, False)])


@pytest.fixture
async def flickr(client: HttpClient) -> AsyncIterator[FlickrCalls]:
    async with flickr_far_end() as far:
        yield calls_to(far, client)


#: How an answer is broken, and a word of what is said of it.
BROKEN = [
    ({"text": "flickr is having a massage"}, "something else"),
    ({"text": ""}, "an empty body"),
    ({"text": '{"stat": "ok"'}, "where JSON was due"),
    ({"text": '{"photos": []}'}, "none of Flickr's"),
    ({"text": "[]"}, "none of Flickr's"),
    ({"text": '"ok"'}, "none of Flickr's"),
    ({"text": '{"stat": "maybe"}'}, "none of Flickr's"),
    ({"text": "[" * 20_000}, "where JSON was due"),
    ({"hex": json.dumps({"stat": "ok", "x": "ü"}, ensure_ascii=False).encode("latin-1").hex()}, "UTF-8"),
    ({"hex": '{"stat": "ok"}'.encode("utf-16").hex()}, "UTF-8"),
]


@CALLS
@pytest.mark.parametrize(("answer", "word"), BROKEN)
async def test_an_answer_that_cannot_be_read_is_no_success(
    flickr: FlickrCalls, answer: dict[str, Any], word: str, method: str, params: dict[str, str], *, repeatable: bool
) -> None:
    flickr.far.misbehave("answer", **answer)
    outcome = await flickr(method, **params)
    assert fate(outcome) == (Reason.UPSTREAM_PROTOCOL, repeatable, not repeatable)
    failed = failure(outcome)
    assert failed.health is Health.FAILING
    assert failed.upstream_status == 200
    assert word in failed.message
    assert "massage" not in failed.message


@CALLS
async def test_a_page_of_an_outage_is_no_success(
    flickr: FlickrCalls, method: str, params: dict[str, str], *, repeatable: bool
) -> None:
    flickr.far.misbehave("outage")
    outcome = await flickr(method, **params)
    assert fate(outcome) == (Reason.UPSTREAM_PROTOCOL, repeatable, not repeatable)
    assert "a page in HTML" in failure(outcome).message
    assert failure(outcome).health is Health.FAILING


@CALLS
@pytest.mark.parametrize(("status", "refused"), [(500, False), (502, False), (503, True), (504, False)])
async def test_a_page_with_the_status_of_an_outage_goes_by_the_status(
    flickr: FlickrCalls, status: int, method: str, params: dict[str, str], *, refused: bool, repeatable: bool
) -> None:
    flickr.far.misbehave("outage", status=status)
    outcome = await flickr(method, **params)
    assert fate(outcome) == (Reason.UPSTREAM_STATUS, repeatable or refused, False)
    assert failure(outcome).health is Health.FAILING


async def test_an_error_in_an_answer_with_a_status_of_an_error_is_still_flickrs(flickr: FlickrCalls) -> None:
    flickr.far.misbehave("fail", code=105, status=500)
    failed = failure(await flickr(*[READ[0]], **READ[1]))
    assert (failed.reason, failed.upstream_code, failed.upstream_status) == (Reason.UPSTREAM_REFUSED, "105", 500)


@CALLS
@pytest.mark.parametrize("when", ["headers", "body"])
async def test_a_connection_cut_after_sending_leaves_unknown_what_may_not_be_repeated(
    flickr: FlickrCalls, when: str, method: str, params: dict[str, str], *, repeatable: bool
) -> None:
    flickr.far.misbehave("cut", when=when, times=5)  # the driver asks again for a read on a connection that it had
    assert fate(await flickr(method, **params)) == (Reason.UPSTREAM_UNREACHABLE, repeatable, not repeatable)


async def test_a_well_framed_half_of_an_answer_is_no_success(flickr: FlickrCalls) -> None:
    flickr.far.misbehave("half")
    assert fate(await flickr(READ[0], **READ[1])) == (Reason.UPSTREAM_PROTOCOL, True, False)


@CALLS
@pytest.mark.parametrize("how", ["slow", "drip"])
async def test_a_slow_answer_costs_the_calls_own_time_and_no_more(
    flickr: FlickrCalls, how: str, method: str, params: dict[str, str], *, repeatable: bool
) -> None:
    flickr.far.misbehave(how)
    outcome = await flickr(method, within=SOON_S, **params)
    assert fate(outcome) == (Reason.UPSTREAM_TIMEOUT, repeatable, not repeatable)
    await eventually(lambda: flickr.far.hung_up == 1, what="the end of the connection")


@CALLS
@pytest.mark.parametrize("told", [True, False])
async def test_five_gigabytes_are_refused_and_not_read(
    flickr: FlickrCalls, method: str, params: dict[str, str], *, told: bool, repeatable: bool
) -> None:
    flickr.far.misbehave("huge", told=told)
    assert fate(await flickr(method, at_most=2 * MAX_INLINE_BYTES, **params)) == (Reason.RESULT_TOO_LARGE, False, False)
    await eventually(lambda: flickr.far.hung_up == 1, what="the end of the connection")
    assert flickr.far.sent_bytes < 64 * 1024**2  # what buffers on the way hold
    assert not flickr.store.contents


@pytest.mark.parametrize(
    "to",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:9/services/rest/",
        "https://elsewhere.example/?a=b",
        "/services/rest/?method=flickr.test.login",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(flickr: FlickrCalls, to: str, status: int) -> None:
    flickr.far.misbehave("redirect", to=to, status=status)
    assert fate(await flickr(READ[0], **READ[1])) == (Reason.UPSTREAM_PROTOCOL, True, False)
    assert len(flickr.far.asked) == 1


@pytest.mark.parametrize(("status", "unknown"), [(301, True), (302, True), (303, True), (307, False), (308, False)])
async def test_a_write_that_is_redirected_to_its_answer_may_have_been_done(
    flickr: FlickrCalls, status: int, *, unknown: bool
) -> None:
    flickr.far.misbehave("redirect", to="/elsewhere", status=status)
    failed = failure(await flickr(CREATE[0], **CREATE[1]))
    assert (failed.outcome_unknown, failed.retryable) == (unknown, not unknown)


BROKEN_XML = [
    "",
    "no XML",
    "<html><body>Bad Panda</body></html>",
    "<other/>",
    "<rsp/>",
    '<rsp stat="ok">',
    '<!DOCTYPE rsp [<!ENTITY a "aaaa">]><rsp stat="ok">&a;</rsp>',
    '<!DOCTYPE rsp SYSTEM "http://127.0.0.1:9/x.dtd"><rsp stat="ok"/>',
    '<?xml version="1.0" encoding="no-such"?><rsp stat="ok"/>',
]


@pytest.mark.parametrize("text", BROKEN_XML)
async def test_an_answer_to_an_upload_that_cannot_be_read_leaves_it_unknown(flickr: FlickrCalls, text: str) -> None:
    upload_id = ids.new_upload_id()
    await flickr.store.put(upload_key("acme", upload_id), b"x", content_type="image/png")
    flickr.far.misbehave("answer", text=text, headers={"Content-Type": "text/xml"}, times=2)
    assert fate(await flickr("upload", photo=upload_id)) == (Reason.UPSTREAM_PROTOCOL, False, True)
    assert fate(await flickr("replace", photo=upload_id, photo_id="1")) == (Reason.UPSTREAM_PROTOCOL, True, False)


async def test_what_flickr_says_is_shown_without_what_it_was_asked_with(flickr: FlickrCalls) -> None:
    flickr.far.misbehave("fail", code=4711, message=f"bad token {flickr.token.token} {'x' * 2000}")
    failed = failure(await flickr(READ[0], **READ[1]))
    assert flickr.token.token not in failed.message
    assert "bad token ***" in failed.message
    assert len(failed.message) < 300
