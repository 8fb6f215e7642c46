"""What is kept of signing keys opens in its own place alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from services.auth.domain import FormerSecret, Key, KeySecret
from services.auth.signing_keys import SigningKeys
from shared.config import Secret
from tests.unit.auth.conftest import SEALING_KEY

if TYPE_CHECKING:
    from tests.unit.auth.conftest import World


async def made(world: World, tenant: str = "acme") -> tuple[Key, KeySecret]:
    secret = await world.make_key(tenant)
    return next(key for key in world.store.by_id.values() if key.prefix == secret.prefix), secret


def test_a_signing_key_is_the_one_that_clients_make_of_the_secret() -> None:
    secret = KeySecret.new()
    expected = hmac.new(secret.reveal().encode(), b"penstock request signing v1", hashlib.sha256).digest()
    assert secret.signing_key() == expected


async def test_a_new_key_can_sign(world: World) -> None:
    key, secret = await made(world)
    assert world.signing_keys.of(key, secret.prefix) == secret.signing_key()


async def test_what_is_kept_shows_neither_the_signing_key_nor_the_secret(world: World) -> None:
    key, secret = await made(world)
    assert key.sealed_signing_key is not None
    assert secret.signing_key() not in key.sealed_signing_key
    assert "sealed_signing_key" not in repr(key)
    again, _ = await made(world)
    assert again.sealed_signing_key != key.sealed_signing_key


async def test_a_key_without_one_has_none(world: World) -> None:
    key, secret = await made(world)
    assert world.signing_keys.of(replace(key, sealed_signing_key=None), secret.prefix) is None
    former = FormerSecret(prefix="psk_live_0000000", digest=b"", expires_at=key.created_at)
    assert world.signing_keys.of(replace(key, former=former), former.prefix) is None


@pytest.mark.parametrize("place", ["tenant", "id", "prefix"])
async def test_one_that_was_moved_to_another_key_does_not_open(
    world: World, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key, _ = await made(world)
    other, _ = await made(world, "globex")
    moved = replace(key, **{place: getattr(other, place)})
    assert world.signing_keys.of(moved, moved.prefix) is None
    captured = capsys.readouterr()
    assert "signing_key_sealed_otherwise" in captured.out + captured.err


async def test_one_that_was_sealed_under_another_sealing_key_does_not_open(world: World) -> None:
    key, secret = await made(world)
    other = SigningKeys(Secret(base64.b64encode(bytes(32)).decode()))
    assert other.of(key, secret.prefix) is None
    assert SigningKeys(SEALING_KEY).of(key, secret.prefix) == secret.signing_key()
