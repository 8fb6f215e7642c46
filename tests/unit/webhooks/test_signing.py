"""Signatures as Standard Webhooks 1.0.0 has them, and what secrets stand for."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.signing import TenantSecrets, signed_headers, signing_key
from shared.config import Secret

#: The example of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

KEY = Secret(base64.b64encode(bytes(range(32))).decode())


def by_hand(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The signature as the specification words it."""
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def test_the_published_example_comes_out() -> None:
    assert signed_headers(SECRET, webhook_id=WEBHOOK_ID, at=AT, body=BODY) == {
        "webhook-id": WEBHOOK_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_the_published_example_is_what_one_gets_by_hand() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert by_hand(key, WEBHOOK_ID, "1614265330", BODY) == SIGNATURE


@given(st.binary(max_size=200), st.binary(min_size=24, max_size=64))
def test_any_body_is_signed_byte_for_byte(body: bytes, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers(secret, webhook_id="http-1:4", at=AT, body=body)
    assert headers["webhook-signature"] == by_hand(key, "http-1:4", "1614265330", body)


def test_the_timestamp_is_cut_to_whole_seconds() -> None:
    headers = signed_headers(SECRET, webhook_id=WEBHOOK_ID, at=AT.replace(microsecond=999_999), body=BODY)
    assert headers["webhook-timestamp"] == "1614265330"


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_AAECAw==", bytes([0, 1, 2, 3])),
        ("whsec_+/8=", bytes([251, 255])),
        ("a caller's own passphrase", b"a caller's own passphrase"),
        ("AAECAwQFBgcICQoLDA0ODw==", b"AAECAwQFBgcICQoLDA0ODw=="),
        ("schlüssel-mit-umlaut-ü", "schlüssel-mit-umlaut-ü".encode()),
        ("whsec_no base64 at all", b"whsec_no base64 at all"),
        ("whsec_AAECAw", b"whsec_AAECAw"),
        ("whsec_schlüssel", "whsec_schlüssel".encode()),
    ],
)
def test_a_secret_stands_for_its_key(secret: str, key: bytes) -> None:
    assert signing_key(secret) == key


def test_each_tenant_has_a_secret_of_its_own_which_any_library_takes() -> None:
    secrets = TenantSecrets(KEY)
    acme, globex = secrets.secret("acme"), secrets.secret("globex")
    assert acme != globex
    for secret in (acme, globex):
        prefix, _, encoded = secret.partition("_")
        assert prefix == "whsec"
        assert len(base64.b64decode(encoded, validate=True)) == 32
        assert signing_key(secret) == base64.b64decode(encoded)


def test_a_tenants_secret_is_the_same_in_every_replica_and_hangs_on_the_key() -> None:
    other = Secret(base64.b64encode(bytes(32)).decode())
    assert TenantSecrets(KEY).secret("acme") == TenantSecrets(KEY).secret("acme")
    assert TenantSecrets(other).secret("acme") != TenantSecrets(KEY).secret("acme")


def test_a_tenants_secret_is_hkdf_of_the_key() -> None:
    """RFC 5869 by hand: extract with an empty salt, then one block of expand."""
    extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")
    expanded = hmac.digest(extracted, b"penstock/callback-secret/acme\x01", "sha256")
    assert TenantSecrets(KEY).secret("acme") == "whsec_" + base64.b64encode(expanded).decode()
