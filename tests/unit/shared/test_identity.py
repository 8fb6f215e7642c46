from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.identity_keys import jwk_of
from shared import identity
from shared.errors import Unauthenticated
from shared.identity import Principal, PrincipalKind, ServiceIdentity, TokenSigner, TokenVerifier
from shared.identity_keys import IdentityKeys

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = timedelta(minutes=1)
KEYS = {issuer: Ed25519PrivateKey.generate() for issuer in ("auth", "intake", "scheduler")}
ALICE = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset({"jobs:read", "jobs:write"}))
INTAKE = Principal(kind=PrincipalKind.SERVICE, id="intake", tenant="", scopes=frozenset())


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def write_keys(path: Path, keys: dict[str, tuple[str, Ed25519PrivateKey]]) -> IdentityKeys:
    """A set of keys by their `kid`, each with its issuer, put in place as operators do."""
    jwks = [jwk_of(kid, issuer, raw(key)) for kid, (issuer, key) in keys.items()]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"keys": jwks}), encoding="utf-8")
    new.replace(path)
    return IdentityKeys(path)


def raw(key: Ed25519PrivateKey) -> str:
    octets = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> IdentityKeys:
    path = tmp_path_factory.mktemp("identity") / "keys.json"
    return write_keys(path, {issuer: (issuer, key) for issuer, key in KEYS.items()})


class Signers:
    def __init__(self, known: IdentityKeys) -> None:
        self.known = known

    def __call__(self, issuer: str) -> TokenSigner:
        return TokenSigner(issuer, pem(KEYS[issuer]), self.known)


@pytest.fixture(scope="module")
def signer(known: IdentityKeys) -> Signers:
    """`signer(issuer)` signs in its name."""
    return Signers(known)


def forge(*, key: Any = KEYS["auth"], algorithm: str = "EdDSA", kid: str | None = "auth", **claims: Any) -> str:
    """A token with any mistake: a claim given as None is left out."""
    now = int(time.time())
    good = {
        "iss": "auth",
        "aud": "penstock",
        "sub": "key_1",
        "kind": "key",
        "tenant": "acme",
        "scopes": ["jobs:read"],
        "iat": now,
        "exp": now + 60,
    }
    payload = {name: value for name, value in (good | claims).items() if value is not None}
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid} if kid is not None else None)


@pytest.fixture
def verifier(known: IdentityKeys) -> TokenVerifier:
    return TokenVerifier(known)


@given(
    st.builds(
        Principal,
        kind=st.just(PrincipalKind.KEY),
        id=st.text(min_size=1),
        tenant=st.text(min_size=1),
        scopes=st.frozensets(st.text(), max_size=5),
    )
)
def test_a_token_leads_back_to_its_principal(known: IdentityKeys, signer: Signers, principal: Principal) -> None:
    verifier = TokenVerifier(known)
    assert verifier.verify(signer("auth").sign(principal, MINUTE)) == principal


def test_the_forged_tokens_of_these_tests_differ_from_good_ones_only_in_their_mistake(
    verifier: TokenVerifier,
) -> None:
    assert verifier.verify(forge()).tenant == "acme"


@pytest.mark.parametrize(
    "mistake",
    [
        {"kid": None},
        {"kid": "stranger"},
        {"kid": "intake"},
        {"kid": ""},
        {"key": Ed25519PrivateKey.generate()},
        {"key": "secret" * 8, "algorithm": "HS256"},
        {"key": None, "algorithm": "none"},
        {"aud": "another"},
        {"aud": None},
        {"iss": "intake"},
        {"iss": None},
        {"sub": None},
        {"exp": None},
        {"exp": 1},
        {"iat": None},
        {"iat": 4_000_000_000},
        {"kind": None},
        {"kind": "god"},
        {"tenant": None},
        {"tenant": ""},
        {"tenant": ["acme"]},
        {"sub": ""},
        {"scopes": None},
        {"scopes": "jobs:read"},
        {"scopes": [["jobs:read"]]},
        {"kind": "service"},
        {"kind": "service", "tenant": ""},
        {"kind": "service", "scopes": []},
    ],
    ids=str,
)
def test_a_token_with_a_mistake_is_refused(verifier: TokenVerifier, mistake: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(forge(**mistake))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\0", "é.é.é", "." * 1000])
def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(verifier: TokenVerifier) -> None:
    raw = KEYS["auth"].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    with pytest.raises(Unauthenticated):
        verifier.verify(forge(key=raw, algorithm="HS256"))


def test_a_token_whose_claims_were_changed_is_refused(verifier: TokenVerifier) -> None:
    header, payload, signature = forge().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(claims | {"tenant": "globex"}).encode()).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        verifier.verify(f"{header}.{changed}.{signature}")


def test_auth_vouches_for_anyone(verifier: TokenVerifier, signer: Signers) -> None:
    for principal in (ALICE, INTAKE):
        assert verifier.verify(signer("auth").sign(principal, MINUTE)) == principal


def test_a_service_vouches_for_itself_alone(verifier: TokenVerifier, signer: Signers) -> None:
    assert verifier.verify(signer("intake").sign(INTAKE, MINUTE)) == INTAKE
    for principal in (ALICE, Principal(kind=PrincipalKind.KEY, id="intake", tenant="acme", scopes=frozenset())):
        with pytest.raises(Unauthenticated):
            verifier.verify(signer("intake").sign(principal, MINUTE))
    with pytest.raises(Unauthenticated):
        verifier.verify(signer("scheduler").sign(INTAKE, MINUTE))


def test_a_token_seen_before_is_only_looked_up(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    token = forge()
    principal = verifier.verify(token)
    monkeypatch.setattr(identity.jwt, "decode", None)
    assert verifier.verify(token) is principal


def test_a_token_seen_before_is_verified_again_once_it_has_ended(verifier: TokenVerifier) -> None:
    ended = forge(exp=int(time.time()) - 30)
    verifier._remember(ended, ALICE, time.time() - 30)
    with pytest.raises(Unauthenticated):
        verifier.verify(ended)


def test_tokens_are_remembered_up_to_a_number(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_CACHE_ENTRIES", 3)
    for number in range(5):
        verifier.verify(forge(sub=f"key_{number}"))
    assert len(verifier._seen) == 3


def test_what_is_refused_is_not_remembered(verifier: TokenVerifier, signer: Signers) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(forge(kind="god"))
    with pytest.raises(Unauthenticated):
        verifier.verify(signer("intake").sign(ALICE, MINUTE))
    assert not verifier._seen


def test_a_token_does_not_outlive_its_lifetime(signer: Signers) -> None:
    claims = jwt.decode(signer("auth").sign(ALICE, MINUTE), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] in {60, 61}
    assert claims["exp"] <= time.time() + 60


def test_a_key_of_another_kind_is_refused(known: IdentityKeys) -> None:
    with pytest.raises(TypeError, match="Ed25519"):
        TokenSigner("auth", pem(generate_private_key(SECP256R1())), known)


def test_a_services_own_token_is_made_anew_a_minute_before_its_end(
    verifier: TokenVerifier, signer: Signers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(identity.time, "monotonic", lambda: now)
    own = ServiceIdentity("intake", signer("intake"))
    first = own.token()
    assert verifier.verify(first) == INTAKE
    now += 239
    assert own.token() is first
    now += 1
    monkeypatch.setattr(identity.time, "time", lambda: 4e9)  # another second, so another token
    assert own.token() != first
