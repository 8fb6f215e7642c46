"""What browsers are answered that come by an authorization's link, or back from the provider.

They show no key. The state says which authorization it is about, and a cookie that this is the browser which has opened
its link first: an answer of the provider that was given to one person makes no connection in the browser of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from google.api import httpbody_pb2

from services.auth.connections.authorizing import pages
from services.auth.connections.authorizing.authorization import OTHER_BROWSER
from services.auth.connections.authorizing.authorizations import check_browser, not_found
from services.auth.connections.providers import grants
from services.auth.connections.providers.domain import ProviderKind
from services.auth.connections.providers.oauth1 import with_query
from services.auth.domain import KeyState
from shared import ids, observability
from shared.audit import OK, entry_on_behalf
from shared.errors import (
    AuthorizationNotFound,
    InvalidArgument,
    PenstockError,
    TenantSuspended,
    Unavailable,
)
from shared.identity import Principal, PrincipalKind
from shared.rpc import status
from shared.rpc.status import HTTP_STATUS_HEADER

if TYPE_CHECKING:
    from penstock.auth.v1 import connections_pb2

    from services.auth.connections.authorizing.authorization import Authorization
    from services.auth.connections.authorizing.authorizations import Authorizations
    from services.auth.connections.authorizing.cookies import Cookies
    from services.auth.connections.domain import Connection
    from services.auth.connections.providers.domain import Provider, Providers
    from services.auth.domain import Key, Tenant
    from shared.audit import Audit, AuditEntry
    from shared.clock import Clock
    from shared.rpc.call import Call

log = observability.logger()

_MAX_DESCRIPTION_CHARACTERS = 300
_ANEW = "Go back to where you came from, and begin anew."
#: What a browser is to do next, where it is not to begin anew.
_NEXT: dict[type[PenstockError], str] = {
    Unavailable: "Wait a moment, and reload this page.",
    TenantSuspended: "Ask who has sent you here.",
}


class Holders(Protocol):
    """Knows who has begun an authorization; auth's `Store` does."""

    async def tenant(self, name: str) -> Tenant | None:
        """A tenant by its name."""
        ...

    async def key(self, tenant: str, key_id: str) -> Key | None:
        """A tenant's key by its id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAnswer:
    """What a browser is answered.

    Args:
        metadata: The initial metadata: headers of the answer, and its status where that is not 200.
        body: What goes behind them.
    """

    metadata: tuple[tuple[str, str], ...]
    body: httpbody_pb2.HttpBody


class Callback:
    """Answers browsers.

    Args:
        authorizations: What they are about.
        providers: Where those were made.
        holders: Know who has begun them.
        cookies: What browsers are known by.
        audit: Is told of what was completed, and refused.
        clock: The time.
    """

    def __init__(
        self,
        *,
        authorizations: Authorizations,
        providers: Providers,
        holders: Holders,
        cookies: Cookies,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._authorizations = authorizations
        self._providers = providers
        self._holders = holders
        self._cookies = cookies
        self._audit = audit
        self._clock = clock

    async def answer(self, request: connections_pb2.ReceiveCallbackRequest, call: Call) -> CallbackAnswer:
        """What a browser is answered; one that reads pages gets errors as pages.

        Raises:
            InvalidArgument: It brings what nobody has sent it with.
            AuthorizationNotFound: There is no such authorization any more, or it is another browser's.
            AuthorizationRefused: The provider gives no token, or the consent was not given.
            TenantSuspended: The tenant whose connection it would be is.
            Unavailable: The provider, MongoDB or the key provider is away.
        """
        try:
            if request.begin:
                return await self._open(request, call)
            return await self._receive(request, call)
        except PenstockError as error:
            log.info("callback_refused", reason=error.reason, error=error.metadata.get("error"))
            if not _reads_pages(call):
                raise
            return _page_of(error)

    async def _open(self, request: connections_pb2.ReceiveCallbackRequest, call: Call) -> CallbackAnswer:
        """Sends a browser on to the provider."""
        if len(request.ListFields()) > 1:
            raise InvalidArgument.field("begin", "is given beside other parameters; open the link as it was answered")
        begun = await self._authorizations.find(request.begin)
        await self._check_holder(begun)
        cookie = self._cookies.read(call.metadata.get("cookie", ""), begun)
        try:
            url, fresh = await self._authorizations.open(begun, request.begin, cookie=cookie)
        except AuthorizationNotFound as error:
            self._note_refused(begun, call, error)
            raise
        set_cookie = () if fresh is None else (self._cookies.fresh(fresh, begun, self._clock.now()),)
        return _redirect(url, *set_cookie)

    async def _receive(self, request: connections_pb2.ReceiveCallbackRequest, call: Call) -> CallbackAnswer:
        """Completes an authorization with what a browser brings from the provider."""
        if not request.state:
            raise InvalidArgument.field("state", "is missing; the provider sends the browser here with it")
        begun = await self._authorizations.find(request.state)
        try:
            check_browser(begun, self._cookies.read(call.metadata.get("cookie", ""), begun))
            await self._check_holder(begun)
            connection = await self._completed(begun, request)
        except (Unavailable, InvalidArgument):  # the same browser may come again
            raise
        except PenstockError as error:
            self._note_refused(begun, call, error)
            if isinstance(error, AuthorizationNotFound | TenantSuspended):
                raise
            if not begun.order.return_url and not _reads_pages(call):
                raise
            return self._ended(begun, error, request.error_description)
        await self._audit.acted(_entry(begun, call, outcome=OK, connection=connection.id))
        return self._connected(begun, connection)

    async def _completed(self, begun: Authorization, request: connections_pb2.ReceiveCallbackRequest) -> Connection:
        provider = self._providers.get(begun.order.provider)
        problem = _denial(provider, request)
        if problem:
            raise await self._authorizations.deny(begun, problem)
        if provider.kind is ProviderKind.OAUTH1:
            if not request.oauth_token:
                raise InvalidArgument.field("oauth_token", "is missing; the provider sends the browser here with it")
            return await self._authorizations.complete(
                begun, code=request.oauth_verifier, field="oauth_verifier", request_token=request.oauth_token
            )
        return await self._authorizations.complete(begun, code=request.code, field="code")

    async def _check_holder(self, begun: Authorization) -> None:
        """Lets pass what was begun by a key that still works.

        Raises:
            TenantSuspended: Its tenant does not.
            AuthorizationNotFound: It does not.
        """
        tenant = await self._holders.tenant(begun.tenant)
        if tenant is None or tenant.suspension is not None:
            raise TenantSuspended("this account is suspended here; nothing can be connected to it until it is resumed")
        key = await self._holders.key(begun.tenant, begun.principal)
        if ids.is_key_id(begun.principal) and (key is None or key.state(self._clock.now()) is not KeyState.ACTIVE):
            raise not_found()

    def _connected(self, begun: Authorization, connection: Connection) -> CallbackAnswer:
        gone = self._cookies.gone(begun)
        if begun.order.return_url:
            return _redirect(with_query(begun.order.return_url, {"connectionId": connection.id}), gone)
        title = self._providers.get(begun.order.provider).title
        account = connection.account.name or connection.account.id
        whose = f" as {account}" if account else ""
        paragraphs = [
            f"The connection {connection.id} can be used now. You may close this window.",
        ]
        return _page(f"{title} is connected{whose}", paragraphs, (("set-cookie", gone),))

    def _ended(self, begun: Authorization, error: PenstockError, description: str) -> CallbackAnswer:
        """What a browser is answered whose authorization has ended without a connection."""
        gone = self._cookies.gone(begun)
        if begun.order.return_url:
            told = grants.word(error.metadata.get("error")) or error.reason.lower()
            return _redirect(with_query(begun.order.return_url, {"error": told}), gone)
        title = self._providers.get(begun.order.provider).title
        paragraphs = [f"{error.message[:1].upper()}{error.message[1:]}."]
        if description:
            shown = "".join(filter(str.isprintable, description))[:_MAX_DESCRIPTION_CHARACTERS]
            paragraphs.append(f"{title} adds: “{shown}”")
        metadata = (("set-cookie", gone), *_status(error))
        return _page(f"{title} was not connected", [*paragraphs, _ANEW], metadata)

    def _note_refused(self, begun: Authorization, call: Call, error: PenstockError) -> None:
        detail = grants.word(error.metadata.get("error"))
        entry = _entry(begun, call, outcome=error.reason, connection=begun.order.connection_id, detail=detail)
        entry.refused = detail == OTHER_BROWSER
        self._audit.refused(entry)


def _reads_pages(call: Call) -> bool:
    return pages.is_wanted(call.metadata.get("accept", ""))


def _denial(provider: Provider, request: connections_pb2.ReceiveCallbackRequest) -> str:
    """Why the answer is no, by the provider's word; empty where it is not."""
    if request.error:
        return grants.word(request.error) or "an error"
    if request.denied:
        return "access_denied"
    if provider.issuer and (request.iss or provider.issuer_required) and request.iss != provider.issuer:
        return "issuer_mismatch"  # RFC 9207, 2.4
    return ""


