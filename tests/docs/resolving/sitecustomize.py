"""Has the services of a test's stack find the hosts that pages name on this machine; Python reads it at its start."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

if any(argument.startswith("services.") for argument in sys.orig_argv):
    from pathlib import Path

    from aiohttp.resolver import ThreadedResolver

    #: The ports of each host here, by the port that is asked for.
    _PORTS = json.loads(Path(os.environ["DOCS_HOSTS"]).read_text(encoding="utf-8"))

    async def _resolve(
        self: ThreadedResolver, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del self, family
        if host != "localhost" and host not in _PORTS:
            raise OSError(f"pages name no host {host}, and nothing beyond is asked")
        found = _PORTS.get(host, {}).get(str(port), port)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            {"hostname": host, "host": "127.0.0.1", "port": found, "family": socket.AF_INET, "proto": 0, "flags": flags}
        ]

    ThreadedResolver.resolve = _resolve
