"""How that is put together which speaks to providers and to browsers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.auth.connections.authorizing.answers import Authorizing
from services.auth.connections.authorizing.authorizations import Authorizations
from services.auth.connections.authorizing.callback import Callback
from services.auth.connections.authorizing.cookies import Cookies
from services.auth.connections.authorizing.flows import Flows
from services.auth.connections.authorizing.granted import Granted
from services.auth.connections.providers.oauth1 import OAuth1
from services.auth.connections.providers.oauth2 import OAuth2

if TYPE_CHECKING:
    from datetime import timedelta

    from services.auth.connections.authorizing.callback import Holders
    from services.auth.connections.authorizing.granted import Room, Told
    from services.auth.connections.authorizing.store import AuthorizationStore
    from services.auth.connections.providers.domain import Providers
    from services.auth.connections.providers.http import ProviderHttp
    from services.auth.connections.sealing.vault import Vault
    from services.auth.connections.store import ConnectionStore
    from shared.audit import Audit
    from shared.clock import Clock
    from shared.paging import PageTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What authorizing shares with the rest of connections.

    Args:
        authorizations: Where authorizations are kept.
        connections: Where connections are kept.
        room: Knows how many connections there may be.
        vault: Seals what is secret of either.
        changes: Tells of what was changed.
        holders: Know who has begun an authorization.
    """

    authorizations: AuthorizationStore
    connections: ConnectionStore
    room: Room
    vault: Vault
    changes: Told
    holders: Holders


def authorizing(
    kept: Kept,
    *,
    providers: Providers,
    http: ProviderHttp,
    public_url: str,
    lifetime: timedelta,
    page_tokens: PageTokens,
    audit: Audit,
    clock: Clock,
) -> Authorizing:
    """What answers about providers.

    Args:
        kept: What it shares.
        providers: The providers.
        http: Asks them.
        public_url: Where browsers reach the mesh; empty where none can.
        lifetime: For how long an authorization can be completed.
        page_tokens: What pages are asked for by.
        audit: Is told of what was completed, and refused.
        clock: The time.
    """
    flows = Flows(
        providers=providers,
        oauth1=OAuth1(http, now=clock.now),
        oauth2=OAuth2(http, clock=clock),
        public_url=public_url,
    )
    granted = Granted(
        store=kept.connections, room=kept.room, vault=kept.vault, flows=flows, changes=kept.changes, clock=clock
    )
    authorizations = Authorizations(
        store=kept.authorizations, vault=kept.vault, flows=flows, granted=granted, lifetime=lifetime, clock=clock
    )
    callback = Callback(
        authorizations=authorizations,
        providers=providers,
        holders=kept.holders,
        cookies=Cookies(secure=public_url.startswith("https://")),
        audit=audit,
        clock=clock,
    )
    return Authorizing(
        providers=providers,
        authorizations=authorizations,
        granted=granted,
        callback=callback,
        page_tokens=page_tokens,
    )
