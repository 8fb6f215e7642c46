"""`penstock login`, `logout` and `whoami`: which Penstock is asked, and with which key."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from penstock_sdk import ApiError, NotConfigured, Penstock, profiles
from penstock_sdk.command.exits import ExitCode, Failed
from penstock_sdk.command.grammar import Command
from penstock_sdk.command.output import note
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.unseen import unseen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock_sdk.models import Key

_LOCAL_URL = "http://127.0.0.1:8080"
_DEFAULT = "default"
#: Somebody sits there who may have mistyped the URL.
_RETRY_FOR_S = 3.0
_SHOWN_OF_A_KEY = 16


@click.command(
    cls=Command,
    examples=(
        "penstock login",
        "penstock login --profile staging --url https://penstock.staging.example",
        "pass show penstock | penstock login --url https://penstock.example --key-stdin",
    ),
)
@click.option("--url", metavar="URL", help="Where Penstock is; asked for where it is not given.")
@click.option("--key-stdin", is_flag=True, help="Read the key from the standard input; else it is asked for unseen.")
@click.option("--sign-requests", is_flag=True, help="Sign requests, so that the key itself is never sent.")
@pass_session
def login(session: Session, *, url: str | None, key_stdin: bool, sign_requests: bool) -> None:
    """Keep a URL and a key on this machine, once they are found to work.

    They are kept under the name that --profile gives ("default" unless it does), in a file that only you can read; what
    was logged in to last is used from then on. There is no option for the key: others see what stands on a command
    line.
    """
    known = profiles.current_profile()
    if url is None and key_stdin:
        url = os.environ.get("PENSTOCK_URL") or (known.url if known else None)
        if url is None:
            raise click.UsageError("--key-stdin leaves nothing to answer questions with; give --url too")
    if url is None:
        url = click.prompt(
            "URL", default=os.environ.get("PENSTOCK_URL") or (known.url if known else _LOCAL_URL), err=True
        )
    key = unseen("API key", piped=key_stdin)
    profile = profiles.Profile(
        name=session.profile or _DEFAULT, url=url.rstrip("/"), api_key=key, sign_requests=sign_requests
    )
    with Penstock(
        profile.url, profile.api_key, sign_requests=sign_requests, retry_for_s=session.retry_for_s(_RETRY_FOR_S)
    ) as penstock:
        told = _described(profile, _tried(penstock, key))
    profiles.write_profile(profile)
    session.output.one(told, said=f"logged in to {profile.url} as {_words(told)} ({profiles.profiles_file()})")


@click.command(cls=Command, examples=("penstock logout", "penstock logout --profile staging"))
@pass_session
def logout(session: Session) -> None:
    """Forget a login on this machine. The key itself works on: `penstock keys revoke` ends it."""
    current = profiles.current_profile()
    name = session.profile or (current.name if current else _DEFAULT)
    if not profiles.remove_profile(name):
        raise Failed(f"there is no login {name!r}; there are {_names()}", ExitCode.NOT_FOUND)
    session.output.done(f"forgot {name}; its key works on until it is revoked")


@click.command(cls=Command, examples=("penstock whoami", "penstock whoami --json | jq -r .tenant"))
@pass_session
def whoami(session: Session) -> None:
    """Show which Penstock is asked, and as whom."""
    profile = _in_use(session)
    session.retry_for = timedelta(seconds=session.retry_for_s(_RETRY_FOR_S))
    note(f"asking {profile.url}")
    told = _described(profile, _tried(session.penstock, profile.api_key))
    session.output.one(told, said=f"{told['url']}  {_words(told)}  ({told['from']})")


def _in_use(session: Session) -> profiles.Profile:
    """What the client takes its settings from."""
    every = profiles.read_profiles()
    if session.profile:
        if session.profile not in every:
            raise Failed(f"there is no login {session.profile!r}; there are {_names()}", ExitCode.NOT_ALLOWED)
        return every[session.profile]
    url, key = os.environ.get("PENSTOCK_URL"), os.environ.get("PENSTOCK_API_KEY")
    if url and key:
        return profiles.Profile(name="", url=url.rstrip("/"), api_key=key)
    current = profiles.current_profile()
    if current is None:
        raise NotConfigured("no login on this machine; run penstock login, or set PENSTOCK_URL and PENSTOCK_API_KEY")
    return current


def _tried(penstock: Penstock, secret: str) -> Key | None:
    """The key that is called with; None where it works and may not read keys.

    Raises:
        ApiError: It does not work.
    """
    try:
        return next((key for key in penstock.keys.list() if key.prefix and secret.startswith(key.prefix)), None)
    except ApiError as error:
        if error.reason == "PERMISSION_DENIED":
            return None
        raise


def _described(profile: profiles.Profile, key: Key | None) -> Mapping[str, object]:
    told: dict[str, object] = {
        "url": profile.url,
        "from": f"login {profile.name}" if profile.name else "PENSTOCK_URL, PENSTOCK_API_KEY",
        "prefix": profile.api_key[:_SHOWN_OF_A_KEY],
    }
    if key is not None:
        told |= {"keyId": key.id, "name": key.name, "tenant": key.tenant, "role": key.role, "scopes": [*key.scopes]}
    return {name: value for name, value in told.items() if value}


def _words(told: Mapping[str, object]) -> str:
    if "keyId" not in told:
        return f"a key {told['prefix']}… that may not read keys"
    return f"{told['name']} of {told['tenant']}" + (f", {told['role']}" if "role" in told else "")


def _names() -> str:
    return ", ".join(sorted(profiles.read_profiles())) or "none"
