"""What the site is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from shared.config import DOCS_URL

#: The field `address` is the variable `PENSTOCK_SITE_ADDRESS`.
PREFIX = "PENSTOCK_SITE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """What the site is told; the defaults are those of the local stack."""

    #: Where it answers HTTP; Envoy alone calls it.
    address: str = "127.0.0.1:18090"
    #: The services whose readiness it tells, each as `name=host:port`.
    services: tuple[str, ...] = (
        "auth=127.0.0.1:18101",
        "intake=127.0.0.1:18102",
        "scheduler=127.0.0.1:18103",
        "upstream=127.0.0.1:18104",
    )
    #: How long a service may take to tell its health; one that takes longer is not ready.
    health_timeout: timedelta = timedelta(seconds=1)
    #: Where browsers find the pages of the documentation; each error links to its own, `<docs url>/errors/<REASON>`.
    docs_url: str = DOCS_URL
    #: The folder of npm's swagger-ui-dist, of which `/docs` is made; without it the page says how to get it.
    swagger_ui: str = str(Path(__file__).parent / "node_modules" / "swagger-ui-dist")
    #: The least severe log lines that are written: debug, info, warning or error.
    log_level: str = "info"

    @property
    def addresses(self) -> dict[str, str]:
        """Each service's address, by its name.

        Raises:
            ValueError: An entry is not `name=host:port`.
        """
        found: dict[str, str] = {}
        for entry in self.services:
            name, _, address = entry.partition("=")
            if not name or not address.rpartition(":")[2].isdecimal():
                raise ValueError(f"{PREFIX}SERVICES has {entry!r}; it takes entries such as intake=127.0.0.1:18102")
            found[name] = address
        return found
