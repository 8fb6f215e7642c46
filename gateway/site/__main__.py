"""`python -m gateway.site`: settings from `PENSTOCK_SITE_*`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvicorn

from gateway.site.app import make_app
from gateway.site.config import PREFIX, SiteConfig
from gateway.site.readiness import Mesh
from shared import config as settings
from shared import observability
from shared.rpc import help_pages

#: How long begun answers may take after SIGTERM.
_DRAIN_S = 5


def main() -> int:
    """Runs the site until it is told to stop; answers with the exit status."""
    try:
        config = settings.load(SiteConfig, os.environ, prefix=PREFIX)
        addresses = config.addresses
        help_pages.set_up(config.docs_url, setting=f"{PREFIX}DOCS_URL")
    except (settings.ConfigError, ValueError) as error:
        print(f"site: {error}", file=sys.stderr)  # noqa: T201  logs are not set up before the settings are read
        return 2
    observability.set_up("site", log_level=config.log_level, otlp_address="", metrics_address="")
    host, _, port = config.address.rpartition(":")
    uvicorn.run(
        make_app(lambda: Mesh(addresses, config.health_timeout), swagger_ui=Path(config.swagger_ui)),
        host=host.strip("[]"),
        port=int(port),
        loop="uvloop",
        access_log=False,  # Envoy writes it
        log_config=None,  # what uvicorn says comes in the form of our own logs
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
