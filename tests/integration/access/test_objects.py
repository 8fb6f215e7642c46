"""The object store: a service reads and writes its own prefixes, and neither makes the bucket nor sets its rules."""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from deploy.access.rights import BUCKET, OPERATOR, SERVICES
from shared.objects.bucket import rules
from shared.objects.keys import ARCHIVE, LIFETIME_DAYS
from tests.integration.access.pairs import every_pair, every_stranger, every_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.access.rights import ObjectRights, Service
    from deploy.local.stack import Stack

KEY = "acme/1"
PREFIXES = sorted({*LIFETIME_DAYS, ARCHIVE})


def client_of(stack: Stack, name: str, secret: str) -> Any:
    return get_session().create_client(
        "s3",
        endpoint_url=stack.layout.objects_url,
        region_name="us-east-1",
        aws_access_key_id=name,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, proxies={}),
    )


def as_service(stack: Stack, service: Service) -> Any:
    return client_of(stack, service.name, stack.layout.password("objects", service.name))


@pytest.fixture
def store(object_store: Stack) -> Iterator[Stack]:
    """With an object under every prefix."""
    operator = client_of(object_store, OPERATOR, object_store.layout.password("objects", OPERATOR))
    for prefix in PREFIXES:
        operator.put_object(Bucket=BUCKET, Key=prefix + KEY, Body=b"x")
    yield object_store
    for prefix in PREFIXES:
        for key in (KEY, "acme/2"):
            operator.delete_object(Bucket=BUCKET, Key=prefix + key)


def rights_of(service: Service) -> ObjectRights:
    assert service.objects is not None
    return service.objects


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    with pytest.raises(ClientError) as failure:
        yield
    assert failure.value.response["Error"]["Code"] in (codes or ("AccessDenied", "403"))


def read(client: Any, prefix: str) -> None:
    assert client.get_object(Bucket=BUCKET, Key=prefix + KEY)["Body"].read() == b"x"
    client.head_object(Bucket=BUCKET, Key=prefix + KEY)


def write(client: Any, prefix: str) -> None:
    client.put_object(Bucket=BUCKET, Key=f"{prefix}acme/2", Body=b"y")
    place = {"Bucket": BUCKET, "Key": f"{prefix}acme/2"}
    begun = client.create_multipart_upload(**place)["UploadId"]
    client.abort_multipart_upload(**place, UploadId=begun)
    client.delete_object(**place)


def names(client: Any, prefix: str) -> list[str]:
    return [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]


@every_user("objects")
def test_a_service_may_do_all_that_its_row_says(store: Stack, service: Service) -> None:
    mine, client = rights_of(service), as_service(store, service)
    client.get_bucket_location(Bucket=BUCKET)
    assert len(client.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]) == len(rules())
    for prefix in mine.reads:
        read(client, prefix)
    for prefix in mine.writes:
        write(client, prefix)
    for prefix in (*mine.writes, *mine.deletes):
        doomed = [{"Key": prefix + KEY}]
        assert not client.delete_objects(Bucket=BUCKET, Delete={"Objects": doomed}).get("Errors")
    for prefix in mine.lists:
        client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)


@every_user("objects")
def test_every_prefix_beyond_its_row_is_refused(store: Stack, service: Service) -> None:
    mine, client = rights_of(service), as_service(store, service)
    for prefix in PREFIXES:
        if prefix not in mine.reads:
            with refused():
                read(client, prefix)
        if prefix not in mine.writes:
            with refused():
                write(client, prefix)
            with refused():
                client.copy_object(Bucket=BUCKET, Key=prefix + KEY, CopySource=f"{BUCKET}/{mine.reads[0]}{KEY}")
        if prefix not in {*mine.writes, *mine.deletes}:
            answer = client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": prefix + KEY}]})
            assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
        if not {"", prefix} & set(mine.lists):
            with refused():
                names(client, prefix)
    if "" not in mine.lists:
        with refused():
            names(client, "")


@every_pair("objects")
def test_a_prefix_has_one_writer(service: Service, other: Service) -> None:
    mine = set(service.objects.writes) if service.objects is not None else set()
    assert mine & set(rights_of(other).writes) == set()


def test_every_prefix_has_a_writer() -> None:
    written = {prefix for service in SERVICES if service.objects is not None for prefix in service.objects.writes}
    assert written == set(PREFIXES)


@every_user("objects")
def test_no_service_makes_or_rules_a_bucket(store: Stack, service: Service) -> None:
    client = as_service(store, service)
    with refused():
        client.create_bucket(Bucket="another")
    with refused():
        client.delete_bucket(Bucket=BUCKET)
    with refused():
        client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules()})
    with refused():
        client.put_bucket_policy(Bucket=BUCKET, Policy="{}")


@every_stranger("objects")
def test_a_service_without_a_row_is_no_user(store: Stack, service: Service) -> None:
    client = client_of(store, service.name, store.layout.password("nats", service.name))
    for prefix in PREFIXES:
        with refused("InvalidAccessKeyId"):
            read(client, prefix)


def test_nobody_comes_in_without_the_right_secret(store: Stack) -> None:
    client = client_of(store, "intake", store.layout.password("objects", "upstream"))
    with refused("SignatureDoesNotMatch"):
        read(client, "params/")


def test_its_parts_serve_nobody_past_its_front_door(store: Stack) -> None:
    """The filer would serve every file to anyone, and the volume server take any."""
    filer, volume = store.layout.address("objects_filer"), store.layout.address("objects_volume")
    for url in (
        *(f"http://{filer}/buckets/{BUCKET}/{prefix}{KEY}" for prefix in PREFIXES),
        *(f"http://{filer}/buckets/", f"http://{filer}/etc/", f"http://{volume}/ui/index.html"),
    ):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(url, timeout=10)
        assert refusal.value.code == 401, url
    for method, url in (("PUT", f"http://{filer}/buckets/{BUCKET}/x"), ("DELETE", f"http://{filer}/buckets/{BUCKET}")):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(urllib.request.Request(url, method=method, data=b"x"), timeout=10)
        assert refusal.value.code == 401, url


def test_history_can_read_nothing_of_anyones(store: Stack) -> None:
    for name, server in (("history", "mongo"), ("auth", "mongo"), ("intake", "nats"), ("upstream", "nats")):
        client = client_of(store, name, store.layout.password(server, "history"))
        for prefix in PREFIXES:
            with refused("InvalidAccessKeyId", "SignatureDoesNotMatch"):
                read(client, prefix)
