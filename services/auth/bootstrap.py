"""A tenant and its first key: `python -m services.auth.bootstrap --tenant dev --name laptop`.

Prints the key's secret, and nothing else, on the standard output. Every run makes a new key.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import uvloop

from services.auth.audit_store import MongoAuditStore
from services.auth.config import BootstrapConfig
from services.auth.domain import KeyHasher, Tenant, to_milliseconds
from services.auth.keyring import issue
from services.auth.orders import KeyOrder
from services.auth.signing_keys import SigningKeys
from services.auth.store import MongoStore
from shared import ids, observability
from shared import mongo as mongo_
from shared.audit import OK, AuditEntry
from shared.clock import SystemClock
from shared.errors import InvalidArgument, PenstockError, Unavailable
from shared.lifecycle import load_or_exit
from shared.permissions import ADMIN_SCOPES, Scope
from shared.retry import until_done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.clock import Clock

log = observability.logger()

PROGRAM = "auth.bootstrap"
#: MongoDB is waited for this long, for a stack that is just coming up.
PATIENCE = timedelta(seconds=30)


def main(arguments: Sequence[str] | None = None, *, patience: timedelta = PATIENCE) -> None:
    """Runs the command; ends the process with status 1 and a reason where it cannot be done."""
    order = _order(arguments)
    config = load_or_exit(PROGRAM, BootstrapConfig)
    observability.set_up(PROGRAM, log_level=config.log_level, otlp_address="", metrics_address="")
    try:
        secret = uvloop.run(bootstrap(config, order, clock=SystemClock(), patience=patience))
    except PenstockError as error:
        print(f"{PROGRAM}: {error.message}", file=sys.stderr)  # noqa: T201  for whoever ran the command
        raise SystemExit(1) from None
    print(secret)  # noqa: T201  the answer to the command


async def bootstrap(config: BootstrapConfig, order: KeyOrder, *, clock: Clock, patience: timedelta) -> str:
    """Makes the order's tenant where it is not there yet, and the key; answers with its secret.

    Raises:
        InvalidArgument: The order is wrong.
        Unavailable: MongoDB did not answer within `patience`.
    """
    violations = list(order.violations(clock.now()))
    if violations:
        raise InvalidArgument.of(violations)
    client = await _connected(config, patience)
    try:
        store, audit = MongoStore(client), MongoAuditStore(client)
        await store.prepare()
        await audit.prepare()
        tenant = Tenant(name=order.tenant, created_at=to_milliseconds(clock.now()))
        if await store.add_tenant(tenant):
            log.info("tenant_created", tenant=order.tenant)
            await audit.add([_entry(order.tenant, "tenant", order.tenant, clock)])
        key, secret = await issue(
            order,
            store=store,
            hasher=KeyHasher(config.key_pepper),
            signing_keys=SigningKeys(config.sealing_key),
            clock=clock,
        )
        await audit.add([_entry(order.tenant, "key", key.id, clock)])
    finally:
        await mongo_.close(client)
    log.info("key_created", key=key.id, prefix=key.prefix, owner=key.tenant, scopes=sorted(key.scopes), maker=PROGRAM)
    return secret.reveal()


def _entry(tenant: str, kind: str, target: str, clock: Clock) -> AuditEntry:
    """What the audit is told of a thing that was made: by the store itself, for no service has answered a call."""
    entry = AuditEntry(
        id=ids.new_audit_id(),
        tenant=tenant,
        actor=AuditEntry.Actor(kind=AuditEntry.Actor.COMMAND, id=PROGRAM),
        action=PROGRAM,
        target=AuditEntry.Target(kind=kind, id=target),
        service="auth",
        outcome=OK,
        count=1,
    )
    entry.time.FromDatetime(clock.now())
    return entry


async def _connected(config: BootstrapConfig, patience: timedelta) -> mongo_.Client:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await until_done(
                lambda: mongo_.connect(config.mongo_url),
                retry_on=(PenstockError, OSError),
                on_failure=lambda error, pause: log.warning(
                    "dependency_awaited",
                    dependency="mongodb",
                    error=str(error),
                    pause_s=round(pause.total_seconds(), 2),
                ),
            )
    except TimeoutError:
        raise Unavailable(
            f"MongoDB did not answer within {patience.total_seconds():g} s; start it, or mend PENSTOCK_MONGO_URL"
        ) from None


def _order(arguments: Sequence[str] | None) -> KeyOrder:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{PROGRAM}", description="Makes a tenant and a key of it."
    )
    parser.add_argument("--tenant", required=True, help="made if it is not there yet")
    parser.add_argument("--name", required=True, help="what the key is for")
    parser.add_argument(
        "--scopes",
        default=",".join(sorted(ADMIN_SCOPES)),
        help="what the key may do, parted by commas; all but operator where not given",
    )
    parser.add_argument("--operator", action="store_true", help="the key may do what crosses tenants, too")
    given = parser.parse_args(arguments)
    scopes = {scope.strip() for scope in given.scopes.split(",") if scope.strip()}
    if given.operator:
        scopes.add(Scope.OPERATOR.value)
    return KeyOrder(tenant=given.tenant, name=given.name, scopes=tuple(sorted(scopes)))


if __name__ == "__main__":
    main()
