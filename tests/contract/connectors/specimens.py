"""What the suite is told of each connector: how its upstream answers, and params that fit where no file has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from yarl import URL

from services.upstream.connectors import flickr
from services.upstream.connectors.http import HttpConnector
from services.upstream.credentials import BasicSecret, BearerSecret, Credential, HeaderSecret, OAuth1Secret
from services.upstream.rest.data import CredentialKind
from shared.clock import SystemClock
from tests.contract.connectors import worked_example
from tests.contract.connectors.scripted import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.upstream.connector import Connector
    from services.upstream.credentials import Secret
    from services.upstream.domain import Method
    from services.upstream.http_client import HttpClient

#: Stands in every secret: nothing that is told may have it.
CANARY = "c4n4ry-s3cr3t"
#: The id of the upload that calls name.
UPLOAD_ID = "upl_0198c6f2-0000-7000-8000-000000000000"
SECRETS: Mapping[CredentialKind, Secret] = {
    CredentialKind.OAUTH1: OAuth1Secret(
        client_key=f"{CANARY}-1", client_secret=f"{CANARY}-2", token=f"{CANARY}-3", token_secret=f"{CANARY}-4"
    ),
    CredentialKind.BEARER: BearerSecret(token=CANARY),
    CredentialKind.HEADER: HeaderSecret(name="X-Api-Key", value=CANARY),
    CredentialKind.BASIC: BasicSecret(username="ada", password=CANARY),
}


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One connector as the suite meets it.

    Args:
        name: The upstream's.
        make: Makes the connector, with its targets at the far end's URL.
        credential: What jobs with a connection call with; None where there are none.
        good: What the upstream answers when all is well.
        unreadable: What it never answers with; None for one that may answer with anything.
        refused: What it answers when it refuses the credential.
        examples: Params that fit, by method, where no file has them; `{url}` stands for the far end's.
    """

    name: str
    make: Callable[[HttpClient, str], Connector]
    credential: CredentialKind | None
    good: Callable[[Method], Reply]
    unreadable: Reply | None
    refused: Callable[[Method], Reply]
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def params(self, connector: Connector, method: Method, url: str) -> dict[str, Any]:
        """Params of a method that fit."""
        found = self.examples.get(method.name)
        if found is None:
            found = getattr(connector, "examples", {}).get(method.name, {})
        return {name: value.replace("{url}", url) if isinstance(value, str) else value for name, value in found.items()}

    def credential_at(self, url: str) -> Credential | None:
        """The credential, bound to the far end."""
        if self.credential is None:
            return None
        hosts = frozenset({urlsplit(url).netloc})
        return Credential(connection_id="con_1", version=1, secret=SECRETS[self.credential], hosts=hosts)


def _json(body: bytes, status: int = 200) -> Reply:
    return Reply(status=status, headers={"Content-Type": "application/json"}, body=body)


def _at(url: str, *targets: str) -> dict[str, URL]:
    return {target: URL(f"{url}/{target}/") for target in targets}


def _flickr_good(method: Method) -> Reply:
    if method.kind != "upload":
        return _json(b'{"stat":"ok"}')
    return Reply(headers={"Content-Type": "text/xml"}, body=b'<rsp stat="ok"><photoid>1</photoid></rsp>')


def _flickr_refused(method: Method) -> Reply:
    if method.kind != "upload":
        return _json(b'{"stat":"fail","code":98,"message":"Invalid auth token"}')
    return Reply(headers={"Content-Type": "text/xml"}, body=b'<rsp stat="fail"><err code="98" msg="Invalid"/></rsp>')


SPECIMENS = {
    each.name: each
    for each in (
        Specimen(
            name="http",
            make=lambda client, _: HttpConnector(client, SystemClock()),
            credential=CredentialKind.BEARER,
            good=lambda _: Reply(body=b"anything"),
            unreadable=None,
            refused=lambda _: Reply(status=401),
            examples={
                f"http.{verb}": {"url": "{url}/x", "headers": {"X-A": "1"}}
                for verb in ("get", "head", "post", "put", "patch", "delete")
            },
        ),
        Specimen(
            name="flickr",
            make=lambda client, url: flickr.connector(client, SystemClock(), _at(url, "rest", "upload", "replace")),
            credential=CredentialKind.OAUTH1,
            good=_flickr_good,
            unreadable=Reply(headers={"Content-Type": "text/html"}, body=b"<html>a page</html>"),
            refused=_flickr_refused,
        ),
        Specimen(
            name="shop",
            make=lambda client, url: worked_example.connector(client, SystemClock(), _at(url, "api")),
            credential=CredentialKind.BEARER,
            good=lambda _: _json(b'{"id":"o-1"}'),
            unreadable=Reply(headers={"Content-Type": "text/html"}, body=b"<html>a page</html>"),
            refused=lambda _: Reply(status=401, body=b"{}"),
        ),
    )
}
