"""The file of an upstream: what is read from it, and what is said of mistakes in it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from services.upstream.domain import ConnectionUse, Health, Kind
from services.upstream.limits import Budget, Rate
from services.upstream.rest.data import BodyForm, CredentialKind, Retry, Route
from services.upstream.rest.loader import DataError, load

if TYPE_CHECKING:
    from pathlib import Path

    from services.upstream.rest.data import RestData

FILE = """
upstream: shop
title: Shop
connection: required
credentials: [bearer, basic]
limits:
  lane: {rates: [{calls: 10, window: 1m}], concurrency: 2}
  lane_classes: {write: {concurrency: 1}}
breaker: {upstream: true, throttle_pause: 90s, failure_ratio: 0.25}
definitions: {id: &id {type: string, minLength: 1}}
targets:
  api: {url: https://api.shop.example/v1/, constants: {lang: en}, method_param: op, truths: ["0", "1"]}
  files: {url: https://files.shop.example/, body: multipart}
errors:
  "7": {message: busy, retry: always, health: failing}
methods:
  shop.get:
    title: Get
    kind: read
    idempotent: true
    timeout: 1.5s
    cache_ttl: 5m
    path: orders/{order_id}
    params: {order_id: *id}
    required: [order_id]
    example: {order_id: o-1}
    errors:
      "7": {message: gone}
      "8": {message: token, credential_refused: true}
  shop.put:
    title: Put
    kind: upload
    idempotent: false
    timeout: 5m
    target: files
    verb: PUT
    idempotency_header: Idempotency-Key
    params: {file: {type: string, format: upload-id}}
    rules: {minProperties: 1}
other_methods:
  prefix: shop.
  title: Any other
  kind: write
  idempotent: false
  timeout: 30s
  rules: {additionalProperties: {type: string}}
"""


def read(folder: Path, text: str = FILE, name: str = "shop.yaml", **urls: str) -> RestData:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return load(file, urls={target: URL(url) for target, url in urls.items()})


def test_all_of_a_file_is_read(tmp_path: Path) -> None:
    data = read(tmp_path)
    upstream = data.upstream
    assert (upstream.name, upstream.title, upstream.connection_use) == ("shop", "Shop", ConnectionUse.REQUIRED)
    assert data.credentials == {CredentialKind.BEARER, CredentialKind.BASIC}
    assert upstream.limits.lane == Budget(rates=(Rate(calls=10, window=timedelta(minutes=1)),), concurrency=2)
    assert upstream.limits.lane_classes == {Kind.WRITE: Budget(concurrency=1)}
    breaker = upstream.breaker
    assert (breaker.upstream, breaker.throttle_pause, breaker.failure_ratio) == (True, timedelta(seconds=90), 0.25)
    get, put = upstream.methods
    assert (get.name, get.kind, get.idempotent, get.timeout) == ("shop.get", Kind.READ, True, timedelta(seconds=1.5))
    assert (get.cache_ttl, put.cache_ttl) == (timedelta(minutes=5), None)
    assert get.params_schema["properties"] == {"order_id": {"type": "string", "minLength": 1}}
    assert (get.params_schema["required"], get.params_schema["additionalProperties"]) == (["order_id"], False)
    assert (put.upload_params, put.params_schema["minProperties"]) == (("file",), 1)


def test_routes_and_targets_have_what_is_told_and_what_goes_without_saying(tmp_path: Path) -> None:
    data = read(tmp_path)
    get, put = (data.route(method) for method in data.upstream.methods)
    assert (get.target, get.verb, get.path, dict(get.example)) == (
        "api",
        "GET",
        "orders/{order_id}",
        {"order_id": "o-1"},
    )
    assert (put.target, put.verb, put.idempotency_header) == ("files", "PUT", "Idempotency-Key")
    assert data.other_route == Route(target="api", verb="POST")
    api, files = data.targets["api"], data.targets["files"]
    assert (api.url, api.body, dict(api.constants), api.method_param) == (
        URL("https://api.shop.example/v1/"),
        BodyForm.JSON,
        {"lang": "en"},
        "op",
    )
    assert (api.truths, files.truths, files.body) == (("0", "1"), ("false", "true"), BodyForm.MULTIPART)


def test_a_methods_own_meaning_of_a_code_wins(tmp_path: Path) -> None:
    data = read(tmp_path)
    get, put = data.upstream.methods
    of_get, of_put = data.rule(get, "7"), data.rule(put, "7")
    assert of_get is not None
    assert of_put is not None
    assert (of_get.message, of_get.retry, of_get.health) == ("gone", Retry.NEVER, None)
    assert (of_put.message, of_put.retry, of_put.health) == ("busy", Retry.ALWAYS, Health.FAILING)
    refused = data.rule(get, "8")
    assert refused is not None
    assert refused.credential_refused
    assert data.rule(put, "8") is None


def test_methods_that_are_not_listed_are_taken_by_their_prefix(tmp_path: Path) -> None:
    data = read(tmp_path)
    other = data.upstream.method("shop.orders.move")
    assert other is not None
    assert (other.name, other.kind, data.route(other)) == ("shop.orders.move", Kind.WRITE, data.other_route)
    for name in ("", "shop", "shop.", "shop..x", "shop.x y", "other.x", f"shop.{'x' * 100}", "shop.x\n"):
        assert data.upstream.method(name) is None


def test_an_operator_may_have_targets_elsewhere(tmp_path: Path) -> None:
    data = read(tmp_path, api="http://127.0.0.1:1/x/")
    assert data.targets["api"].url == URL("http://127.0.0.1:1/x/")
    assert data.targets["files"].url == URL("https://files.shop.example/")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: Shop", "", "shop.yaml: it lacks title"),
        ("upstream: shop", "upstream: Shop", "upstream is 'Shop'; it takes 1 to 40 lower-case letters"),
        ("upstream: shop", "upstream: other", "upstream is 'other'; the file is shop.yaml"),
        ("connection: required", "connection: yes", "connection is 'True'; it takes none, optional or required"),
        ("[bearer, basic]", "[bearer, token]", "credentials.1 is 'token'; it takes oauth1, bearer, header or basic"),
        ("window: 1m", "window: 1 minute", "limits.lane.rates.0.window is '1 minute'; it takes a number with its unit"),
        ("window: 1m", "window: 48h", "limits.lane.rates[0].window is 172800 s"),
        ("calls: 10", "calls: 0", "limits.lane.rates.0.calls is '0'; it takes a whole number from 1 on"),
        ("failure_ratio: 0.25", "failure_ratio: 2", "breaker.failure_ratio is 2; it takes more than 0"),
        ("upstream: true,", "upsteam: true,", "breaker has 'upsteam', which is not known here"),
        ("https://files", "http://files", "targets.files.url is 'http://files.shop.example/'; it takes an https://"),
        ("body: multipart", "body: xml", "targets.files.body is 'xml'; it takes form, json or multipart"),
        ("retry: always", "retry: maybe", "errors.7.retry is 'maybe'; it takes never, idempotent or always"),
        ("health: failing", "health: bad", "errors.7.health is 'bad'; it takes healthy, failing or throttled"),
        ("{message: gone}", "{}", "methods.shop.get.errors.7 lacks message"),
        ("kind: read", "kind: reading", "methods.shop.get.kind is 'reading'; it takes read, write or upload"),
        ("idempotent: true", "idempotent: maybe", "methods.shop.get.idempotent is 'maybe'; it takes true or false"),
        ("idempotent: true", "idempotent: false", "methods.shop.get.idempotent is false; a read can be made twice"),
        ("timeout: 1.5s", "timeout: 10", "methods.shop.get.timeout is '10'; it takes a number with its unit"),
        ("timeout: 1.5s", "", "methods.shop.get lacks timeout"),
        ("timeout: 5m", "timeout: 1h", "methods.shop.put.timeout is 1h; it takes up to 900s"),
        ("timeout: 1.5s", "timeout: 0s", "methods.shop.get.timeout is 0s"),
        ("timeout: 5m", "timeout: 5m\n    cache_ttl: 5m", "methods.shop.put.cache_ttl is set; only answers to reads"),
        ("target: files", "target: file", "methods.shop.put.target is 'file'; there are api, files"),
        ("target: files", "", "methods.shop.put.params has the uploads file; a multipart target takes one"),
        ("required: [order_id]", "required: [order]", "methods.shop.get.required names 'order', which is no param"),
        ("required: [order_id]", "", "methods.shop.get.path has {order_id}, which is no required param"),
        ("orders/{order_id}", "orders/{order id}", "methods.shop.get.path is 'orders/{order id}'"),
        (
            "verb: PUT",
            "verb: TRACE",
            "methods.shop.put.verb is 'TRACE'; it takes GET, HEAD, POST, PUT, PATCH or DELETE",
        ),
        (
            "Idempotency-Key",
            "Authorization",
            "methods.shop.put.idempotency_header is 'Authorization'; it takes the name",
        ),
        ("{minProperties: 1}", "{minProperties: x}", "methods.shop.put.params and .rules make no JSON Schema"),
        ("params: {order_id: *id}", "params: {order_id: text}", "methods.shop.get.params.order_id is 'text'"),
        ("  shop.put:", "  shop get:", "it takes words of letters, digits and _"),
        ("    title: Put", "    title: Put\n    ttl: 5m", "methods.shop.put has 'ttl', which is not known here"),
        ("    title: Put", "    title: Put\n    prefix: x.", "methods.shop.put has 'prefix', which is not known here"),
        ("  prefix: shop.", "  prefix: shop", "other_methods.prefix is 'shop'; it takes one word and a point"),
        ("title: Shop", "title: Shop\ntitle: Shop", "title stands twice"),
        ("title: Shop", "title: [", "is no YAML"),
        ('  "7": {message: busy', "  7: {message: busy", "the key '7' is no text; quote it"),
        ("title: Shop", "title: Shop\n? [a]\n: b", "is no text; quote it"),
        ("verb: PUT", "verb: DELETE", "methods.shop.put.verb is DELETE, which sends no upload"),
        (FILE, "", "is 'None'; it takes the parts of a connector"),
        (FILE, "- a", "it takes the parts of a connector"),
    ],
)
def test_a_mistake_is_told_with_its_file_place_and_value(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in FILE
    with pytest.raises(DataError) as caught:
        read(tmp_path, FILE.replace(old, new, 1))
    assert str(caught.value).startswith("shop.yaml: ")
    assert said in str(caught.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = FILE.replace("kind: read", "kind: reading").replace("timeout: 5m", "timeout: soon")
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert len(caught.value.mistakes) == 2
