"""What a command works with: the client, made when it is first asked for, and where answers are printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import click

from penstock_sdk import Penstock
from penstock_sdk.command.output import Output

if TYPE_CHECKING:
    from contextlib import ExitStack
    from datetime import timedelta


@dataclass(kw_only=True)
class Session:
    """One run of the command.

    Args:
        closing: What is closed at its end.
        profile: The login to use; else the settings of the environment, else the current login.
        as_json: Whether answers are printed as the API's JSON.
        retry_for: How long Penstock is tried where it does not answer; as the client has it where it is None.
    """

    closing: ExitStack = field(repr=False)
    profile: str | None = None
    as_json: bool = False
    retry_for: timedelta | None = None

    @cached_property
    def penstock(self) -> Penstock:
        """The client.

        Raises:
            NotConfigured: Neither the environment nor a login says where Penstock is.
        """
        return self.closing.enter_context(Penstock(profile=self.profile, retry_for_s=self.retry_for_s(60.0)))

    def retry_for_s(self, otherwise: float) -> float:
        """For how many seconds a call is tried; so many where nothing is said."""
        return otherwise if self.retry_for is None else self.retry_for.total_seconds()

    @property
    def output(self) -> Output:
        """Where answers go."""
        return Output(as_json=self.as_json)


pass_session = click.make_pass_decorator(Session)
