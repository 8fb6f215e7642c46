"""What the connector of a file sends."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from yarl import URL

from services.upstream.authorization import without_secrets
from services.upstream.connector import CallRequest
from services.upstream.credentials import BasicSecret, BearerSecret, HeaderSecret, OAuth1Secret
from services.upstream.domain import Kind, Method
from services.upstream.multipart import Multipart, form_with_file
from services.upstream.rest.data import BodyForm, Route, Target
from services.upstream.rest.requests import UnsendableError, request_of
from shared.objects import upload_key
from tests.fakes.contents import ContentStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.upstream.credentials import Secret
    from services.upstream.http_client import HttpRequest

URL_ = URL("https://api.example/v1/")


def sent(
    params: Mapping[str, Any],
    *,
    job_id: str = "shop-1",
    verb: str = "POST",
    path: str = "",
    header: str = "",
    **target: Any,
) -> HttpRequest:
    store = ContentStore({upload_key("acme", "upl_1"): b"bytes"})
    method = Method(
        name="shop.do",
        title="Do",
        kind=Kind.WRITE,
        idempotent=True,
        timeout=timedelta(seconds=1),
        params_schema={},
        upload_params=("file",),
    )
    call = CallRequest(
        job_id=job_id,
        tenant="acme",
        method=method,
        params=params,
        timeout=method.timeout,
        result=store.place(),
        uploads=store.uploads(),
    )
    route = Route(target="api", verb=verb, path=path, idempotency_header=header)
    return request_of(call, route, Target(url=URL_, **({"body": BodyForm.JSON} | target)))


def query_of(request: HttpRequest) -> list[tuple[str, str]]:
    return parse_qsl(request.url.raw_query_string, keep_blank_values=True)


@pytest.mark.parametrize("verb", ["GET", "HEAD", "DELETE"])
def test_params_go_in_the_query_of_what_has_no_body(verb: str) -> None:
    request = sent({"a": "x y&=+%ü", "n": 5.0, "f": 0.5, "t": True, "l": ["x", 1]}, verb=verb)
    assert query_of(request) == [("a", "x y&=+%ü"), ("n", "5"), ("f", "0.5"), ("t", "true"), ("l", "x"), ("l", "1")]
    assert request.body is None
    assert str(sent({}, verb=verb).url) == "https://api.example/v1/"


def test_params_go_in_a_body_as_the_target_has_it() -> None:
    request = sent({"a": "ü", "n": [1, {"x": None}]})
    assert isinstance(request.body, bytes)
    assert json.loads(request.body) == {"a": "ü", "n": [1, {"x": None}]}
    assert request.headers["Content-Type"] == "application/json"
    form = sent({"a": "x y&=+", "t": False}, body=BodyForm.FORM, truths=("0", "1"))
    assert (form.body, form.headers["Content-Type"]) == (b"a=x+y%26%3D%2B&t=0", "application/x-www-form-urlencoded")


def test_what_the_target_always_sends_wins_over_a_job() -> None:
    request = sent(
        {"format": "rest", "method": "shop.other", "a": "1"},
        body=BodyForm.FORM,
        constants={"format": "json"},
        method_param="method",
    )
    assert isinstance(request.body, bytes)
    assert sorted(parse_qsl(request.body.decode())) == [("a", "1"), ("format", "json"), ("method", "shop.do")]


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("o-1", "o-1"),
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("../x", "..%2Fx"),
        ("%2e%2e", "%252e%252e"),
        (5.0, "5"),
        ("ü", "%C3%BC"),
    ],
)
def test_a_param_in_the_path_stays_in_its_segment(value: object, segment: str) -> None:
    request = sent({"id": value, "a": "1"}, verb="GET", path="orders/{id}/items")
    assert str(request.url) == f"https://api.example/v1/orders/{segment}/items?a=1"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_param_that_would_be_another_path_is_refused(value: str) -> None:
    with pytest.raises(UnsendableError, match=r"params\.id is "):
        sent({"id": value}, path="orders/{id}")


def test_an_upload_is_a_file_among_the_fields() -> None:
    request = sent({"file": "upl_1", "title": "x"}, body=BodyForm.MULTIPART, constants={"k": "v"})
    form = request.body
    assert isinstance(form, Multipart)
    assert form.fields == (("title", "x"), ("k", "v"))
    assert request.headers["Content-Type"] == f"multipart/form-data; boundary={form.boundary}"
    assert form.size == len(form.before) + 5 + len(form.after)


def test_names_in_a_form_do_not_break_out_of_it() -> None:
    upload = ContentStore({upload_key("acme", "upl_1"): b"x"}).uploads()["upl_1"]
    form = form_with_file([('a"\r\nX: 1\r\n\r\n', "v")], 'f"', upload)
    assert b'name="a%22%0D%0AX: 1%0D%0A%0D%0A"' in form.before
    assert b'name="f%22"; filename="f%22"' in form.before
    assert form.boundary != form_with_file([], "f", upload).boundary


def test_a_known_idempotency_header_has_a_value_of_the_jobs_own() -> None:
    first, again, other = (
        sent({}, header="Idempotency-Key", job_id=job_id).headers["Idempotency-Key"]
        for job_id in ("shop-1", "shop-1", "shop-2")
    )
    assert first == again != other
    assert "Idempotency-Key" not in sent({}).headers


@pytest.mark.parametrize(
    "secret",
    [
        BearerSecret(token="c4n4ry"),
        HeaderSecret(name="X-Key", value="c4n4ry"),
        BasicSecret(username="ada", password="c4n4ry"),
        OAuth1Secret(client_key="c4n4ry-k", client_secret="c4n4ry", token="c4n4ry-t", token_secret=""),
    ],
)
def test_a_text_of_the_upstreams_is_shown_without_the_secret(secret: Secret) -> None:
    assert "c4n4ry" not in without_secrets("you sent c4n4ry, c4n4ry-k and c4n4ry-t!", secret)
    assert without_secrets("you sent nothing", secret) == "you sent nothing"


def test_basic_is_struck_out_in_its_coded_form_too() -> None:
    assert (
        without_secrets("Basic YWRhOnB3 is wrong", BasicSecret(username="ada", password="pw")) == "Basic *** is wrong"
    )
