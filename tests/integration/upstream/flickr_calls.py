"""Calls of Flickr's connector to Flickr's far end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.upstream import urls
from services.upstream.connector import CallRequest, Progress
from services.upstream.connectors import flickr
from services.upstream.credentials import Credential, OAuth1Secret
from shared.clock import SystemClock
from tests.fakes.contents import ContentStore

if TYPE_CHECKING:
    from services.upstream.domain import Outcome
    from services.upstream.http_client import HttpClient
    from services.upstream.rest.connector import RestConnector
    from tests.fakes.flickr.accounts import AccessToken, User
    from tests.fakes.flickr.server import FlickrFarEnd

JOB_ID = "flickr-0198c6f2-0000-7000-8000-000000000000"


@dataclass
class FlickrCalls:
    """Calls in the name of one user, who has allowed everything."""

    far: FlickrFarEnd
    connector: RestConnector
    user: User
    token: AccessToken
    credential: Credential | None
    store: ContentStore = field(default_factory=ContentStore)
    progress: Progress = field(default_factory=Progress)

    async def __call__(
        self, method: str, /, *, within: float = 5.0, at_most: int = 1024 * 1024, **params: Any
    ) -> Outcome:
        """How a call of a method comes out."""
        found = self.connector.upstream.method(f"flickr.{method}")
        assert found is not None
        self.progress = Progress()
        return await self.connector.call(
            CallRequest(
                job_id=JOB_ID,
                tenant="acme",
                method=found,
                params=params,
                timeout=timedelta(seconds=within),
                result=self.store.place(at_most=at_most),
                credential=self.credential,
                uploads=self.store.uploads(),
                progress=self.progress,
            )
        )


def calls_to(far: FlickrFarEnd, client: HttpClient, permission: str = "delete") -> FlickrCalls:
    """Calls in the name of a new user of the far end."""
    program, user = far.accounts.add_client(), far.accounts.add_user()
    token = far.accounts.add_access_token(program.key, user.nsid, permission)
    secret = OAuth1Secret(
        client_key=program.key, client_secret=program.secret, token=token.token, token_secret=token.secret
    )
    connector = flickr.connector(client, SystemClock(), urls.parse(far.urls)["flickr"])
    credential = Credential(connection_id="con_1", version=1, secret=secret)
    return FlickrCalls(far=far, connector=connector, user=user, token=token, credential=credential)
