"""`python -m gateway build --out DIR`: settings from `PENSTOCK_GATEWAY_*`, answers with the path of `envoy.yaml`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gateway import GatewayError, GatewaySettings, build
from gateway.settings import PREFIX
from shared import config
from shared.rpc import help_pages


def main() -> int:
    """Runs the command; answers with the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gateway")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="write envoy.yaml, the descriptor set and the Lua, and validate them")
    command.add_argument("--out", type=Path, required=True, help="the folder to write into")
    arguments = parser.parse_args()
    try:
        settings = config.load(GatewaySettings, os.environ, prefix=PREFIX)
        help_pages.set_up(settings.docs_url, setting=f"{PREFIX}DOCS_URL")
        print(build(settings, arguments.out))  # noqa: T201  the answer to the command
    except config.ConfigError as error:
        for mistake in error.mistakes:
            print(f"gateway: {mistake}", file=sys.stderr)  # noqa: T201  what the command is told
        return 2
    except GatewayError as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201  what the command is told
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
