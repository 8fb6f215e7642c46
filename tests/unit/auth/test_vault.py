from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.connections.domain import (
    BasicLogin,
    BearerToken,
    HeaderKey,
    OAuth1Token,
    OAuth2Tokens,
    Sealed,
)
from services.auth.connections.sealing import secret_texts
from services.auth.connections.sealing.vault import SecretLostError, Vault
from shared.errors import Unavailable
from tests.fakes.data_keys import FakeKeys

if TYPE_CHECKING:
    from services.auth.connections.domain import Secret

CANARY = "canary-0123456789"
SECRETS: list[Secret] = [
    OAuth1Token(token=CANARY, token_secret=f"{CANARY}-2"),
    OAuth2Tokens(access_token=CANARY, refresh_token="r", expires_at=datetime(2026, 5, 4, tzinfo=UTC)),
    OAuth2Tokens(access_token=CANARY),
    BearerToken(token=CANARY),
    HeaderKey(name="X-Api-Key", value=CANARY),
    BasicLogin(username="ann", password=f"{CANARY} é"),
]
ACME = {"tenant": "acme", "connection_id": "con_1"}


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def vault(keys: FakeKeys) -> Vault:
    return Vault(keys)


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
async def test_a_secret_opens_for_its_connection_and_shows_itself_nowhere_else(vault: Vault, secret: Secret) -> None:
    sealed = await vault.seal(secret, **ACME)
    assert await vault.open(sealed, **ACME) == secret
    assert CANARY.encode() not in sealed.text
    assert CANARY not in repr(sealed)
    assert CANARY not in repr(secret)


@given(st.builds(HeaderKey, name=st.text(), value=st.text()))
def test_a_secret_of_any_characters_is_read_as_it_was_written(secret: HeaderKey) -> None:
    assert secret_texts.from_text(secret_texts.to_text(secret)) == secret


async def test_a_secret_that_was_moved_or_changed_does_not_open(vault: Vault, keys: FakeKeys) -> None:
    sealed = await vault.seal(SECRETS[0], **ACME)
    other_key = keys.rotate()
    for moved in (ACME | {"tenant": "globex"}, ACME | {"connection_id": "con_2"}):
        with pytest.raises(SecretLostError):
            await vault.open(sealed, **moved)
    changed = sealed.text[:-1] + bytes([sealed.text[-1] ^ 1])
    for forged in (
        Sealed(data_key_id=sealed.data_key_id, text=changed),
        Sealed(data_key_id=other_key, text=sealed.text),
    ):
        with pytest.raises(SecretLostError):
            await vault.open(forged, **ACME)
    assert await vault.open(sealed, **ACME) == SECRETS[0]


async def test_each_connection_has_a_key_of_its_own(vault: Vault) -> None:
    """A part of an authorization under the same data key cannot be taken for a secret, nor the other way round."""
    sealed = await vault.seal_bytes(secret_texts.to_text(SECRETS[0]), "acme", "con_1")
    with pytest.raises(SecretLostError):
        await vault.open(sealed, **ACME)
    with pytest.raises(SecretLostError):
        await vault.open_bytes(await vault.seal(SECRETS[0], **ACME), "acme", "con_1")


async def test_bytes_open_in_the_context_for_which_they_were_sealed(vault: Vault) -> None:
    sealed = await vault.seal_bytes(b"verifier", "acme", "state")
    assert await vault.open_bytes(sealed, "acme", "state") == b"verifier"
    for elsewhere in (("acme",), ("acme", "other"), ("acmes", "tate"), ("acme", "state", "")):
        with pytest.raises(SecretLostError):
            await vault.open_bytes(sealed, *elsewhere)


async def test_what_is_sealed_anew_is_under_the_current_key(vault: Vault, keys: FakeKeys) -> None:
    sealed = await vault.seal(SECRETS[1], **ACME)
    current = keys.rotate()
    anew = await vault.reseal(sealed, **ACME)
    assert anew.data_key_id == current != sealed.data_key_id
    assert await vault.open(anew, **ACME) == SECRETS[1]
    del keys.by_id[sealed.data_key_id]
    with pytest.raises(SecretLostError, match=sealed.data_key_id):
        await vault.open(sealed, **ACME)


async def test_without_its_key_nothing_is_sealed_or_opened(vault: Vault, keys: FakeKeys) -> None:
    sealed = await vault.seal(SECRETS[0], **ACME)
    keys.away = True
    with pytest.raises(Unavailable):
        await vault.seal(SECRETS[0], **ACME)
    with pytest.raises(Unavailable):
        await vault.open(sealed, **ACME)
