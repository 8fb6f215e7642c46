"""What every command can do beside its own: `--json`, `--profile`, `--retry-for`, and a help with examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock_sdk.command.moments import DURATION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _setting(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """What takes an option's value into the session; behind a verb it counts before one that stands at the start."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ARG001  # click's signature
        if value not in {None, False}:
            setattr(context.find_root().obj, name, value)

    return keep


def common_options() -> list[click.Parameter]:
    """The options that stand before a noun as well as behind a verb."""
    return [
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_setting("as_json"), is_eager=True,
            help="Print the API's JSON; lists and streams as one object a line.",
        ),
        click.Option(
            ["--profile"], metavar="NAME", expose_value=False, callback=_setting("profile"), is_eager=True,
            help="Which login to use.",
        ),
        click.Option(
            ["--retry-for"], type=DURATION, metavar="DURATION", expose_value=False, callback=_setting("retry_for"),
            is_eager=True, help="How long to try where Penstock does not answer; 1m unless told.",
        ),
    ]  # fmt: skip


class Command(click.Command):
    """A verb.

    Args:
        examples: Lines as one would type them, for its help; each has to parse.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params.extend(common_options())
        self.context_settings = {**CONTEXT, **self.context_settings}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples below the options."""
        _write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


class Noun(click.Group):
    """The verbs of a noun."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.context_settings = {**CONTEXT, **self.context_settings}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples below the verbs."""
        _write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is meant; says which there are where it is none."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            verbs = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"{args[0]!r} is no command of {ctx.command_path}; there are {verbs}", ctx)
        return super().resolve_command(ctx, args)


def _write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
