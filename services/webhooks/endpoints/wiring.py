"""How endpoints are wired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.webhooks.delivering.sender import Sender
from services.webhooks.endpoints import trials
from services.webhooks.endpoints.changes import Changes
from services.webhooks.endpoints.endpoints import Endpoints
from services.webhooks.endpoints.rules import Rules
from services.webhooks.endpoints.secrets import EndpointSecrets, EndpointSigner
from services.webhooks.endpoints.servicer import EndpointServicer
from services.webhooks.endpoints.trials import Trials
from shared.paging import PageTokens
from shared.sealing import ENDPOINT_SECRET, Sealer

if TYPE_CHECKING:
    import ssl

    from services.webhooks.config import Config
    from services.webhooks.endpoints.store import EndpointStore
    from services.webhooks.endpoints.surroundings import Announcer, EndpointStatistics, EventTypes, Replays, Signals
    from shared.addresses import AddressGuard
    from shared.clock import Clock
    from shared.lifecycle import Process


def endpoint_secrets(config: Config) -> EndpointSecrets:
    """What makes and opens the secrets of endpoints."""
    return EndpointSecrets(Sealer.from_setting(config.sealing_key, ENDPOINT_SECRET))


def endpoint_servicer(
    config: Config,
    process: Process,
    *,
    store: EndpointStore,
    guard: AddressGuard,
    tls: ssl.SSLContext,
    event_types: EventTypes,
    announcer: Announcer,
    signals: Signals,
    statistics: EndpointStatistics,
    replays: Replays,
    clock: Clock,
) -> EndpointServicer:
    """EndpointService, over what the rest of the service has."""
    secrets = endpoint_secrets(config)
    timeout = min(trials.TIMEOUT, config.attempt_timeout)
    sender = Sender(guard, clock=clock, timeout=timeout, limit=trials.MOST_AT_ONCE, tls=tls)
    process.on_close(sender.close)
    return EndpointServicer(
        endpoints=Endpoints(
            store=store,
            secrets=secrets,
            rules=Rules(guard=guard, event_types=event_types),
            changes=Changes(announcer=announcer, signals=signals, clock=clock),
            limit=config.max_endpoints,
            grace=config.secret_grace,
            clock=clock,
        ),
        trials=Trials(sender, signer=EndpointSigner(secrets), event_types=event_types, clock=clock),
        statistics=statistics,
        replays=replays,
        event_types=event_types,
        page_tokens=PageTokens(config.service_key.reveal().encode()),
        clock=clock,
    )
