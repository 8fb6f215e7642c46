"""What a draft names: methods that are not listed, and connections and where their secrets would go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from services.intake import naming
from services.intake.catalogue import ConnectionUse, OtherMethods, Upstream
from services.intake.domain import ConnectionFacts
from services.intake.reading import read_draft
from services.intake.validation import Validator
from shared.errors import ConnectionNeedsReauth, InvalidArgument
from tests.fakes.credentials import CONNECTION
from tests.fakes.intake_requests import GUARD, HTTP_GET, PHOTOS_UPLOAD, UPSTREAMS, request
from tests.unit.intake.test_validation import NOW

if TYPE_CHECKING:
    from services.intake.domain import Draft, JobRequest
    from shared.errors import FieldViolation

VALIDATOR = Validator(guard=GUARD, digest=lambda text: text[::-1])
SEARCH = replace(PHOTOS_UPLOAD, name="flickr.photos.search", upload_params=())
FLICKR = Upstream(
    name="flickr",
    methods={SEARCH.name: SEARCH},
    connection_use=ConnectionUse.REQUIRED,
    others=OtherMethods(prefix="flickr.", template=replace(HTTP_GET, name="", kind="write", idempotent=False)),
)
LOCAL = "127.0.0.1:8443"
CATALOGUE = {**UPSTREAMS, "flickr": FLICKR}
FACTS = ConnectionFacts(upstream="http", hosts=("api.example.com", "api.example.com:8443", LOCAL))


def draft(facts: ConnectionFacts | None = FACTS, **changes: Any) -> Draft:
    return replace(read_draft(request(**changes), {}), connection_facts=facts)


def judge(facts: ConnectionFacts | None = FACTS, **changes: Any) -> JobRequest:
    return VALIDATOR.judge(draft(facts, **changes), upstreams=CATALOGUE, now=NOW)


def refused(facts: ConnectionFacts | None = FACTS, **changes: Any) -> FieldViolation:
    """The one fault of the request."""
    with pytest.raises(InvalidArgument) as caught:
        judge(facts, **changes)
    (violation,) = caught.value.violations
    return violation


def flickr(method: str, **changes: Any) -> dict[str, Any]:
    named = {"upstream": "flickr", "method": method, "connection_id": CONNECTION}
    return {**named, "params": {"url": "https://example.com/x"}, **changes}


OF_FLICKR = ConnectionFacts(upstream="flickr")


@pytest.mark.parametrize("name", ["flickr.anything.else", "flickr.x", "flickr.photos.getInfo2", "flickr.photos.serach"])
def test_a_method_that_is_not_listed_is_called_as_its_prefix_says(name: str) -> None:
    judged = judge(OF_FLICKR, **flickr(name))
    assert (judged.method, judged.method_class, judged.idempotent) == (name, "write", False)


def test_a_listed_method_is_taken_as_it_is_listed() -> None:
    judged = judge(
        OF_FLICKR, **flickr("flickr.photos.search", params={"file": "upl_0198c6f2-0000-7000-8000-000000000000"})
    )
    assert judged.method_class == "upload"


@pytest.mark.parametrize(
    "name",
    [
        "flickr.",
        "flickr..x",
        "flickr.x.",
        "flickr.x y",
        "flickr.x\n",
        "flickr.é",
        "flickr.x/y",
        "flickr.x-y",
        "flickr.*",
    ],
)
def test_a_name_that_no_method_has_is_refused_under_the_prefix_too(name: str) -> None:
    fault = refused(OF_FLICKR, **flickr(name))
    assert fault.field == "method"
    assert "after flickr. come letters" in fault.description
    assert fault.description.isprintable()


def test_a_name_that_is_too_long_is_refused() -> None:
    assert judge(OF_FLICKR, **flickr("flickr." + "x" * 93)).method
    assert refused(OF_FLICKR, **flickr("flickr." + "x" * 94)).description == "has 101 characters; it may have 100"


def test_a_near_miss_of_the_prefix_is_told_what_is_near_and_that_there_is_more() -> None:
    fault = refused(OF_FLICKR, **flickr("flicker.photos.search"))
    assert "near to it are flickr.photos.search" in fault.description
    assert fault.description.endswith("any other that begins with flickr. can be called too")


def test_the_params_of_a_method_that_is_not_listed_are_judged_by_the_common_schema() -> None:
    assert refused(OF_FLICKR, **flickr("flickr.x", params={})).field == "params.url"


@pytest.mark.parametrize("field", ["connection_id", "token_id"])
def test_a_job_with_a_connection_is_called_with_it_and_stands_in_its_lane(field: str) -> None:
    judged = judge(params={"url": "https://api.example.com/x"}, **{field: CONNECTION})
    assert (judged.connection, judged.lane) == (CONNECTION, CONNECTION)


BAD: list[tuple[str, str, ConnectionFacts | None, dict[str, Any]]] = [
    ("connectionId", "there is no such connection", ConnectionFacts(exists=False), {"connection_id": CONNECTION}),
    ("tokenId", "there is no such connection", ConnectionFacts(exists=False), {"token_id": CONNECTION}),
    ("connectionId", "is 'con_1'; there is no such connection", None, {"connection_id": "con_1"}),
    ("connectionId", "there is no such connection", None, {"connection_id": f"{CONNECTION}\n"}),
    ("tokenId", "there is no such connection", None, {"token_id": ""}),
    ("connectionId", f"is {CONNECTION}, which is for flickr", OF_FLICKR, {"connection_id": CONNECTION}),
    (
        "connectionId",
        "photos is called without a connection; leave it out",
        FACTS,
        {
            "upstream": "photos",
            "method": "photos.upload",
            "params": {"file": "upl_0198c6f2-0000-7000-8000-000000000000"},
            "connection_id": CONNECTION,
        },
    ),
    ("connectionId", "is missing; flickr is called with a connection", None, flickr("flickr.x", connection_id=None)),
]


@pytest.mark.parametrize(("field", "description", "facts", "changes"), BAD)
def test_a_connection_that_a_job_cannot_be_called_with_is_refused(
    field: str, description: str, facts: ConnectionFacts | None, changes: dict[str, Any]
) -> None:
    fault = refused(facts, **changes)
    assert fault.field == field
    assert description in fault.description


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/x",
        "https://API.example.com:443/x",
        "https://api.example.com:8443/x?q=1",
    ],
)
def test_a_url_at_one_of_the_connections_hosts_passes(url: str) -> None:
    assert judge(params={"url": url}, connection_id=CONNECTION).connection == CONNECTION


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://evil.example/x?token=s3cret", "evil.example"),
        ("https://api.example.com.evil.example/", "api.example.com.evil.example"),
        ("https://api.example.com:9443/", "api.example.com:9443"),
        ("https://x.api.example.com/", "x.api.example.com"),
    ],
)
def test_a_url_elsewhere_is_refused_with_the_hosts_that_the_connection_is_for(url: str, shown: str) -> None:
    fault = refused(params={"url": url}, connection_id=CONNECTION)
    assert fault.field == "params.url"
    assert fault.description.startswith(f"is at {shown}, and the connection {CONNECTION} is for api.example.com, ")
    assert "s3cret" not in fault.description


def test_a_secret_does_not_go_where_others_read_it() -> None:
    facts = replace(FACTS, hosts=("api.example.com",))
    assert (
        "use https" in refused(facts, params={"url": "http://api.example.com/"}, connection_id=CONNECTION).description
    )
    url = f"http://{LOCAL}/"
    (fault,) = naming.connection_faults(
        draft(params={"url": url.replace("127.0.0.1", "localhost")}, connection_id=CONNECTION), CATALOGUE["http"]
    )
    assert "is at localhost:8443" in fault.description
    assert not list(naming.connection_faults(draft(params={"url": url}, connection_id=CONNECTION), CATALOGUE["http"]))


@pytest.mark.parametrize("url", [5, None, "", "https://[", "no url"])
def test_what_is_no_url_is_told_once_and_by_the_schema(url: object) -> None:
    fault = refused(params={"url": url}, connection_id=CONNECTION)
    assert fault.field == "params.url"


def test_what_nobody_can_tell_now_is_left_to_the_worker() -> None:
    assert judge(None, params={"url": "https://anywhere.example/"}, connection_id=CONNECTION).connection == CONNECTION


def test_a_connection_whose_jobs_would_fail_is_refused_and_one_whose_jobs_wait_is_not() -> None:
    needs = replace(FACTS, needs_reauth=True)
    waiting, failing = (
        draft(replace(needs, jobs_wait=True), connection_id=CONNECTION),
        draft(needs, connection_id=CONNECTION),
    )
    naming.check_authorized([waiting, draft(None, connection_id=CONNECTION), draft()])
    with pytest.raises(ConnectionNeedsReauth, match=f"{CONNECTION}: has to be authorized anew") as caught:
        naming.check_authorized([failing])
    assert caught.value.metadata == {"connection": CONNECTION}
    with pytest.raises(ConnectionNeedsReauth) as caught:
        naming.check_authorized([waiting, failing, draft(), failing])
    assert caught.value.metadata == {"connection": CONNECTION, "faulty_jobs": "1,3"}
