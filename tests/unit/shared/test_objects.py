"""What refusals of an object store mean, and what is done about a bucket with the rights that there are."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from structlog.testing import capture_logs

from shared.errors import Unavailable
from shared.objects import (
    ARCHIVE,
    ERASURES,
    ObjectNotFoundError,
    archive_key,
    bucket,
    cache_key,
    export_key,
    export_part_key,
    incoming_key,
    params_key,
    result_key,
    upload_key,
)
from shared.objects.driver import of_refusal, translated
from shared.objects.keys import LIFETIME_DAYS


def refusal(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "x")


class Store:
    """Answers as S3 does, with the refusals it is told to give."""

    def __init__(self, **refusals: str) -> None:
        self.refusals = refusals
        self.calls: list[str] = []
        self.made: dict[str, Any] = {}
        self.rules: list[dict[str, Any]] = []

    async def get_bucket_location(self, **_: Any) -> None:
        self._call("look")

    async def create_bucket(self, **asked: Any) -> None:
        self._call("create_bucket")
        self.made = asked

    async def get_bucket_lifecycle_configuration(self, **_: Any) -> dict[str, Any]:
        self._call("get_rules")
        return {"Rules": self.rules}

    async def put_bucket_lifecycle_configuration(self, **asked: Any) -> None:
        self._call("put_rules")
        self.rules = asked["LifecycleConfiguration"]["Rules"]

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.refusals:
            raise refusal(self.refusals[name])


async def test_a_bucket_that_is_there_gets_its_rules_once() -> None:
    store = Store()
    await bucket.ensure(store, "b", region="us-east-1")
    await bucket.ensure(store, "b", region="us-east-1")
    assert store.calls == ["look", "get_rules", "put_rules", "look", "get_rules"]


@pytest.mark.parametrize("missing", ["404", "NoSuchBucket"])
async def test_a_bucket_that_is_missing_is_made_where_its_region_is(missing: str) -> None:
    store = Store(look=missing, get_rules="NoSuchLifecycleConfiguration")
    await bucket.ensure(store, "b", region="eu-central-1")
    assert store.made == {"Bucket": "b", "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
    assert len(store.rules) == len(LIFETIME_DAYS)
    store = Store(look=missing)
    await bucket.ensure(store, "b", region="us-east-1")
    assert store.made == {"Bucket": "b"}


@pytest.mark.parametrize("made", ["BucketAlreadyOwnedByYou", "BucketAlreadyExists"])
async def test_a_bucket_that_another_replica_makes_first_will_do(made: str) -> None:
    store = Store(head_bucket="404", create_bucket=made)
    await bucket.ensure(store, "b", region="us-east-1")
    assert len(store.rules) == len(LIFETIME_DAYS)


@pytest.mark.parametrize("denied", ["get_rules", "put_rules"])
async def test_a_user_that_may_set_no_rules_is_told_of_in_the_log(denied: str) -> None:
    with capture_logs() as logs:
        await bucket.ensure(Store(**{denied: "AccessDenied"}), "b", region="us-east-1")
    assert [line["event"] for line in logs] == ["lifecycle_not_applied"]


@pytest.mark.parametrize("step", ["look", "create_bucket", "get_rules"])
async def test_any_other_refusal_is_raised(step: str) -> None:
    with pytest.raises(ClientError):
        await bucket.ensure(Store(**({"look": "404"} | {step: "Odd"})), "b", region="us-east-1")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, ObjectNotFoundError),
        ("404", 404, ObjectNotFoundError),
        ("NoSuchBucket", 404, Unavailable),
        ("SlowDown", 503, Unavailable),
        ("", 500, Unavailable),
        ("", 429, Unavailable),
        ("AccessDenied", 403, Unavailable),
        ("SignatureDoesNotMatch", 403, Unavailable),
        ("BadDigest", 400, Unavailable),
        ("InvalidArgument", 400, type(None)),
    ],
)
def test_a_refusal_is_what_it_means(code: str, status: int, kind: type) -> None:
    assert isinstance(of_refusal(code, status, "k"), kind)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (refusal("NoSuchKey", 404), ObjectNotFoundError),
        (refusal("InternalError", 500), Unavailable),
        (refusal("InvalidArgument"), ClientError),
        (EndpointConnectionError(endpoint_url="x"), Unavailable),
        (aiohttp.ClientPayloadError(), Unavailable),
        (ConnectionResetError(), Unavailable),
        (ParamValidationError(report="x"), ParamValidationError),
        (asyncio.CancelledError(), asyncio.CancelledError),
    ],
)
async def test_the_drivers_errors_are_ours(raised: BaseException, kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        async with translated("k"):
            raise raised


async def test_what_takes_too_long_is_unavailable() -> None:
    with pytest.raises(Unavailable) as refused:
        async with translated("k", within=timedelta(milliseconds=10)):
            await asyncio.Event().wait()
    assert refused.value.metadata == {"dependency": "objects"}
    assert refused.value.retry_after is not None


def test_every_key_is_under_a_prefix_that_ends_and_then_its_tenant() -> None:
    keys = [
        params_key("acme", bytes(32)),
        incoming_key("acme", "upl_1"),
        upload_key("acme", "upl_1"),
        result_key("acme", "http-1", 2),
        cache_key("acme", "digest", "name"),
        export_key("acme", "op_1"),
        export_part_key("acme", "op_1", 7),
        archive_key("acme", date(2026, 8, 1), "manifest.json"),
    ]
    assert keys == [
        f"params/acme/{'00' * 32}",
        *("incoming/acme/upl_1", "uploads/acme/upl_1", "results/acme/http-1/2", "cache/acme/digest/name"),
        *("exports/acme/op_1.ndjson.gz", "exports/acme/op_1/000007", "archive/acme/2026/08/01/manifest.json"),
    ]
    # archives go with the time that their tenant gives them; erasures are of no tenant that there is any more
    assert {f"{key.split('/')[0]}/" for key in keys} - {ARCHIVE} == set(LIFETIME_DAYS) - {ERASURES}
