"""Signatures as Standard Webhooks 1.0.0 has them, and what secrets stand for."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from services.webhooks.deliveries.domain import Delivery, delivery_id, receiver_of, webhook_id
from services.webhooks.signing import (
    CallbackSigner,
    SigningKey,
    TenantSecrets,
    public_key_of,
    signed_headers,
    signing_key,
)
from shared import ids
from shared.config import Secret
from shared.sealing import CALLBACK_SECRET, SealBrokenError, Sealer
from tests.verifying import verify_v1a

#: The example of the specification's own libraries: `v1`, and `v1a` of the same message.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE_KEY = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
WEBHOOK_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="

KEY = Secret(base64.b64encode(bytes(range(32))).decode())


def key_of(secret: str = SECRET, private_key: bytes | None = None) -> SigningKey:
    """A key to sign with; of its own pair unless one is given."""
    pair = Ed25519PrivateKey.from_private_bytes(private_key) if private_key else Ed25519PrivateKey.generate()
    return SigningKey(secret=signing_key(secret), private_key=pair)


EXAMPLE = key_of(private_key=base64.b64decode(PRIVATE_KEY))


def by_hand(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The `v1` signature as the specification words it."""
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def test_the_published_example_comes_out() -> None:
    assert signed_headers([EXAMPLE], webhook_id=WEBHOOK_ID, at=AT, body=BODY) == {
        "webhook-id": WEBHOOK_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"{V1} {V1A}",
    }


def test_the_published_example_is_what_one_gets_by_hand() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert by_hand(key, WEBHOOK_ID, "1614265330", BODY) == V1
    assert public_key_of(EXAMPLE.private_key) == PUBLIC_KEY


@pytest.mark.parametrize(
    ("private_key", "public_key", "webhook_id", "at", "body", "v1a"),
    [
        (PRIVATE_KEY, PUBLIC_KEY, WEBHOOK_ID, 1614265330, '{"test": 2432232314}', V1A),
        (
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
            "http-0198c6f2-6d3c-7abc-8def-0123456789ab:3",
            1798675200,
            '{"type":"job.succeeded"}',
            "v1a,ScG4cyHI9EtBRqgtfvaiWDn7mmnk447SSBVKI+0Dd5Rg/IHtf3TvLWCFj61pKI2ENMcjiqnwYGz9TTCA6r8uBA==",
        ),
        (
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "whpk_O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=",
            "msg_0198c6f2-6d3c-7abc-8def-0123456789ab",
            1798675201,
            "Grüße, 世界",
            "v1a,k1fA7kHfJhW5G0A2aQoBd7gZFIH4yZroxidnUivr/3C0l2gmPJMk6qSPMWmfc+V8vktVrc+I8QV+bNsoBdqlAQ==",
        ),
    ],
)
def test_a_fixed_vector_is_signed_and_verified(
    *, private_key: str, public_key: str, webhook_id: str, at: int, body: str, v1a: str
) -> None:
    key = key_of(private_key=base64.b64decode(private_key))
    headers = signed_headers([key], webhook_id=webhook_id, at=datetime.fromtimestamp(at, UTC), body=body.encode())
    assert headers["webhook-signature"].split(" ")[1] == v1a
    assert public_key_of(key.private_key) == public_key
    assert verify_v1a(public_key, headers, body.encode())
    for tampered in (
        headers | {"webhook-id": f"{webhook_id}x"},
        headers | {"webhook-timestamp": str(at + 1)},
        headers | {"webhook-signature": by_hand(bytes(24), webhook_id, str(at), body.encode())},
    ):
        assert not verify_v1a(public_key, tampered, body.encode())
    assert not verify_v1a(public_key, headers, body.encode() + b" ")
    assert not verify_v1a(public_key_of(Ed25519PrivateKey.generate()), headers, body.encode())


def test_the_standards_own_library_takes_what_is_signed_here_and_nothing_that_was_tampered_with() -> None:
    receiver = Webhook(SECRET)
    now = datetime.now(UTC)
    headers = signed_headers([EXAMPLE], webhook_id=WEBHOOK_ID, at=now, body=BODY)
    assert receiver.verify(BODY, headers) == {"test": 2432232314}
    old = signed_headers([EXAMPLE], webhook_id=WEBHOOK_ID, at=AT, body=BODY)
    wrong = signed_headers([key_of(f"whsec_{base64.b64encode(bytes(24)).decode()}")], webhook_id="x", at=now, body=BODY)
    for body, tampered in (
        (BODY + b" ", headers),
        (BODY, headers | {"webhook-id": "msg_another"}),
        (BODY, headers | {"webhook-timestamp": str(int(now.timestamp()) + 1)}),
        (BODY, headers | {"webhook-signature": headers["webhook-signature"].split(" ")[1]}),
        (BODY, old),
        (BODY, wrong),
    ):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(body, tampered)


