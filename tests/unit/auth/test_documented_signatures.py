"""The recipes of `docs/access.md` run as they stand there, and what they print is what auth takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from penstock.gateway.v1 import external_auth_pb2

from services.auth import signatures
from services.auth.domain import KeySecret
from tests.signing import signed

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = (Path(__file__).parents[3] / "docs" / "access.md").read_text(encoding="utf-8")
SECTION = re.split(r"^## ", PAGE.partition("\n## Signed requests\n")[2], flags=re.MULTILINE)[0]
TARGETS = (("POST", "/api/v1/jobs"), ("GET", "/api/v1/jobs?upstream=http&pageSize=5"))
BODIES = (b'{"upstream": "http", "method": "http.get", "params": {"url": "https://example.com/"}}', None)
CREATED = 1767225600


def block(language: str) -> str:
    """The one block of code in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", SECTION, flags=re.MULTILINE | re.DOTALL)
    return found


def documented() -> list[dict[str, str]]:
    """The headers of each of the requests, names in lower case."""
    requests: list[dict[str, str]] = [{}]
    for line in block("http").splitlines():
        name, _, value = line.partition(": ")
        requests[-1][name.lower()] = value
        if name == "Signature":
            requests.append({})
    assert requests.pop() == {}
    return requests


def printed_by(command: Sequence[str], recipe: str) -> str:
    done = subprocess.run(command, input=recipe, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recipe_in_python_prints_the_documented_headers() -> None:
    assert printed_by([sys.executable, "-I", "-S", "-"], block("python")) == block("http"), "its standard library alone"


def test_the_recipe_in_javascript_prints_the_documented_headers() -> None:
    node = shutil.which("node")
    assert node is not None, "docs/contributing.md asks for Node"
    assert printed_by([node, "-"], block("js")) == block("http")


def test_the_documented_key_is_one() -> None:
    (text,) = set(re.findall(r"psk_live_\w{30}", SECTION))
    assert KeySecret.parse(text) is not None


@pytest.mark.parametrize("number", [0, 1])
def test_auth_takes_the_documented_headers(number: int) -> None:
    (method, target), headers = TARGETS[number], documented()[number]
    request: Any = external_auth_pb2.AttributeContext.HttpRequest(method=method, path=target)
    request.headers.update(headers)
    secret = KeySecret.parse(re.findall(r"psk_live_\w{30}", SECTION)[0])
    assert secret is not None
    read = signatures.read(request, datetime.fromtimestamp(CREATED, UTC))
    assert read.is_signed_with(secret.signing_key())
    assert read.prefix == secret.prefix


@pytest.mark.parametrize("number", [0, 1])
def test_tests_sign_as_is_documented(number: int) -> None:
    headers = documented()[number]
    nonce = re.findall(r'nonce="([^"]+)"', headers["signature-input"])[0]
    secret = re.findall(r"psk_live_\w{30}", SECTION)[0]
    assert signed(secret, *TARGETS[number], BODIES[number], created=CREATED, nonce=nonce) == headers
