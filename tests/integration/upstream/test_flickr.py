"""Flickr's connector and Flickr's far end: what goes out, what comes back, and what Flickr refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.upstream.credentials import BearerSecret, OAuth1Secret
from services.upstream.domain import MAX_INLINE_BYTES, Health, QuotaScope, Reason, Stored
from shared import ids
from shared.objects import upload_key
from tests.fakes.flickr.server import flickr_far_end
from tests.integration.upstream.flickr_calls import FlickrCalls, calls_to
from tests.integration.upstream.outcomes import failure, fate, success

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.upstream.http_client import HttpClient

CONTENT = bytes(range(256)) * 2048  # 512 KiB


@pytest.fixture
async def flickr(client: HttpClient) -> AsyncIterator[FlickrCalls]:
    async with flickr_far_end() as far:
        yield calls_to(far, client)


@pytest.fixture
async def upload(flickr: FlickrCalls) -> str:
    """The id of an upload of `CONTENT`."""
    upload_id = ids.new_upload_id()
    await flickr.store.put(upload_key("acme", upload_id), CONTENT, content_type="image/png")
    return upload_id


async def test_every_listed_method_is_answered(flickr: FlickrCalls, upload: str) -> None:
    world, user = flickr.far.world, flickr.user
    other = flickr.far.accounts.add_user("grace")
    photo, second, foreign = (
        world.add_photo(user.nsid, "A cat"),
        world.add_photo(user.nsid),
        world.add_photo(other.nsid),
    )
    photoset = world.add_photoset(user.nsid, "Cats", "", photo)
    world.contacts[user.nsid] = [other.nsid]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("test.echo", {"greeting": "hello"}),
        ("test.login", {}),
        ("photos.search", {"text": "cat", "per_page": 5.0}),
        ("photos.getInfo", {"photo_id": photo.id}),
        ("photos.getSizes", {"photo_id": photo.id}),
        ("photos.getExif", {"photo_id": photo.id}),
        ("photos.getRecent", {}),
        ("photos.addTags", {"photo_id": photo.id, "tags": 'one "two words"'}),
        ("photos.setMeta", {"photo_id": photo.id, "title": "Another & other"}),
        ("photos.setTags", {"photo_id": second.id, "tags": "ü +%=&"}),
        ("photosets.getList", {"user_id": user.nsid}),
        ("photosets.getPhotos", {"photoset_id": photoset.id}),
        ("photosets.create", {"title": "More", "primary_photo_id": second.id}),
        ("photosets.addPhoto", {"photoset_id": photoset.id, "photo_id": second.id}),
        ("photosets.delete", {"photoset_id": photoset.id}),
        ("people.getInfo", {"user_id": other.nsid}),
        ("people.getPhotos", {"user_id": "me"}),
        ("people.findByUsername", {"username": "grace"}),
        ("contacts.getList", {}),
        ("favorites.add", {"photo_id": foreign.id}),
        ("favorites.getList", {}),
        ("favorites.remove", {"photo_id": foreign.id}),
        ("groups.search", {"text": "cats"}),
        ("galleries.getList", {"user_id": user.nsid}),
        ("upload", {"photo": upload, "title": "New", "is_public": False}),
        ("replace", {"photo": upload, "photo_id": photo.id}),
        ("photos.delete", {"photo_id": second.id}),
    ]
    listed = {method.name.removeprefix("flickr.") for method in flickr.connector.upstream.methods}
    assert {name for name, _ in calls} == listed
    for name, params in calls:
        success(await flickr(name, **params))
    assert photo.tags == ["one", "two words"]
    assert second.tags == ["ü", "+%=&"]
    assert photo.title == "Another & other"
    assert all(flickr.far.calls[f"flickr.{name}"] == 1 for name in listed)


async def test_what_flickr_answers_is_the_result_byte_for_byte(flickr: FlickrCalls) -> None:
    photo = flickr.far.world.add_photo(flickr.user.nsid, "Ein Kätzchen")
    outcome = success(await flickr("photos.getInfo", photo_id=photo.id))
    assert isinstance(outcome.body, bytes)
    assert json.loads(outcome.body)["photo"]["title"] == {"_content": "Ein Kätzchen"}
    assert outcome.content_type.startswith("application/json")
    assert outcome.health is Health.HEALTHY


async def test_reads_are_gets_writes_are_posts_and_no_secret_is_in_a_url(flickr: FlickrCalls) -> None:
    photo = flickr.far.world.add_photo(flickr.user.nsid)
    await flickr("photos.getInfo", photo_id=photo.id)
    await flickr("photos.setMeta", photo_id=photo.id, title="x")
    assert [asked.verb for asked in flickr.far.asked] == ["GET", "POST"]
    assert all(asked.headers["Authorization"].startswith("OAuth ") for asked in flickr.far.asked)
    assert not any("oauth_token" in asked.params for asked in flickr.far.asked)


async def test_a_read_with_more_than_a_url_holds_is_posted(flickr: FlickrCalls) -> None:
    outcome = success(await flickr("photosets.getList", photo_ids=",".join(["52000000001"] * 500)))
    assert isinstance(outcome.body, bytes)
    assert b'"photosets"' in outcome.body
    (asked,) = flickr.far.asked
    assert (asked.verb, len(asked.params["photo_ids"])) == ("POST", 5999)


async def test_every_attempt_is_signed_anew(flickr: FlickrCalls) -> None:
    for _ in range(3):
        success(await flickr("test.login"))
    assert len({asked.headers["Authorization"] for asked in flickr.far.asked}) == 3


@pytest.mark.parametrize(
    "params",
    [
        {"method": "flickr.photos.delete"},
        {"format": "rest"},
        {"nojsoncallback": "0"},
        {"api_key": "other"},
        {"oauth_token": "other"},
        {"oauth_signature": "x"},
        {"api_sig": "x"},
        {"auth_token": "x"},
    ],
)
async def test_a_param_changes_neither_the_method_nor_the_form_nor_the_signature(
    flickr: FlickrCalls, params: dict[str, str]
) -> None:
    """Schemas refuse these; what gets past them is overwritten, or fails without harm."""
    await flickr("test.echo", **params)
    asked = flickr.far.asked[-1]
    assert (asked.method, asked.params["format"], asked.params["nojsoncallback"]) == ("flickr.test.echo", "json", "1")
    assert flickr.token.token in asked.headers["Authorization"]


async def test_an_upload_goes_as_a_form_and_its_id_is_the_answer(flickr: FlickrCalls, upload: str) -> None:
    outcome = success(await flickr("upload", photo=upload, title='"A" <cat>\r\n', tags="cat", is_public=False))
    (photo,) = flickr.far.world.photos.values()
    assert isinstance(outcome.body, bytes)
    assert f"<photoid>{photo.id}</photoid>".encode() in outcome.body
    assert (photo.content, photo.title, photo.tags, photo.is_public) == (CONTENT, '"A" <cat>\r\n', ["cat"], False)
    asked = flickr.far.asked[-1]
    assert int(asked.headers["Content-Length"]) > len(CONTENT)
    assert "Transfer-Encoding" not in asked.headers
    assert "format" not in asked.params


async def test_a_replacement_names_its_photo(flickr: FlickrCalls, upload: str) -> None:
    photo = flickr.far.world.add_photo(flickr.user.nsid)
    success(await flickr("replace", photo=upload, photo_id=int(photo.id)))
    assert (photo.content, photo.version) == (CONTENT, 1)
    failed = failure(await flickr("replace", photo=upload, photo_id="1"))
    assert (failed.reason, failed.upstream_code) == (Reason.UPSTREAM_REFUSED, "1")


async def test_an_upload_that_is_gone_meanwhile_is_gone(flickr: FlickrCalls, upload: str) -> None:
    uploads = flickr.store.uploads()
    flickr.store.objects.clear()
    flickr.store.uploads = lambda: uploads
    assert fate(await flickr("upload", photo=upload)) == (Reason.CONTENT_GONE, False, False)
    assert not flickr.far.world.photos


async def test_other_methods_of_flickr_pass_and_are_refused_by_flickr_alone(flickr: FlickrCalls) -> None:
    failed = failure(await flickr("photos.comments.getList", photo_id="1"))
    assert (failed.reason, failed.upstream_code, failed.retryable) == (Reason.UPSTREAM_REFUSED, "112", False)
    assert flickr.far.asked[-1].verb == "POST"


#: Method, code, retryable, health, credential refused, a word of the message.
_CODES = [
    ("photos.getInfo", 1, False, Health.HEALTHY, False, "not found"),
    ("photos.search", 1, False, Health.HEALTHY, False, "too many"),
    ("photos.search", 10, True, Health.FAILING, False, "search is unavailable"),
    ("photosets.create", 1, False, Health.HEALTHY, False, "no title"),
    ("contacts.getList", 1, False, Health.HEALTHY, False, "sort"),
    ("favorites.add", 3, False, Health.HEALTHY, False, "already"),
    ("test.login", 95, False, Health.HEALTHY, False, "TLS"),
    ("test.login", 96, False, Health.HEALTHY, False, "signature"),
    ("test.login", 97, False, Health.HEALTHY, False, "signature"),
    ("test.login", 98, False, Health.HEALTHY, True, "authorize the connection anew"),
    ("test.login", 99, False, Health.HEALTHY, False, "permission"),
    ("test.login", 100, False, Health.HEALTHY, False, "API key"),
    ("test.login", 105, True, Health.FAILING, False, "unavailable"),
    ("photosets.create", 105, True, Health.FAILING, False, "unavailable"),
    ("photos.delete", 106, True, Health.FAILING, False, "passing reason"),
    ("photosets.create", 106, False, Health.FAILING, False, "passing reason"),
    ("test.login", 111, False, Health.HEALTHY, False, "format"),
    ("test.login", 112, False, Health.HEALTHY, False, "no such method"),
    ("test.login", 114, False, Health.HEALTHY, False, "SOAP"),
    ("test.login", 115, False, Health.HEALTHY, False, "XML-RPC"),
    ("test.login", 116, False, Health.HEALTHY, False, "abuse"),
    ("test.login", 4711, False, Health.HEALTHY, False, "told to"),
    ("upload", 2, False, Health.HEALTHY, False, "no file"),
    ("upload", 3, False, Health.HEALTHY, False, "failed"),
    ("replace", 3, True, Health.HEALTHY, False, "failed"),
    ("upload", 4, False, Health.HEALTHY, False, "empty"),
    ("upload", 5, False, Health.HEALTHY, False, "type of the file"),
    ("upload", 6, False, Health.HEALTHY, False, "as much as it may"),
    ("upload", 8, False, Health.HEALTHY, False, "too large"),
    ("upload", 9, False, Health.HEALTHY, False, "already"),
    ("upload", 98, False, Health.HEALTHY, True, "authorize the connection anew"),
    ("upload", 105, True, Health.FAILING, False, "unavailable"),
]


@pytest.mark.parametrize(("method", "code", "retryable", "health", "refused", "word"), _CODES)
async def test_each_code_of_flickrs_means_what_it_means_for_the_method(
    flickr: FlickrCalls,
    upload: str,
    method: str,
    code: int,
    *,
    retryable: bool,
    health: Health,
    refused: bool,
    word: str,
) -> None:
    flickr.far.misbehave("fail", code=code)
    params = {"photo": upload, "photo_id": "1"} if method in {"upload", "replace"} else {}
    failed = failure(await flickr(method, **params))
    assert (failed.reason, failed.upstream_code, failed.upstream_status) == (Reason.UPSTREAM_REFUSED, str(code), 200)
    assert (failed.retryable, failed.health, failed.credential_refused) == (retryable, health, refused)
    assert not failed.outcome_unknown
    assert word in failed.message


async def test_a_token_that_its_user_has_taken_back_is_refused(flickr: FlickrCalls) -> None:
    flickr.far.accounts.revoke(flickr.token.token)
    failed = failure(await flickr("test.login"))
    assert (failed.upstream_code, failed.credential_refused, failed.retryable) == ("98", True, False)
    assert flickr.token.token not in failed.message


async def test_a_permission_that_is_missing_stops_one_job_and_not_the_connection(client: HttpClient) -> None:
    async with flickr_far_end() as far:
        flickr = calls_to(far, client, "read")
        photo = far.world.add_photo(flickr.user.nsid)
        failed = failure(await flickr("photos.delete", photo_id=photo.id))
        assert (failed.upstream_code, failed.credential_refused) == ("99", False)
        success(await flickr("photos.getInfo", photo_id=photo.id))


async def test_a_clock_that_is_wrong_is_no_revoked_token(flickr: FlickrCalls) -> None:
    flickr.far.accounts.skew = timedelta(minutes=20)
    failed = failure(await flickr("test.login"))
    assert (failed.upstream_status, failed.upstream_code) == (401, "timestamp_refused")
    assert (failed.retryable, failed.credential_refused) == (True, False)
    assert "clock" in failed.message
    flickr.far.accounts.skew = timedelta()
    success(await flickr("test.login"))


@pytest.mark.parametrize(
    ("problem", "refused", "retryable"),
    [
        ("token_rejected", True, False),
        ("token_revoked", True, False),
        ("token_expired", True, False),
        ("nonce_used", False, True),
        ("signature_invalid", False, False),
        ("consumer_key_unknown", False, False),
        ("permission_denied", False, False),
        ("something_new", False, False),
    ],
)
async def test_only_what_is_said_of_the_token_is_the_tokens(
    flickr: FlickrCalls, upload: str, problem: str, *, refused: bool, retryable: bool
) -> None:
    flickr.far.misbehave("oauth_problem", problem=problem, times=2)
    failed = failure(await flickr("test.login"))
    assert (failed.upstream_code, failed.credential_refused, failed.retryable) == (problem, refused, retryable)
    of_upload = failure(await flickr("upload", photo=upload))
    assert (of_upload.upstream_code, of_upload.credential_refused) == (problem, refused)


async def test_a_401_that_says_nothing_revokes_nothing(flickr: FlickrCalls) -> None:
    flickr.far.misbehave("outage", status=401)
    failed = failure(await flickr("test.login"))
    assert (failed.reason, failed.upstream_status, failed.credential_refused) == (Reason.UPSTREAM_STATUS, 401, False)


async def test_a_wrong_secret_is_not_signed_rightly(flickr: FlickrCalls) -> None:
    assert flickr.credential is not None
    secret = flickr.credential.secret
    assert isinstance(secret, OAuth1Secret)
    flickr.credential = replace(flickr.credential, secret=replace(secret, client_secret="another"))
    failed = failure(await flickr("test.login"))
    assert (failed.upstream_code, failed.credential_refused) == ("signature_invalid", False)


async def test_calls_beyond_the_limit_are_put_off_as_flickr_says(client: HttpClient) -> None:
    async with flickr_far_end(per_hour=2) as far:
        flickr = calls_to(far, client)
        for _ in range(2):
            success(await flickr("test.login"))
        failed = failure(await flickr("test.login"))
    assert (failed.reason, failed.upstream_status, failed.health) == (Reason.UPSTREAM_STATUS, 429, Health.THROTTLED)
    assert failed.retryable
    assert failed.retry_after is not None
    assert timedelta(minutes=59) < failed.retry_after <= timedelta(hours=1)
    (quota,) = failed.quotas
    assert (quota.scope, quota.remaining) == (QuotaScope.LANE, 0)


async def test_a_write_that_is_throttled_was_not_done_and_is_tried_again(flickr: FlickrCalls) -> None:
    flickr.far.misbehave("throttle", after=7)
    failed = failure(await flickr("photosets.create", title="x", primary_photo_id="1"))
    assert (failed.retryable, failed.outcome_unknown, failed.retry_after) == (True, False, timedelta(seconds=7))


async def test_a_call_without_a_connection_or_with_one_of_another_kind_does_not_go_out(flickr: FlickrCalls) -> None:
    credential = flickr.credential
    assert credential is not None
    flickr.credential = replace(credential, secret=BearerSecret(token="canary"))
    failed = failure(await flickr("test.login"))
    assert (failed.reason, failed.retryable) == (Reason.CONNECTION_FORBIDDEN, False)
    assert "bearer" in failed.message
    assert "canary" not in failed.message
    flickr.credential = replace(credential, hosts=frozenset({"api.other.example"}))
    assert failure(await flickr("test.login")).reason is Reason.CONNECTION_FORBIDDEN
    flickr.credential = None
    assert failure(await flickr("test.login")).reason is Reason.INVALID_ARGUMENT
    assert not flickr.far.asked
    assert not flickr.progress.sent


async def test_an_answer_too_large_for_messages_is_stored(flickr: FlickrCalls) -> None:
    flickr.far.misbehave("huge", bytes=2 * MAX_INLINE_BYTES, times=2)
    flickr.far.misbehave("huge", bytes=2 * MAX_INLINE_BYTES, told=True)
    for _ in range(3):
        assert success(await flickr("photos.search", text="x")).body == Stored(size=2 * MAX_INLINE_BYTES)