def test_every_key_signs_the_newest_first_and_each_alone_verifies() -> None:
    secrets = [SECRET, f"whsec_{base64.b64encode(bytes(range(24))).decode()}"]
    new, old = (key_of(secret) for secret in secrets)
    now = datetime.now(UTC)
    headers = signed_headers([new, old], webhook_id=WEBHOOK_ID, at=now, body=BODY)
    of_new = signed_headers([new], webhook_id=WEBHOOK_ID, at=now, body=BODY)["webhook-signature"]
    of_old = signed_headers([old], webhook_id=WEBHOOK_ID, at=now, body=BODY)["webhook-signature"]
    assert headers["webhook-signature"] == f"{of_new} {of_old}"
    for secret in secrets:
        assert Webhook(secret).verify(BODY, headers) == {"test": 2432232314}
    for key in (new, old):
        assert verify_v1a(public_key_of(key.private_key), headers, BODY)


@given(st.binary(max_size=200), st.binary(min_size=24, max_size=64))
def test_any_body_is_signed_byte_for_byte(body: bytes, key: bytes) -> None:
    signing = replace(EXAMPLE, secret=key)
    headers = signed_headers([signing], webhook_id="http-1:4", at=AT, body=body)
    v1, _ = headers["webhook-signature"].split(" ")
    assert v1 == by_hand(key, "http-1:4", "1614265330", body)
    assert verify_v1a(PUBLIC_KEY, headers, body)


def test_the_timestamp_is_cut_to_whole_seconds() -> None:
    headers = signed_headers([EXAMPLE], webhook_id=WEBHOOK_ID, at=AT.replace(microsecond=999_999), body=BODY)
    assert headers["webhook-timestamp"] == "1614265330"


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(EXAMPLE) == "SigningKey()"


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


def test_a_tenants_key_pair_is_its_own_and_the_same_in_every_replica() -> None:
    """RFC 5869 by hand, as above."""
    expanded = hmac.digest(
        hmac.digest(bytes(32), bytes(range(32)), "sha256"), b"penstock/callback-key-pair/acme\x01", "sha256"
    )
    by_hand = public_key_of(Ed25519PrivateKey.from_private_bytes(expanded))
    assert TenantSecrets(KEY).public_key("acme") == TenantSecrets(KEY).public_key("acme") == by_hand
    assert TenantSecrets(KEY).public_key("globex") != by_hand


SEALER = Sealer(bytes(32), CALLBACK_SECRET)


def callback() -> Delivery:
    job_id = ids.new_job_id("http")
    named, receiver = webhook_id(job_id, 3), receiver_of("acme", host="client.example")
    return Delivery(
        id=delivery_id(named, receiver),
        webhook_id=named,
        tenant="acme",
        receiver=receiver,
        about=job_id,
        event_type="job.succeeded",
        event_time=AT,
        payload=b'{"type":"job.succeeded"}',
        created_at=AT,
        next_attempt_at=AT,
    )


def test_a_callback_is_signed_with_the_tenants_secret_and_key_pair() -> None:
    secrets = TenantSecrets(KEY)
    now = datetime.now(UTC)
    delivery = callback()
    headers = CallbackSigner(secrets, SEALER).headers(delivery, at=now)
    assert headers["webhook-id"] == delivery.webhook_id
    assert Webhook(secrets.secret("acme")).verify(delivery.payload, headers)
    assert verify_v1a(secrets.public_key("acme"), headers, delivery.payload)
    assert not verify_v1a(secrets.public_key("globex"), headers, delivery.payload)


@pytest.mark.parametrize(("secret", "key"), [(SECRET, signing_key(SECRET)), ("a text", b"a text")])
def test_a_jobs_own_secret_signs_in_place_of_the_tenants_and_the_pair_stays_the_tenants(
    secret: str, key: bytes
) -> None:
    secrets = TenantSecrets(KEY)
    delivery = callback()
    delivery = replace(delivery, sealed_secret=SEALER.seal(secret.encode(), "acme", delivery.about))
    headers = CallbackSigner(secrets, SEALER).headers(delivery, at=AT)
    v1, _ = headers["webhook-signature"].split(" ")
    assert v1 == by_hand(key, delivery.webhook_id, "1614265330", delivery.payload)
    assert verify_v1a(secrets.public_key("acme"), headers, delivery.payload)


def test_a_secret_of_another_job_does_not_open() -> None:
    delivery = replace(callback(), sealed_secret=SEALER.seal(b"text", "acme", "http-another"))
    with pytest.raises(SealBrokenError):
        CallbackSigner(TenantSecrets(KEY), SEALER).headers(delivery, at=AT)
