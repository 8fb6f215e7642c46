"""How delivering is wired: everything between the stores and the receivers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.collecting.floor import Floor
from services.webhooks.delivering.attempts import Attempts
from services.webhooks.delivering.choosing import Chooser
from services.webhooks.delivering.dispatcher import Dispatcher
from services.webhooks.delivering.health import Health
from services.webhooks.delivering.news import News
from services.webhooks.delivering.places import Places
from services.webhooks.delivering.sender import Sender
from services.webhooks.delivering.targets import Targets
from services.webhooks.delivering.tools import Tools
from services.webhooks.endpoints.notices import UntoldEndpoints
from services.webhooks.endpoints.secrets import EndpointSigner
from services.webhooks.endpoints.wiring import endpoint_secrets
from services.webhooks.signing import CallbackSigner
from shared.notices import Notices
from shared.sealing import CALLBACK_SECRET, Sealer
from shared.streams import DELIVERIES_DUE_SIGNAL, ENDPOINT_CHANGED_SIGNAL

if TYPE_CHECKING:
    import ssl

    from services.webhooks.config import Config
    from services.webhooks.deliveries.domain import RetrySchedule
    from services.webhooks.delivering.attempts import Tally
    from services.webhooks.delivering.receivers import ReceiverStore
    from services.webhooks.delivering.work import WorkStore
    from services.webhooks.endpoints.store import EndpointStore
    from services.webhooks.signing import TenantSecrets
    from shared.addresses import AddressGuard
    from shared.bus import Bus
    from shared.clock import Clock
    from shared.lifecycle import Process

#: Beyond the attempt's own time: for its outcome to be kept.
_LEAST_CLAIM_MARGIN = timedelta(seconds=2)


async def running_news(
    config: Config,
    process: Process,
    bus: Bus,
    *,
    receivers: ReceiverStore,
    endpoints: EndpointStore,
    work: WorkStore,
    guard: AddressGuard,
    tls: ssl.SSLContext,
    secrets: TenantSecrets,
    schedule: RetrySchedule,
    tally: Tally,
    clock: Clock,
) -> News:
    """Has deliveries made for as long as the process runs; answers with what is told of those that are due.

    Args:
        config: The settings.
        process: Runs it.
        bus: Carries signals, and notices of endpoints that were disabled.
        receivers: Who holds which.
        endpoints: What endpoints are like.
        work: The deliveries.
        guard: Decides which addresses may be called.
        tls: Which receivers' certificates are believed.
        secrets: The tenants', which sign callbacks.
        schedule: When what has failed is tried again whose endpoint has no schedule of its own.
        tally: Counts attempts by endpoint.
        clock: The time.
    """
    timeout = config.attempt_timeout
    sender = Sender(guard, clock=clock, timeout=timeout, limit=2 * config.concurrency, tls=tls)
    process.on_close(sender.close)
    disabled = Notices(UntoldEndpoints(endpoints), bus)
    process.loop("disabled endpoints", disabled.run)
    targets = Targets(
        callbacks=CallbackSigner(secrets, Sealer.from_setting(config.sealing_key, CALLBACK_SECRET)),
        endpoints=EndpointSigner(endpoint_secrets(config)),
    )
    tools = Tools(
        receivers=receivers,
        endpoints=endpoints,
        work=work,
        chooser=Chooser(work, stored=Floor(bus)),
        attempts=Attempts(sender, store=work, targets=targets, schedule=schedule, tally=tally, clock=clock),
        health=Health(endpoints, clock=clock, disable_after=config.disable_after, disabled=disabled.wake),
        places=Places(config.concurrency),
        clock=clock,
        claim_time=timeout + max(timeout / 2, _LEAST_CLAIM_MARGIN),
    )
    dispatcher = Dispatcher(tools, hold=config.receiver_hold)
    news = News(receivers=receivers, dispatcher=dispatcher, signals=bus)
    await bus.on_signal(DELIVERIES_DUE_SIGNAL, news.hear)
    await bus.on_signal(ENDPOINT_CHANGED_SIGNAL, dispatcher.hear_of_endpoint)
    process.loop("news", news.run)
    process.loop("dispatcher", dispatcher.run)
    process.on_drain(dispatcher.drain)
    return news
