"""The keys of those who sign identities come and go while all services run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.errors import Unauthenticated
from shared.identity import TokenSigner, TokenVerifier
from shared.identity_keys import LOOK_INTERVAL_S, IdentityKeys
from tests.unit.shared.test_identity import ALICE, KEYS, MINUTE, pem, raw, write_keys

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = KEYS["auth"], Ed25519PrivateKey.generate()


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_keys(tmp_path / "keys.json", {"auth": ("auth", OLD)})
    return tmp_path / "keys.json"


def test_a_set_without_issuers_has_a_key_of_each(path: Path) -> None:
    x = raw(OLD)
    path.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "auth", "x": x}]}), encoding="utf-8")
    known = IdentityKeys(path)
    assert TokenVerifier(known).verify(TokenSigner("auth", pem(OLD), known).sign(ALICE, MINUTE)) == ALICE


def test_an_issuer_gets_another_key_while_no_token_is_refused(path: Path) -> None:
    verifier = TokenVerifier(IdentityKeys(path))
    old = TokenSigner("auth", pem(OLD), IdentityKeys(path))
    assert verifier.verify(old.sign(ALICE, MINUTE)) == ALICE
    both = write_keys(path, {"auth": ("auth", OLD), "auth-2": ("auth", NEW)})
    new = TokenSigner("auth", pem(NEW), both)
    assert verifier.verify(new.sign(ALICE, MINUTE)) == ALICE  # at once: it is looked for when it is first seen
    assert verifier.verify(old.sign(ALICE, 2 * MINUTE)) == ALICE


def test_a_token_seen_before_falls_with_its_key(path: Path) -> None:
    seconds = Seconds()
    verifier = TokenVerifier(IdentityKeys(path, monotonic=seconds))
    token = TokenSigner("auth", pem(OLD), IdentityKeys(path)).sign(ALICE, MINUTE)
    assert verifier.verify(token) == ALICE
    write_keys(path, {"auth-2": ("auth", NEW)})
    seconds.now += LOOK_INTERVAL_S
    with pytest.raises(Unauthenticated, match="'auth' is not known here"):
        verifier.verify(token)


def test_the_file_is_looked_at_seldom(path: Path) -> None:
    seconds = Seconds()
    known = IdentityKeys(path, monotonic=seconds)
    write_keys(path, {"auth-2": ("auth", NEW)})
    seconds.now += LOOK_INTERVAL_S - 0.001
    known.look()
    assert known.generation == 0
    seconds.now += 0.001
    known.look()
    assert known.generation == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [{"kid": "auth"}]}', '{"keys": [7]}'])
def test_a_broken_file_changes_nothing_until_it_is_mended(path: Path, text: str) -> None:
    known = IdentityKeys(path)
    verifier = TokenVerifier(known)
    token = TokenSigner("auth", pem(OLD), known).sign(ALICE, MINUTE)
    path.write_text(text, encoding="utf-8")
    assert known.get("auth-2") is None
    assert verifier.verify(token) == ALICE
    write_keys(path, {"auth-2": ("auth", NEW)})
    assert known.get("auth-2") is not None
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is no JWK set"):
        IdentityKeys(path)


def test_a_file_that_is_gone_changes_nothing(path: Path) -> None:
    known = IdentityKeys(path)
    path.unlink()
    assert known.get("stranger") is None
    assert known.get("auth") is not None


def test_two_keys_of_one_kid_are_refused(path: Path) -> None:
    jwk = json.loads(path.read_text())["keys"][0]
    path.write_text(json.dumps({"keys": [jwk, jwk]}), encoding="utf-8")
    with pytest.raises(ValueError, match="two keys with the kid 'auth'"):
        IdentityKeys(path)


def test_a_signer_whom_nobody_would_believe_is_none(path: Path) -> None:
    with pytest.raises(LookupError, match="of auth is not in the set"):
        TokenSigner("auth", pem(NEW), IdentityKeys(path))
    with pytest.raises(LookupError, match="of intake is not in the set"):
        TokenSigner("intake", pem(OLD), IdentityKeys(path))


def test_a_key_signs_for_its_own_issuer_alone(path: Path) -> None:
    known = write_keys(path, {"auth": ("auth", OLD), "intake-2": ("intake", NEW)})
    forged = TokenSigner("intake", pem(NEW), known).sign(ALICE, MINUTE)
    with pytest.raises(Unauthenticated, match="'intake' may vouch only for itself"):
        TokenVerifier(known).verify(forged)
