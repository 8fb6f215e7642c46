"""The connector `http` with a connection: where the secret goes, and where it never does."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from oauthlib.oauth1 import ResourceEndpoint

from services.upstream.connector import CallRequest, Progress
from services.upstream.connectors.http import HttpConnector
from services.upstream.credentials import BasicSecret, BearerSecret, Credential, HeaderSecret, OAuth1Secret, Secret
from services.upstream.domain import Outcome, Reason
from shared import ids
from shared.clock import SystemClock
from shared.objects import upload_key
from tests.fakes import far_end as far_end_
from tests.fakes.contents import ContentStore
from tests.fakes.flickr.accounts import Accounts
from tests.fakes.flickr.validator import Validator
from tests.integration.upstream.outcomes import failure, success

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.upstream.http_client import HttpClient
    from tests.fakes.far_end import FarEnd

CANARY = "c4n4ry"
BEARER = BearerSecret(token=CANARY)
HEADER = HeaderSecret(name="X-Api-Key", value=CANARY)
BASIC = BasicSecret(username="ada", password=CANARY)
OAUTH1 = OAuth1Secret(client_key="k", client_secret=CANARY, token="t", token_secret=CANARY)
#: The header that each is sent in, and what it has; the signature's is another each time.
SECRETS: list[tuple[Secret, str, str]] = [
    (BEARER, "Authorization", f"Bearer {CANARY}"),
    (HEADER, "X-Api-Key", CANARY),
    (BASIC, "Authorization", "Basic YWRhOmM0bjRyeQ=="),
]


def host_of(url: str) -> str:
    return urlsplit(url).netloc


@dataclass
class Calls:
    """Calls with a connection that is for the given hosts."""

    connector: HttpConnector
    secret: Secret
    hosts: frozenset[str]
    progress: Progress = field(default_factory=Progress)
    store: ContentStore = field(default_factory=ContentStore)

    async def __call__(self, verb: str, url: str, **params: Any) -> Outcome:
        method = self.connector.upstream.method(f"http.{verb}")
        assert method is not None
        self.progress = Progress()
        return await self.connector.call(
            CallRequest(
                job_id="http-0198c6f2-0000-7000-8000-000000000000",
                tenant="acme",
                method=method,
                params={"url": url, **params},
                timeout=timedelta(seconds=5),
                result=self.store.place(),
                uploads=self.store.uploads(),
                credential=Credential(connection_id="con_1", version=1, secret=self.secret, hosts=self.hosts),
                progress=self.progress,
            )
        )


@pytest.fixture
async def other_end() -> AsyncIterator[FarEnd]:
    """A far end at another port, which is another host."""
    async with far_end_.far_end() as far:
        yield far


@pytest.fixture
def calls(client: HttpClient, far_end: FarEnd) -> Calls:
    return Calls(HttpConnector(client, SystemClock()), BEARER, frozenset({host_of(far_end.url)}))


@pytest.mark.parametrize(("secret", "header", "value"), SECRETS)
async def test_a_secret_goes_in_its_header(
    calls: Calls, far_end: FarEnd, secret: Secret, header: str, value: str
) -> None:
    calls.secret = secret
    success(await calls("post", f"{far_end.url}/echo", json={}, headers={"X-Other": "1"}))
    assert far_end.last.headers.getall(header) == [value]
    assert far_end.last.headers["X-Other"] == "1"


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        ("get", {"query": {"a": ["x y", "ü"], "b": 1.0, "c": "&=+%"}}),
        ("post", {"text": "a=1&b=%C3%BC", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        ("post", {"json": {"a": 1}}),
        ("delete", {}),
    ],
)
async def test_a_request_can_be_signed(calls: Calls, far_end: FarEnd, verb: str, params: dict[str, Any]) -> None:
    accounts = Accounts()
    program, user = accounts.add_client(), accounts.add_user()
    token = accounts.add_access_token(program.key, user.nsid)
    calls.secret = OAuth1Secret(
        client_key=program.key, client_secret=program.secret, token=token.token, token_secret=token.secret
    )
    success(await calls(verb, f"{far_end.url}/echo", **params))
    asked = far_end.last
    passes, _ = ResourceEndpoint(Validator(accounts)).validate_protected_resource_request(
        f"{far_end.url}{far_end.raw_targets[-1]}", asked.method, asked.body.decode(), dict(asked.headers)
    )
    assert passes


async def test_what_cannot_be_signed_is_told_and_not_sent(calls: Calls, far_end: FarEnd) -> None:
    calls.secret = OAUTH1
    failed = failure(await calls("get", f"{far_end.url}/echo?a=[x]&secret=hidden"))
    assert (failed.reason, failed.retryable) == (Reason.INVALID_ARGUMENT, False)
    assert "hidden" not in failed.message
    assert not far_end.asked


@pytest.mark.parametrize("secret", [BEARER, HEADER, BASIC, OAUTH1])
async def test_a_first_url_at_another_host_is_refused_before_anything_is_sent(
    calls: Calls, far_end: FarEnd, other_end: FarEnd, secret: Secret
) -> None:
    calls.secret = secret
    failed = failure(await calls("post", f"{other_end.url}/echo?key=hidden", json={}))
    assert (failed.reason, failed.retryable, failed.outcome_unknown) == (Reason.CONNECTION_FORBIDDEN, False, False)
    assert host_of(other_end.url) in failed.message
    assert host_of(far_end.url) in failed.message
    assert "hidden" not in failed.message
    assert CANARY not in failed.message
    assert not calls.progress.sent
    assert not far_end.asked
    assert not other_end.asked


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://api.example/x", {"api.example"}),  # in the clear
        ("http://localhost:{port}/x", {"localhost:{port}"}),  # a name that may lead anywhere
        ("https://api.example:8443/x", {"api.example"}),
        ("https://api.example/x", {"api.example:8443"}),
        ("https://sub.api.example/x", {"api.example"}),
        ("https://api.example.evil.example/x", {"api.example"}),
        ("https://xn--pi-xia.example/x", {"api.example"}),
        ("https://api.example/x", set()),
    ],
)
async def test_a_host_is_the_same_to_the_letter_and_called_by_https(
    calls: Calls, far_end: FarEnd, url: str, hosts: set[str]
) -> None:
    port = str(urlsplit(far_end.url).port)
    calls.hosts = frozenset(host.replace("{port}", port) for host in hosts)
    failed = failure(await calls("get", url.replace("{port}", port)))
    assert failed.reason is Reason.CONNECTION_FORBIDDEN
    assert not calls.progress.sent


@pytest.mark.parametrize("url", ["https://API.example/x", "https://api.example:443/x", "https://api.example./x"])
async def test_a_hosts_case_usual_port_and_root_make_no_other_host(calls: Calls, url: str) -> None:
    calls.hosts = frozenset({"api.example"})
    assert failure(await calls("get", url)).reason is not Reason.CONNECTION_FORBIDDEN


@pytest.mark.parametrize("secret", [BEARER, HEADER, BASIC, OAUTH1])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_elsewhere_goes_without_the_secret(
    calls: Calls, far_end: FarEnd, other_end: FarEnd, secret: Secret, status: int
) -> None:
    calls.secret = secret
    success(await calls("get", f"{far_end.url}/redirect/{status}?to={other_end.url}/echo"))
    assert CANARY not in str(other_end.last)
    assert not {"Authorization", "X-Api-Key"} & set(other_end.last.headers)
    assert {"Authorization", "X-Api-Key"} & set(far_end.last.headers)


@pytest.mark.parametrize("secret", [BEARER, HEADER, BASIC, OAUTH1])
async def test_a_redirect_that_comes_back_stays_without_it(
    calls: Calls, far_end: FarEnd, other_end: FarEnd, secret: Secret
) -> None:
    calls.secret = secret
    back = f"{other_end.url}/redirect/302?to={far_end.url}/echo"
    success(await calls("get", f"{far_end.url}/saying/302?Location={back}"))
    assert [asked.url.path for asked in far_end.asked] == ["/saying/302", "/echo"]
    assert not {"Authorization", "X-Api-Key"} & set(far_end.last.headers)


async def test_a_redirect_at_the_same_host_keeps_it_and_signs_anew(calls: Calls, far_end: FarEnd) -> None:
    success(await calls("get", f"{far_end.url}/redirect/302?to=/echo"))
    assert far_end.last.headers["Authorization"] == f"Bearer {CANARY}"
    calls.secret = OAUTH1
    success(await calls("get", f"{far_end.url}/redirect/302?to=/echo"))
    first, second = (asked.headers["Authorization"] for asked in far_end.asked[-2:])
    assert first != second


@pytest.mark.parametrize(
    ("secret", "params"),
    [
        (HEADER, {"headers": {"x-api-key": "mine"}}),
        (HEADER, {"idempotencyHeader": "x-api-key"}),
        (BEARER, {"headers": {"authorization": "mine"}}),
    ],
)
async def test_a_header_that_the_connection_sets_is_not_for_params(
    calls: Calls, far_end: FarEnd, secret: Secret, params: dict[str, Any]
) -> None:
    calls.secret = secret
    failed = failure(await calls("post", f"{far_end.url}/echo", **params))
    assert failed.reason is Reason.INVALID_ARGUMENT
    assert "which the connection sets" in failed.message
    assert "mine" not in failed.message
    assert not far_end.asked


@pytest.mark.parametrize("secret", [BEARER, HEADER, BASIC, OAUTH1])
@pytest.mark.parametrize(("status", "refused"), [(401, True), (403, False), (400, False), (500, False)])
async def test_a_401_refuses_the_credential(
    calls: Calls, far_end: FarEnd, secret: Secret, status: int, *, refused: bool
) -> None:
    calls.secret = secret
    failed = failure(await calls("get", f"{far_end.url}/status/{status}"))
    assert (failed.reason, failed.credential_refused) == (Reason.UPSTREAM_STATUS, refused)
    assert CANARY not in repr(failed)


async def test_a_401_of_a_host_that_was_not_shown_it_refuses_nothing(
    calls: Calls, far_end: FarEnd, other_end: FarEnd
) -> None:
    failed = failure(await calls("get", f"{far_end.url}/redirect/302?to={other_end.url}/status/401"))
    assert (failed.upstream_status, failed.credential_refused) == (401, False)


@pytest.mark.parametrize(
    ("problem", "refused"),
    [("token_rejected", True), ("token_expired", True), ("timestamp_refused", False), ("nonce_used", False)],
)
async def test_a_signature_that_is_refused_for_its_time_is_no_refused_token(
    calls: Calls, far_end: FarEnd, problem: str, *, refused: bool
) -> None:
    calls.secret = OAUTH1
    said = f'OAuth realm="x", oauth_problem="{problem}"'
    failed = failure(await calls("get", f"{far_end.url}/saying/401", query={"WWW-Authenticate": said}))
    assert failed.credential_refused is refused


async def test_an_idempotency_header_has_one_value_for_every_attempt(calls: Calls, far_end: FarEnd) -> None:
    for _ in range(2):
        success(await calls("post", f"{far_end.url}/echo", idempotencyHeader="Idempotency-Key"))
    first, second = (asked.headers["Idempotency-Key"] for asked in far_end.asked)
    assert first == second
    assert len(first) == 36
    assert "0198c6f2" not in first, "the job's id is nobody's business"
    failed = failure(await calls("post", f"{far_end.url}/echo", idempotencyHeader="X-Key", headers={"x-key": "mine"}))
    assert (failed.reason, len(far_end.asked)) == (Reason.INVALID_ARGUMENT, 2)


async def test_an_upload_goes_with_a_secret_too(calls: Calls, far_end: FarEnd) -> None:
    upload_id = ids.new_upload_id()
    await calls.store.put(upload_key("acme", upload_id), b"bytes", content_type="image/png")
    success(await calls("put", f"{far_end.url}/echo", upload=upload_id))
    assert (far_end.last.body, far_end.last.headers["Authorization"]) == (b"bytes", f"Bearer {CANARY}")


async def test_no_secret_is_shown_by_what_holds_it(calls: Calls, far_end: FarEnd) -> None:
    for secret in (BEARER, HEADER, BASIC, OAUTH1):
        assert CANARY not in repr(secret)
        assert CANARY not in repr(Credential(connection_id="c", version=1, secret=secret))
    echo = success(await calls("get", f"{far_end.url}/echo"))
    assert json.loads(echo.body)["method"] == "GET"
    assert CANARY not in repr(echo)
