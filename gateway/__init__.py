"""The gateway: Envoy before every service, with one port for HTTP/JSON and gRPC.

It sees to who calls, to what is well formed, and to the one shape of every error.

Reading order: `routes.yaml` and `settings` (the data), `routes` (what the protos say), `envoy` and what it calls, from
listeners inwards (the bootstrap), `lua/` (what Envoy cannot be told by settings), `build` (the files). `site/` is a
small process beside it.
"""

from gateway.build import GatewayError, build
from gateway.settings import GatewaySettings

__all__ = ["GatewayError", "GatewaySettings", "build"]
