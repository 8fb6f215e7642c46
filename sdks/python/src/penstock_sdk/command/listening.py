"""`penstock endpoints listen`: events on this machine, verified and printed while it runs."""

from __future__ import annotations

import base64
import queue
import secrets
import time
from typing import TYPE_CHECKING

import click

from penstock_sdk import ApiError, PenstockError
from penstock_sdk.command.exits import ExitCode, Failed, code_of, words
from penstock_sdk.command.grammar import Command
from penstock_sdk.command.moments import DURATION
from penstock_sdk.command.output import json_line, note
from penstock_sdk.command.receiver import receiver
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from penstock_sdk.webhooks import Event

_SECRET_BYTES = 32


@click.command(
    cls=Command,
    examples=(
        "penstock endpoints listen",
        "penstock endpoints listen --event 'job.*' --count 1 --timeout 1m",
        "penstock endpoints listen --port 9000 --url https://my-tunnel.example/",
        "penstock endpoints listen --json | jq -r .data.id",
    ),
)
@click.option("--event", "event_types", multiple=True, metavar="TYPE", help="job.failed, or job.* for all of a kind.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen on this machine; else a free one."
)
@click.option(
    "--url", metavar="URL", help="Where Penstock reaches that port, where it is not on this machine: a tunnel's."
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many events.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="End after so long.")
@pass_session
def listen(
    session: Session, *, event_types: tuple[str, ...], port: int, url: str | None, count: int | None,
    timeout: timedelta | None,
) -> None:  # fmt: skip
    """Receive events on this machine, verify them, and print them.

    Makes an endpoint for as long as it runs, and deletes it in the end, on Ctrl-C and SIGTERM too. A Penstock that is
    elsewhere cannot reach this machine: start a tunnel to --port, and give its address as --url.
    """
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"
    with receiver(port, secret) as receiving:
        address = url or f"http://127.0.0.1:{receiving.port}/"
        endpoint_id = None
        try:
            endpoint_id = _endpoint(session, address, secret, event_types)
            note(f"listening at {address} as {endpoint_id}; Ctrl-C ends it")
            for event in _arriving(receiving.events, count=count, timeout=timeout):
                _print(session, event)
        finally:
            _clear_away(session, endpoint_id, address)


def _endpoint(session: Session, url: str, secret: str, event_types: Sequence[str]) -> str:
    """The id of an endpoint made for the receiver.

    Raises:
        Failed: Penstock takes no URL of this machine.
    """
    try:
        made = session.penstock.endpoints.create(
            url,
            secret=secret,
            filter={"eventTypes": list(event_types)} if event_types else None,
            description="penstock endpoints listen",
        )
    except ApiError as error:
        if any(each.field == "url" for each in error.violations):
            way_out = "Penstock does not call this machine: start a tunnel to --port, and give its address as --url"
            raise Failed(words(error), code_of(error), hint=way_out) from error
        raise
    if made.endpoint is None:
        raise Failed("Penstock has answered without the endpoint that it made", hint="penstock endpoints list")
    return made.endpoint.id


def _arriving(events: queue.SimpleQueue[Event], *, count: int | None, timeout: timedelta | None) -> Iterator[Event]:
    """The events as they come, until there were enough of them.

    Raises:
        Failed: The time is over, and there were not.
    """
    until = None if timeout is None else time.monotonic() + timeout.total_seconds()
    left = count
    while left is None or left > 0:
        try:
            yield events.get(timeout=None if until is None else max(until - time.monotonic(), 0))
        except queue.Empty:
            if left is None:
                return
            raise Failed(f"{count - left if count else 0} events came, not {count}", ExitCode.TIMED_OUT) from None
        left = None if left is None else left - 1


def _print(session: Session, event: Event) -> None:
    told = {"id": event.id, "type": event.type, "timestamp": event.timestamp, "data": event.data}
    about = str(event.data.get("id", ""))
    head = f"{event.timestamp:%Y-%m-%dT%H:%M:%SZ}  {click.style(event.type, bold=True)}  {shown(about)}".rstrip()
    session.output.line(told, f"{head}\n  {shown(json_line(event.data))}")


def _clear_away(session: Session, endpoint_id: str | None, url: str) -> None:
    """Deletes the endpoint; finds it by its URL where the answer that named it was not waited for."""
    try:
        made = (
            [endpoint_id] if endpoint_id else [each.id for each in session.penstock.endpoints.list() if each.url == url]
        )
        for each in made:
            session.penstock.endpoints.delete(each)
            note(f"deleted {each}")
    except PenstockError as error:  # said, so that it can be done by hand; what has ended the listening goes first
        note(f"the endpoint for {url} could not be deleted: {error}; penstock endpoints list, then delete")
