"""`python -m tests.docs.local <command>`: the local stack's commands, on one that finds the hosts of pages here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import __main__ as local
from deploy.local.supervision import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

_RESOLVING = Path(__file__).parent / "resolving"
#: What the stack's programs take over from the environment, which they do not otherwise.
_TAKEN_OVER = ("DOCS_HOSTS", "SSL_CERT_FILE")


def _resolving(environment: Callable[[Supervisor], dict[str, str]]) -> Callable[[Supervisor], dict[str, str]]:
    def complete(supervisor: Supervisor) -> dict[str, str]:
        made = environment(supervisor)
        return (
            made
            | {name: os.environ[name] for name in _TAKEN_OVER}
            | {"PYTHONPATH": f"{_RESOLVING}:{made['PYTHONPATH']}"}
        )

    return complete


if __name__ == "__main__":
    Supervisor.environment = _resolving(Supervisor.environment)
    raise SystemExit(local.main())