def _entry(begun: Authorization, call: Call, *, outcome: str, connection: str, detail: str = "") -> AuditEntry:
    principal = Principal(kind=PrincipalKind.KEY, id=begun.principal, tenant=begun.tenant, scopes=frozenset())
    return entry_on_behalf(call, principal, kind="connection", id_=connection, outcome=outcome, detail=detail)


def _redirect(url: str, *cookies: str) -> CallbackAnswer:
    metadata = ((HTTP_STATUS_HEADER, "302"), ("location", url), *(("set-cookie", cookie) for cookie in cookies))
    return CallbackAnswer(metadata=metadata, body=httpbody_pb2.HttpBody())


def _page_of(error: PenstockError) -> CallbackAnswer:
    advice = next((text for kind, text in _NEXT.items() if isinstance(error, kind)), _ANEW)
    message = f"{error.message[:1].upper()}{error.message[1:]}."
    return _page("This did not work", [message, advice], _status(error))


def _status(error: PenstockError) -> tuple[tuple[str, str], ...]:
    rest = (pair for pair in status.initial_metadata(error) if pair[0] != HTTP_STATUS_HEADER)
    return ((HTTP_STATUS_HEADER, str(status.http_status(error))), *rest)


def _page(title: str, paragraphs: list[str], metadata: tuple[tuple[str, str], ...]) -> CallbackAnswer:
    return CallbackAnswer(
        metadata=(("content-security-policy", pages.POLICY), *metadata), body=pages.page(title, paragraphs)
    )
