from __future__ import annotations

import pytest

from services.upstream.config import Config
from shared import config as settings

ENVIRONMENT = {
    "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:18104",
    "PENSTOCK_IDENTITY_KEYS_FILE": "keys.json",
    "PENSTOCK_SERVICE_KEY": "pem",
    "PENSTOCK_NATS_URL": "nats://user:canary@127.0.0.1:18222",
    "PENSTOCK_REDIS_URL": "redis://user:canary@127.0.0.1:18379/0",
    "PENSTOCK_SCHEDULER_ADDRESS": "127.0.0.1:18103",
    "PENSTOCK_AUTH_ADDRESS": "127.0.0.1:18101",
    "PENSTOCK_OBJECTS_URL": "http://127.0.0.1:1",
    "PENSTOCK_OBJECTS_ACCESS_KEY": "penstock",
    "PENSTOCK_OBJECTS_SECRET_KEY": "canary",
}


def test_loopback_is_closed_unless_it_is_opened() -> None:
    config = settings.load(Config, ENVIRONMENT)
    assert (config.allow_loopback, config.concurrency) == (False, 64)
    assert config.max_result_bytes == 100 * 1024 * 1024
    assert "canary" not in settings.describe(config)


@pytest.mark.parametrize("environment", ["development", "test"])
def test_loopback_is_never_opened_in_production(environment: str) -> None:
    opened = ENVIRONMENT | {"PENSTOCK_ALLOW_LOOPBACK": "true"}
    assert settings.load(Config, opened | {"PENSTOCK_ENVIRONMENT": environment}).allow_loopback
    for production in ({}, {"PENSTOCK_ENVIRONMENT": "production"}):
        with pytest.raises(settings.ConfigError, match=r"^PENSTOCK_ALLOW_LOOPBACK is true, and PENSTOCK_ENV"):
            settings.load(Config, opened | production)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("PENSTOCK_CONCURRENCY", "0"),
        ("PENSTOCK_CONCURRENCY", "-1"),
        ("PENSTOCK_CONCURRENCY", "1001"),
        ("PENSTOCK_MAX_RESULT_BYTES", "262143"),
        ("PENSTOCK_MAX_RESULT_BYTES", "5368709121"),
        ("PENSTOCK_CACHE_MAX_BYTES", "1048575"),
        ("PENSTOCK_CACHE_MAX_BYTES", "1125899906842625"),
        ("PENSTOCK_CACHE_MAX_REDIS_BYTES", "0"),
        ("PENSTOCK_CACHE_MAX_REDIS_BYTES", "10737418241"),
    ],
)
def test_a_number_out_of_range_is_named(name: str, number: str) -> None:
    with pytest.raises(settings.ConfigError, match=f"{name} is {number}"):
        settings.load(Config, ENVIRONMENT | {name: number})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("URL", "objects:9000"),
        ("URL", "https://objects/path"),
        ("URL", ""),
        ("PUBLIC_URL", "ftp://objects"),
        ("BUCKET", "Penstock"),
        ("BUCKET", "p"),
    ],
)
def test_what_leads_to_no_object_store_is_named(name: str, text: str) -> None:
    with pytest.raises(settings.ConfigError, match=f"^PENSTOCK_OBJECTS_{name} is '{text}'"):
        settings.load(Config, ENVIRONMENT | {f"PENSTOCK_OBJECTS_{name}": text})


def test_clients_reach_the_object_store_where_services_do_unless_told_otherwise() -> None:
    assert settings.load(Config, ENVIRONMENT).objects.public_url == ENVIRONMENT["PENSTOCK_OBJECTS_URL"]
    told = settings.load(Config, ENVIRONMENT | {"PENSTOCK_OBJECTS_PUBLIC_URL": "https://objects.example.com"}).objects
    assert (told.url, told.public_url) == (ENVIRONMENT["PENSTOCK_OBJECTS_URL"], "https://objects.example.com")
    assert "Secret(…)" in repr(told)


def test_urls_of_targets_are_judged_with_all_else() -> None:
    entries = "flickr.rest=https://a.example/x/, flickr.upload=https://b.example/"
    config = settings.load(Config, ENVIRONMENT | {"PENSTOCK_UPSTREAM_URLS": entries})
    assert config.upstream_urls == ("flickr.rest=https://a.example/x/", "flickr.upload=https://b.example/")
    wrong = {"PENSTOCK_UPSTREAM_URLS": "flickr.rest=http://127.0.0.1/", "PENSTOCK_CONCURRENCY": "0"}
    with pytest.raises(settings.ConfigError) as caught:
        settings.load(Config, ENVIRONMENT | wrong)
    assert len(caught.value.mistakes) == 2


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ("flickr.photos.search", "holds 'flickr.photos.search'"),
        ("flickr.photos.search=60", "holds 'flickr.photos.search=60'; it takes method=duration"),
        ("flickr.photos.search=1m,flickr.photos.search=2m", "names 'flickr.photos.search' twice"),
        ("flickr.photos.search=1m,=2m", "holds '=2m'"),
        ("flickr.photos.search=25h", "holds 'flickr.photos.search=25h'; it .* 24h at most"),
    ],
)
def test_how_long_answers_serve_takes_methods_and_durations(texts: str, fault: str) -> None:
    with pytest.raises(settings.ConfigError, match=f"^PENSTOCK_CACHE_TTLS {fault}"):
        settings.load(Config, ENVIRONMENT | {"PENSTOCK_CACHE_TTLS": texts})


def test_the_cache_may_take_ten_gigabytes_of_which_one_in_redis() -> None:
    bounds = settings.load(Config, ENVIRONMENT).cache_bounds
    assert (bounds.in_all, bounds.in_redis) == (10 * 1024**3, 1024**3)
