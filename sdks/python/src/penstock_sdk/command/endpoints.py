"""`penstock endpoints`: URLs of yours that events are posted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock_sdk.command.exits import ExitCode
from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.ids import id_argument, ids_argument, ids_option
from penstock_sdk.command.listening import listen
from penstock_sdk.command.moments import DURATION
from penstock_sdk.command.params import JsonObject, Pair
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

_COLUMNS = (
    Column("ID", "id"),
    Column("ENABLED", lambda endpoint: "yes" if endpoint.get("enabled") else endpoint.get("disabledReason") or "no"),
    Column("URL", "url", shrinks=True),
    Column("EVENTS", "filter.eventTypes", shrinks=True),
    Column("CREATED", "createdAt"),
)
_CHANGES = (
    click.option(
        "--event", "event_types", multiple=True, metavar="TYPE", help="job.failed, or job.* for all of a kind."
    ),
    click.option("--upstream", "upstreams", multiple=True),
    click.option("--method", "methods", multiple=True, help="flickr.photos.*"),
    click.option("-m", "--metadata", type=Pair(), multiple=True, metavar="KEY=TEXT", help="Jobs that have this."),
    click.option("--header", "headers", type=Pair(), multiple=True, metavar="NAME=TEXT", help="Your own; kept sealed."),
    click.option("--description", metavar="TEXT"),
    click.option("--order", type=click.Choice(["NONE", "BY_CONNECTION"], case_sensitive=False)),
    click.option("--rate-limit", type=JsonObject(), metavar="JSON", help="""'{"deliveries": 10, "period": "1s"}'."""),
    click.option("--batching", type=JsonObject(), metavar="JSON", help="""'{"maxEvents": 50, "maxWait": "2s"}'."""),
    click.option("--retry", type=JsonObject(), metavar="JSON", help="""'{"pauses": ["5s", "60s"]}'."""),
    click.option("--enabled/--disabled", default=None, help="Whether anything is sent."),
)


def _changes(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_CHANGES):
        command = option(command)
    return command


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(given)
    sifted = {
        "eventTypes": list(told.pop("event_types")),
        "upstreams": list(told.pop("upstreams")),
        "methods": list(told.pop("methods")),
        "metadata": dict(told.pop("metadata")),
    }
    headers = dict(told.pop("headers"))
    passing = {name: value for name, value in sifted.items() if value}
    return {**told, "filter": passing or None, "headers": {"values": headers} if headers else None}


@click.group(
    cls=Noun,
    examples=(
        "penstock endpoints listen",
        "penstock endpoints create https://client.example/hook --event 'job.*'",
    ),
)
def endpoints() -> None:
    """URLs of yours that events are posted to, signed."""


@endpoints.command(
    examples=(
        "penstock endpoints create https://client.example/hook --event 'job.*'",
        "penstock endpoints create https://client.example/hook --upstream flickr --json | jq -r .secret.secret",
    )
)
@click.argument("url")
@_changes
@pass_session
def create(session: Session, url: str, **given: Any) -> None:
    """Make an endpoint, and show the secret that its messages are signed with."""
    made = session.penstock.endpoints.create(url, **_fields(given))
    lines = [made.endpoint.id if made.endpoint else ""]
    if made.secret is not None:
        lines += [f"secret      {made.secret.secret}", f"public key  {made.secret.public_key}"]
    session.output.one(made, said="\n".join(lines))


@endpoints.command("list", examples=("penstock endpoints list", "penstock endpoints list --disabled"))
@click.option("--enabled/--disabled", default=None, help="Those alone.")
@ids_option
@pass_session
def list_(session: Session, *, enabled: bool | None, ids: bool) -> None:
    """List endpoints."""
    session.output.many(session.penstock.endpoints.list(enabled=enabled), _COLUMNS, ids=ids)


@endpoints.command(examples=("penstock endpoints get ep_0198c6f2",))
@id_argument("endpoint_id", "ENDPOINT_ID|-")
@pass_session
def get(session: Session, endpoint_id: str) -> None:
    """Show an endpoint."""
    session.output.one(session.penstock.endpoints.get(endpoint_id))


@endpoints.command(
    examples=(
        "penstock endpoints update ep_0198c6f2 --url https://client.example/other",
        "penstock endpoints update ep_0198c6f2 --event job.failed --event job.expired",
        "penstock endpoints update ep_0198c6f2 --disabled",
    )
)
@id_argument("endpoint_id", "ENDPOINT_ID|-")
@click.option("--url", metavar="URL")
@_changes
@pass_session
def update(session: Session, endpoint_id: str, **given: Any) -> None:
    """Change what is given; of the filter all parts at once."""
    changes = {name: value for name, value in _fields(given).items() if value is not None}
    if not changes:
        raise click.UsageError("say what is to change, as by --url or --event")
    session.output.one(session.penstock.endpoints.update(endpoint_id, **changes))


@endpoints.command(examples=("penstock endpoints delete ep_0198c6f2",))
@ids_argument("endpoint_ids", "ENDPOINT_ID")
@pass_session
def delete(session: Session, endpoint_ids: tuple[str, ...]) -> None:
    """Delete endpoints; what was waiting for them has failed."""
    for endpoint_id in endpoint_ids:
        session.penstock.endpoints.delete(endpoint_id)
        session.output.done(f"{endpoint_id} is deleted")


@endpoints.command(examples=("penstock endpoints test ep_0198c6f2 --event job.failed",))
@id_argument("endpoint_id", "ENDPOINT_ID|-")
@click.option("--event", "event_type", metavar="TYPE", help="job.succeeded unless told.")
@pass_session
def test(session: Session, endpoint_id: str, *, event_type: str | None) -> None:
    """Send an example now and once, and show what the receiver says."""
    tried = session.penstock.endpoints.test(endpoint_id, event_type=event_type)
    attempt = tried.attempt
    session.output.one(tried)
    if attempt is None or not 200 <= attempt.status < 300:  # noqa: PLR2004  # what is taken: 2xx
        raise click.exceptions.Exit(ExitCode.FAILED)


@endpoints.command(examples=("penstock endpoints enable ep_0198c6f2 --replay-skipped",))
@id_argument("endpoint_id", "ENDPOINT_ID|-")
@click.option("--replay-skipped", is_flag=True, help="Send what was skipped meanwhile.")
@pass_session
def enable(session: Session, endpoint_id: str, *, replay_skipped: bool) -> None:
    """Have an endpoint that was disabled called again."""
    enabled = session.penstock.endpoints.enable(endpoint_id, replay_skipped=replay_skipped or None)
    what = "are sent now" if replay_skipped else "were skipped meanwhile; --replay-skipped sends them"
    session.output.one(enabled, said=f"{endpoint_id} is enabled; {enabled.skipped_deliveries} {what}")


@endpoints.command(
    "rotate-secret",
    examples=(
        "penstock endpoints rotate-secret ep_0198c6f2",
        "penstock endpoints rotate-secret ep_0198c6f2 --grace 0s",
    ),
)
@id_argument("endpoint_id", "ENDPOINT_ID|-")
@click.option("--grace", type=DURATION, metavar="DURATION", help="How long the old one signs too; a day unless told.")
@pass_session
def rotate_secret(session: Session, endpoint_id: str, *, grace: timedelta | None) -> None:
    """Give an endpoint another secret and key pair; the old ones sign beside them for a while."""
    session.output.one(session.penstock.endpoints.rotate_secret(endpoint_id, grace=grace))


@endpoints.command(examples=("penstock endpoints stats ep_0198c6f2 --period 1h",))
@id_argument("endpoint_id", "ENDPOINT_ID|-")
@click.option("--period", type=DURATION, metavar="DURATION", help="The last so long; a day unless told.")
@pass_session
def stats(session: Session, endpoint_id: str, *, period: timedelta | None) -> None:
    """Show how an endpoint fares: attempts, how many it took, how long it needs, what waits."""
    session.output.one(session.penstock.endpoints.stats(endpoint_id, period=period))


endpoints.add_command(listen)
