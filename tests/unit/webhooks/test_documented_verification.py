"""The recipes of `docs/webhooks.md` run as they stand there, and take what is signed here and nothing else."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import WebhookVerificationError

from services.webhooks.signing import SigningKey, public_key_of, signed_headers, signing_key

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
#: Of the documented public key: the specification's example.
PAIR = Ed25519PrivateKey.from_private_bytes(base64.b64decode("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="))
OTHERS = SigningKey(secret=bytes(24), private_key=Ed25519PrivateKey.generate())
BODY = '{"type":"job.succeeded","data":{"name":"Grüße"}}'.encode()


def block(language: str) -> str:
    """The one block of code in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return found


def ours() -> SigningKey:
    """The key whose secret and public key are documented."""
    (secret,) = set(re.findall(r"\"(whsec_[^\"…]+)\"", PAGE))
    (public_key,) = set(re.findall(r"\"(whpk_[^\"…]+)\"", PAGE))
    assert public_key == public_key_of(PAIR)
    return SigningKey(secret=signing_key(secret), private_key=PAIR)


def messages() -> list[tuple[dict[str, str], bytes, bool]]:
    """Messages, and whether a receiver takes them."""
    now, key = datetime.now(UTC), ours()

    def signed(*keys: SigningKey, at: datetime = now) -> dict[str, str]:
        return signed_headers(keys, webhook_id="http-1:3", at=at, body=BODY)

    return [
        (signed(key), BODY, True),
        (signed(OTHERS, key), BODY, True),
        (signed(OTHERS), BODY, False),
        (signed(key), BODY + b" ", False),
        (signed(key) | {"webhook-id": "http-1:4"}, BODY, False),
        (signed(key, at=now - timedelta(minutes=6)), BODY, False),
        (signed(key, at=now + timedelta(minutes=6)), BODY, False),
        (signed(key) | {"webhook-signature": "v2,AAAA v1,AAAA v1a,AAAA"}, BODY, False),
    ]


def test_the_recipe_in_python_takes_what_is_ours_and_of_now() -> None:
    recipe: dict[str, Any] = {}
    exec(compile(block("python"), "docs/webhooks.md", "exec"), recipe)
    for headers, body, taken in messages():
        assert recipe["verify_v1a"](headers, body) is taken
        if taken:
            assert recipe["verify_v1"](headers, body) == json.loads(body)
            continue
        with pytest.raises(WebhookVerificationError):
            recipe["verify_v1"](headers, body)


def test_the_recipe_in_javascript_takes_what_is_ours_and_of_now() -> None:
    node = shutil.which("node")
    assert node is not None, "docs/contributing.md asks for Node"
    told = [[headers, base64.b64encode(body).decode()] for headers, body, _ in messages()]
    trial = f"""
        const answers = {json.dumps(told)}.map(([headers, text]) => {{
          const body = Buffer.from(text, "base64");
          return [verifyV1(headers, body), verifyV1a(headers, body)];
        }});
        console.log(JSON.stringify(answers));
    """
    done = subprocess.run(
        [node, "-"], input=block("js") + trial, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[taken, taken] for _, _, taken in messages()]
