"""Amazon's KMS, as moto answers for it: a real HTTP server, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")
#: What moto takes from anybody.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything"}
REGION = "eu-central-1"


@contextmanager
def running_kms() -> Iterator[str]:
    """Its URL, on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | CREDENTIALS,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = next((found[1] for line in process.stderr if (found := _RUNNING.search(line))), None)
        assert url is not None, f"moto ended with {process.wait()} before it answered"
        yield url
    finally:
        process.kill()
        process.wait()
