"""`penstock connections`: credentials at upstreams."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from penstock_sdk.command.consent import open_browser, way_back
from penstock_sdk.command.exits import Failed
from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.ids import id_argument, ids_argument, ids_option
from penstock_sdk.command.moments import DURATION
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column, at
from penstock_sdk.command.unseen import unseen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock_sdk.models import Connection, ConnectionReauthPolicy, ConnectionState

#: For as long as the link is good.
_CONSENT = timedelta(minutes=10)
_COLUMNS = (
    Column("ID", "id"),
    Column("STATE", "state"),
    Column("UPSTREAM", "upstream"),
    Column("KIND", "kind"),
    Column("ACCOUNT", lambda connection: at(connection, "account.name") or connection.get("displayName")
           or at(connection, "hosts"), shrinks=True),
    Column("CREATED", "createdAt"),
)  # fmt: skip
_BROWSER = click.option(
    "--browser/--no-browser", default=True, help="Whether to open the link here, or print it alone."
)
_BY_HAND = click.option("--by-hand", is_flag=True, help="The provider shows a code, which is typed in here.")
_TIMEOUT = click.option("--timeout", type=DURATION, default=_CONSENT, metavar="DURATION", help="10m unless told.")
_POLICY = click.option(
    "--reauth-policy", type=click.Choice(["FAIL", "WAIT"], case_sensitive=False),
    help="What becomes of its jobs while it needs to be authorized anew.",
)  # fmt: skip


@click.group(cls=Noun, examples=("penstock connections add flickr --scope write", "penstock connections list"))
def connections() -> None:
    """Credentials at upstreams: tokens that you have, or an account whose owner consents in a browser."""


@connections.command(
    examples=(
        "penstock connections add flickr --scope write --name 'Ada on Flickr'",
        "penstock connections add flickr --by-hand",
        "penstock connections add billing --client-credentials",
        "pass show api | penstock connections add http --bearer --host api.example.com --secret-stdin",
        "penstock connections add http --header X-API-Key --host api.example.com",
        "penstock connections add http --basic ada --host api.example.com",
    )
)
@click.argument("provider")
@click.option(
    "--scope", "scopes", multiple=True, metavar="SCOPE", help="What may be done with it; the provider's words."
)
@click.option("--name", "display_name", metavar="TEXT", help="How it is shown in lists.")
@_POLICY
@_BROWSER
@_BY_HAND
@_TIMEOUT
@click.option("--client-credentials", is_flag=True, help="Nobody consents: tokens of Penstock's own registration.")
@click.option("--bearer", is_flag=True, help="PROVIDER is an upstream, and you have a token for it.")
@click.option("--header", metavar="NAME", help="The same with a key that goes in this header.")
@click.option("--basic", metavar="USER", help="The same with a user and a password.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Where the secret may go, and nowhere else.")
@click.option(
    "--secret-stdin", is_flag=True, help="Read token, key or password from stdin; else it is asked for unseen."
)
@pass_session
def add(
    session: Session, provider: str, *, scopes: tuple[str, ...], display_name: str | None,
    reauth_policy: ConnectionReauthPolicy | None, browser: bool, by_hand: bool, timeout: timedelta,
    client_credentials: bool, bearer: bool, header: str | None,
    basic: str | None, hosts: tuple[str, ...], secret_stdin: bool,
) -> None:  # fmt: skip
    """Add a connection.

    PROVIDER is where somebody consents in a browser (flickr, github, ...: `penstock connections providers`); Penstock
    fetches the tokens and refreshes them. With --bearer, --header or --basic it is the upstream for which you have a
    secret.
    """
    named: dict[str, Any] = {"display_name": display_name, "reauth_policy": reauth_policy}
    own = _secret_options(bearer=bearer, header=header, basic=basic)
    if own is not None:
        if scopes or by_hand or client_credentials:
            raise click.UsageError(
                f"--{own} is for a secret that you have; it goes with no scopes and nobody's consent"
            )
        secret = _secret(own, header or basic or "", stdin=secret_stdin)
        made = session.penstock.connections.create(upstream=provider, secret=secret, hosts=list(hosts) or None, **named)
    elif client_credentials:
        made = session.penstock.connections.create(provider=provider, scopes=list(scopes) or None, **named)
    else:
        asked: dict[str, Any] = {"provider": provider, "scopes": list(scopes) or None, **named}
        made = _consented(session, asked, browser=browser, by_hand=by_hand, timeout=timeout)
    session.output.one(made, said=_standing(made))


@connections.command(
    examples=(
        "penstock connections reauthorize con_0198c6f2",
        "penstock connections list --state NEEDS_REAUTH -q | penstock connections reauthorize -",
    )
)
@id_argument("connection_id", "CONNECTION_ID|-")
@_BROWSER
@_BY_HAND
@_TIMEOUT
@pass_session
def reauthorize(session: Session, connection_id: str, *, browser: bool, by_hand: bool, timeout: timedelta) -> None:
    """Have the same account consent again; the connection keeps its id."""
    known = session.penstock.connections.get(connection_id)
    if not known.provider:
        raise Failed(
            f"{connection_id} has a secret that was handed in, and nobody consents to it",
            hint="add another connection with it, and delete this one",
        )
    asked: dict[str, Any] = {
        "provider": known.provider,
        "connection_id": connection_id,
        "scopes": [*known.scopes] or None,
    }
    made = _consented(session, asked, browser=browser, by_hand=by_hand, timeout=timeout)
    session.output.one(made, said=_standing(made))


@connections.command("list", examples=("penstock connections list", "penstock connections list --state NEEDS_REAUTH"))
@click.option("--upstream")
@click.option("--state", type=click.Choice(["ACTIVE", "NEEDS_REAUTH"], case_sensitive=False))
@ids_option
@pass_session
def list_(session: Session, *, upstream: str | None, state: ConnectionState | None, ids: bool) -> None:
    """List connections."""
    found = session.penstock.connections.list(upstream=upstream, state=state)
    session.output.many(found, _COLUMNS, ids=ids)


@connections.command(examples=("penstock connections get con_0198c6f2",))
@id_argument("connection_id", "CONNECTION_ID|-")
@pass_session
def get(session: Session, connection_id: str) -> None:
    """Show a connection; its secret is shown to nobody."""
    session.output.one(session.penstock.connections.get(connection_id))


@connections.command(examples=("penstock connections delete con_0198c6f2",))
@ids_argument("connection_ids", "CONNECTION_ID")
@pass_session
def delete(session: Session, connection_ids: tuple[str, ...]) -> None:
    """Delete connections; what they hold is revoked where the provider can."""
    for connection_id in connection_ids:
        session.penstock.connections.delete(connection_id)
        session.output.done(f"{connection_id} is deleted")


@connections.command(examples=("penstock connections providers",))
@pass_session
def providers(session: Session) -> None:
    """List where somebody can consent."""
    columns = (
        Column("NAME", "name"),
        Column("TITLE", "title", shrinks=True),
        Column("UPSTREAM", "upstream"),
        Column("CONFIGURED", lambda provider: provider.get("configured", False)),
        Column("BY HAND", lambda provider: provider.get("outOfBand", False)),
        Column("SCOPES", "scopes", shrinks=True),
    )
    session.output.many(session.penstock.providers.list(), columns)


def _consented(
    session: Session, asked: Mapping[str, Any], *, browser: bool, by_hand: bool, timeout: timedelta
) -> Connection:
    """The connection that somebody has consented to."""
    api = session.penstock.connections
    if by_hand:
        begun = api.authorize(**asked, out_of_band=True)
        open_browser(begun.authorization_url, wanted=browser)
        code = click.prompt("The code that the provider shows", err=True).strip()
        return api.complete(begun.state, code)
    with way_back() as back:
        begun = api.authorize(**asked, return_url=back.url)
        open_browser(begun.authorization_url, wanted=browser)
        # What comes in a query is no proof: whose it is, Penstock tells.
        return api.get(back.connection_id(timeout))


def _secret_options(*, bearer: bool, header: str | None, basic: str | None) -> str | None:
    given = [name for name, value in (("bearer", bearer), ("header", header), ("basic", basic)) if value]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} are two kinds of secret; give one")
    return given[0] if given else None


def _secret(kind: str, name: str, *, stdin: bool) -> dict[str, Any]:
    asked = {"bearer": "Token", "header": f"Value of {name}", "basic": f"Password of {name}"}[kind]
    text = unseen(asked, piped=stdin)
    match kind:
        case "bearer":
            return {"bearer": {"token": text}}
        case "header":
            return {"header": {"name": name, "value": text}}
        case _:
            return {"basic": {"username": name, "password": text}}


def _standing(connection: Connection) -> str:
    account = connection.account.name or connection.account.id if connection.account else ""
    return f"{connection.id}  {connection.state}  {account}".rstrip()
