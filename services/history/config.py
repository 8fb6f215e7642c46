"""History's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.config import ServiceConfig

if TYPE_CHECKING:
    from shared.config import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """Each field `x_y` is the variable `PENSTOCK_X_Y`."""

    #: The replica set that keeps the jobs: `mongodb://…/?replicaSet=…`.
    mongo_url: Secret
    #: The log of jobs: `nats://…`.
    nats_url: Secret
