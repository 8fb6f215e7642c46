"""What clients of a stack need: its URL, a key and a webhook secret, in `dev.env`."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from deploy.local import programs, trust
from deploy.local.errors import StackError
from deploy.local.layout import ROOT
from deploy.local.private_files import write_private

if TYPE_CHECKING:
    import http.client
    from collections.abc import Mapping

    from deploy.local.stack import Stack

#: The tenant of the local stack's own key.
TENANT = "dev"
URL, API_KEY, WEBHOOK_SECRET = "PENSTOCK_URL", "PENSTOCK_API_KEY", "PENSTOCK_WEBHOOK_SECRET"
#: So that what a shell reads by `. .penstock/dev.env` reaches the programs that it starts.
_EXPORT = "export "
_BOOTSTRAP_TIMEOUT_S = 60
_TIMEOUT_S = 10


def read(stack: Stack) -> Mapping[str, str]:
    """The settings as they are on disk; empty where there are none."""
    lines = (line.removeprefix(_EXPORT) for line in _text(stack).splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line)


def ensure(stack: Stack) -> Mapping[str, str]:
    """Makes a key for the tenant `dev` unless there is one that works, and writes the settings down.

    Raises:
        StackError: The key could not be made.
    """
    key = read(stack).get(API_KEY, "")
    if not key or _is_refused(stack, key):
        key = make_key(stack, tenant=TENANT, name="local")
    settings = {
        URL: stack.layout.url,
        API_KEY: key,
        WEBHOOK_SECRET: _callback_secret(stack, key),
    }
    text = "".join(f"{_EXPORT}{name}={value}\n" for name, value in settings.items())
    if text != _text(stack):
        write_private(stack.layout.client_settings, text)
    return settings


def make_key(stack: Stack, *, tenant: str, name: str, scopes: tuple[str, ...] = ()) -> str:
    """Makes a tenant, if it is new, and an API key of it, by auth's bootstrap command; answers with the key's secret.

    Args:
        stack: Running.
        tenant: The tenant's slug.
        name: What the key is for.
        scopes: What it may do; where none are given, what a tenant's first key may.

    Raises:
        StackError: The command failed.
    """
    auth = next(program for program in programs.PROGRAMS if program.name == "auth")
    command = [sys.executable, "-m", "services.auth.bootstrap", "--tenant", tenant, "--name", name]
    if scopes:
        command += ["--scopes", ",".join(scopes)]
    try:
        answer = subprocess.run(  # noqa: S603  our own command
            command,
            cwd=ROOT,
            env=stack.supervisor.environment() | dict(auth.environment(stack.layout)),
            capture_output=True,
            text=True,
            timeout=_BOOTSTRAP_TIMEOUT_S,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"auth made no key for {tenant} within {_BOOTSTRAP_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        raise StackError(f"auth made no key for {tenant}:\n{error.stderr.strip()}") from error
    return answer.stdout.strip()


def _text(stack: Stack) -> str:
    """What the file holds; nothing where there is none."""
    try:
        return stack.layout.client_settings.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _callback_secret(stack: Stack, key: str) -> str:
    """The secret that signs the callbacks of the key's tenant."""
    with _get(stack, "/api/v1/callbackSecret", key) as answer:
        return json.load(answer)["secret"]


def _is_refused(stack: Stack, key: str) -> bool:
    """Whether the gateway knows the key no more, as after a reset of MongoDB alone."""
    try:
        with _get(stack, "/api/v1/keys?pageSize=1", key):
            return False
    except urllib.error.HTTPError as error:
        return error.code == HTTPStatus.UNAUTHORIZED


def _get(stack: Stack, path: str, key: str) -> http.client.HTTPResponse:
    request = urllib.request.Request(  # noqa: S310  our own address
        stack.layout.url + path, headers={"Authorization": f"Bearer {key}"}
    )
    answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=trust.context(stack.layout))  # noqa: S310  the same
    return cast("http.client.HTTPResponse", answer)
