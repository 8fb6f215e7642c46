"""`penstock` itself: its nouns, and what becomes of errors."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from importlib import metadata
from typing import Any, ClassVar

import click

from penstock_sdk import PenstockError
from penstock_sdk.command.batches import batches
from penstock_sdk.command.cache import cache
from penstock_sdk.command.connections import connections
from penstock_sdk.command.deliveries import deliveries
from penstock_sdk.command.endpoints import endpoints
from penstock_sdk.command.exits import MEANINGS, ExitCode, Failed, Terminated, failure, interruptible, usage
from penstock_sdk.command.figures import stats
from penstock_sdk.command.grammar import Noun, common_options
from penstock_sdk.command.jobs import jobs
from penstock_sdk.command.keys import keys
from penstock_sdk.command.logins import login, logout, whoami
from penstock_sdk.command.queues import queues
from penstock_sdk.command.session import Session
from penstock_sdk.command.uploads import uploads
from penstock_sdk.command.upstreams import upstreams


class Root(Noun):
    """The command with all its nouns; whatever is raised below ends in a line that helps and an exit code."""

    group_class: ClassVar[Any] = Noun

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """A context whose session is there before the first option is read."""
        closing = ExitStack()
        extra.setdefault("obj", Session(closing=closing))
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        try:
            context = super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise usage(error) from error
        context.call_on_close(closing.close)
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that is meant."""
        try:
            with interruptible():
                return super().invoke(ctx)
        except click.UsageError as error:
            raise usage(error) from error
        except PenstockError as error:
            raise failure(error) from error
        except (KeyboardInterrupt, click.Abort) as error:
            click.echo(err=True)  # behind the terminal's ^C
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from error
        except Terminated as error:
            raise click.exceptions.Exit(ExitCode.TERMINATED) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # who reads has enough: click ends quietly
            raise Failed(f"{error.filename or 'this machine'}: {error.strerror or error}") from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes what the exit codes mean below the nouns."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])
        with formatter.section("Settings"):
            formatter.write_dl(
                [
                    ("PENSTOCK_URL, PENSTOCK_API_KEY", "used instead of the current login"),
                    ("PENSTOCK_PROFILE", "the login to use where --profile is not given"),
                    ("NO_COLOR", "no colours, as where the output is no terminal"),
                ]
            )


@click.group(
    cls=Root,
    params=common_options(),
    examples=(
        "penstock login",
        "penstock jobs run http http.get -p url=https://example.com/",
        "penstock jobs list --state FAILED -q | penstock jobs retry -",
        "penstock batches run urls.ndjson --output results.ndjson",
        "penstock endpoints listen --event 'job.*'",
        'eval "$(_PENSTOCK_COMPLETE=bash_source penstock)"   # completion; also zsh_source, fish_source',
    ),
)
@click.version_option(metadata.version("penstock-sdk"), message="%(version)s")
def main() -> None:
    """Submit calls to third-party APIs, and see what becomes of them.

    Every noun and every verb has --help with examples. Wherever an id is taken, - reads ids from the standard input,
    one a line, and -q prints nothing but ids; --json prints the API's own JSON.
    """


for each in (login, logout, whoami, jobs, batches, uploads, queues, upstreams, connections, keys, endpoints):
    main.add_command(each)
for each in (deliveries, stats, cache):
    main.add_command(each)
