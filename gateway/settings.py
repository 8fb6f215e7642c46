"""What the gateway is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.config import DOCS_URL

#: The field `auth_address` is the variable `PENSTOCK_GATEWAY_AUTH_ADDRESS`.
PREFIX = "PENSTOCK_GATEWAY_"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What the gateway is told; the defaults are those of the local stack."""

    #: Where clients call, HTTP/JSON and gRPC alike.
    address: str = "127.0.0.1:8080"
    #: The certificate that is shown there, with those between it and its authority (PEM), and its private key; empty
    #: for plain HTTP, where what stands before the gateway speaks TLS. Both are read again when they are replaced.
    tls_certificate: str = ""
    tls_key: str = ""
    #: Where Envoy's admin interface answers, which lets whoever reaches it do everything: on this machine's loopback.
    admin_address: str = "127.0.0.1:18001"
    #: Where `GET /stats/prometheus` and `/ready` are answered, and nothing else of the admin interface; empty for none.
    metrics_address: str = ""
    #: Where each service answers, `host:port`; a name is resolved again and again, and calls spread over its addresses.
    auth_address: str = "127.0.0.1:18101"
    intake_address: str = "127.0.0.1:18102"
    scheduler_address: str = "127.0.0.1:18103"
    upstream_address: str = "127.0.0.1:18104"
    #: The same for services that a mesh may do without; empty for one that does not run, whose paths are then unknown.
    history_address: str = ""
    webhooks_address: str = ""
    #: Where the site process answers HTTP.
    site_address: str = "127.0.0.1:18090"
    #: Where the pages of the documentation are; each error links to its own, `<docs url>/errors/<REASON>`.
    docs_url: str = DOCS_URL
    #: The OpenTelemetry collector (OTLP over gRPC, `host:port`) that gets the spans; empty for none.
    otlp_address: str = ""
    #: Of 100 requests that begin a trace, how many are recorded; a client's own `traceparent` decides for itself.
    trace_sampling_percent: float = 100.0
    #: How many proxies stand before the gateway and are believed about the client's address (`X-Forwarded-For`).
    trusted_hops: int = 0
    #: Requests a second that are taken from one address before anybody asks who calls, and how many may come at once
    #: after a pause; a rate of 0 for no such limit. Of IPv6, a network of 64 bits is one address.
    address_rate: int = 500
    address_burst: int = 1000
    #: Origins whose pages may call, such as `https://console.example`; none unless listed.
    cors_origins: tuple[str, ...] = ()
    #: A larger JSON body is refused.
    max_body_bytes: int = 10 * 1024 * 1024
    #: How long a call may take.
    call_timeout: timedelta = timedelta(seconds=30)
    #: How long a call that waits for something may take; longer than the longest wait, 60 s.
    wait_timeout: timedelta = timedelta(seconds=75)
    #: How long a stream may last, and be silent; longer than the longest watch, 5 min.
    stream_timeout: timedelta = timedelta(minutes=6)
    #: How long a client may take to send a request's headers; one that still sends then is slow on purpose.
    headers_timeout: timedelta = timedelta(seconds=10)
    #: How long a client may take to send all of a request, 10 MiB at the most; its connection is good for others after.
    request_timeout: timedelta = timedelta(seconds=60)
    #: How long a connection may be open without a request.
    idle_timeout: timedelta = timedelta(minutes=5)
    #: How long auth may take to say who calls.
    auth_timeout: timedelta = timedelta(seconds=5)
    #: How long a service may take to accept a connection.
    connect_timeout: timedelta = timedelta(seconds=1)
    #: Requests under way at one service at most: 10,000 waiters, 10,000 watchers, and all others.
    max_requests: int = 50_000
    #: Connections of clients at most. Each is an open file of Envoy's; over HTTP/1.1 each waiter has one of its own.
    max_connections: int = 50_000

    @property
    def services(self) -> dict[str, str]:
        """The address of every service that runs, by the name of its cluster."""
        addresses = {
            "auth": self.auth_address,
            "intake": self.intake_address,
            "scheduler": self.scheduler_address,
            "upstream": self.upstream_address,
            "history": self.history_address,
            "webhooks": self.webhooks_address,
        }
        return {name: address for name, address in addresses.items() if address}
