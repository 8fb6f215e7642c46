"""Points at which a test has a process die by SIGKILL: between two steps, where the crash table says what follows.

A point is armed by a file of its name in the folder of the setting; the process that reaches it takes the file away and
dies, so that it dies there once. Without the setting nothing is looked for, and a production setting refuses it.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from shared.config import ConfigError, Environment

if TYPE_CHECKING:
    from shared.config import ServiceConfig


class CrashPoint(StrEnum):
    """Each is a row of the crash table."""

    #: Auth, after a connection was changed or deleted and before anyone is told.
    AUTH_CONNECTION_CHANGED = "auth-connection-changed"
    #: Auth, after some secrets were sealed anew and before the rest is.
    AUTH_RESEALING = "auth-resealing"
    #: Auth, after a refresh was claimed and before the provider is asked.
    AUTH_REFRESHING = "auth-refreshing"
    #: Auth, after the provider has answered and before anything of it is kept.
    AUTH_REFRESHED = "auth-refreshed"
    #: Auth, after a tenant was suspended or resumed and before anyone is told.
    AUTH_TENANT_CHANGED = "auth-tenant-changed"
    #: Intake, after Redis and before the publish.
    INTAKE_ADMITTED = "intake-admitted"
    #: Intake, after the publish and before the answer.
    INTAKE_PUBLISHED = "intake-published"
    #: Intake, after the last end of a batch was noted and before its notice.
    INTAKE_BATCH_ENDED = "intake-batch-ended"
    #: Scheduler, after the enqueue and before the acknowledgement.
    SCHEDULER_ENQUEUED = "scheduler-enqueued"
    #: Scheduler, after the lease and before `started`.
    SCHEDULER_LEASED = "scheduler-leased"
    #: Scheduler, after the mark that a call that is not idempotent may begin, and before its `started`.
    SCHEDULER_BEGUN = "scheduler-begun"
    #: Scheduler, after an outcome was applied and before its event.
    SCHEDULER_APPLIED = "scheduler-applied"
    #: Worker, after `started` and before the call.
    UPSTREAM_STARTED = "upstream-started"
    #: Worker, after the call and before its outcome is published.
    UPSTREAM_CALLED = "upstream-called"
    #: Webhooks, after deliveries were stored and before anyone is told that they are due.
    WEBHOOKS_STORED = "webhooks-stored"
    #: Webhooks, after an endpoint was disabled and before its tenant is told.
    WEBHOOKS_DISABLED = "webhooks-disabled"
    #: History, after an erasure was noted and before anyone is asked to erase.
    HISTORY_ERASURE_NOTED = "history-erasure-noted"
    #: Any service, after it has erased what is on one of its shelves and before the others.
    SHELF_ERASED = "shelf-erased"


class _Armed:
    """Where armed points are looked for; one a process, set at its start."""

    folder: Path | None = None


def set_up(config: ServiceConfig) -> None:
    """Looks for armed points from now on, if the settings say where.

    Raises:
        ConfigError: They say so in production.
    """
    if not config.crash_points:
        return
    if config.environment is not Environment.TEST:
        runs_for = config.environment.value
        raise ConfigError(
            [f"PENSTOCK_CRASH_POINTS is for tests alone, and PENSTOCK_ENVIRONMENT is {runs_for}; unset it"]
        )
    _Armed.folder = Path(config.crash_points)


def reach(point: CrashPoint) -> None:
    """Dies here if the point is armed."""
    if _Armed.folder is None:
        return
    try:
        (_Armed.folder / point).unlink()
    except FileNotFoundError:  # not armed, or another process died of it
        return
    os.kill(os.getpid(), signal.SIGKILL)
