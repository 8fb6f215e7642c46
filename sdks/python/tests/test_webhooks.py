"""Messages are verified as docs/webhooks.md has it; what is wrong with one is told apart."""

from __future__ import annotations

import base64
import hmac
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from penstock_sdk import models
from penstock_sdk.signatures import Keys
from penstock_sdk.webhooks import (
    SignatureInvalid,
    UnusableSecret,
    WrongBody,
    WrongHeader,
    WrongSignature,
    WrongTime,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(24)).decode()
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(base64.b64decode("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="))
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
NOW = datetime(2026, 12, 31, tzinfo=UTC)
JOB = {"id": "http-1", "state": "SUCCEEDED", "revision": "3"}
EVENT = {"type": "job.succeeded", "timestamp": "2026-12-31T00:00:00.123Z", "data": JOB}


def compact(message: object) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


BODY = compact(EVENT)


def signed(
    body: bytes = BODY, *, secret: str = SECRET, at: datetime = NOW, kinds: str = "v1 v1a", webhook_id: str = "http-1:3"
) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    text = f"{webhook_id}.{timestamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signatures = {"v1": hmac.digest(key, text, "sha256"), "v1a": PRIVATE_KEY.sign(text)}
    entries = [f"{kind},{base64.b64encode(signatures[kind]).decode()}" for kind in kinds.split()]
    return {"Webhook-Id": webhook_id, "webhook-timestamp": timestamp, "Webhook-Signature": " ".join(entries)}


@pytest.mark.parametrize("secrets", [SECRET, PUBLIC_KEY, [OTHER, SECRET], (OTHER, PUBLIC_KEY), iter([OTHER, SECRET])])
def test_one_key_that_fits_is_enough(secrets: str | list[str]) -> None:
    event = verify(BODY, signed(), secrets, now=NOW)
    assert (event.id, event.type, event.timestamp) == ("http-1:3", "job.succeeded", NOW + timedelta(milliseconds=123))
    assert event.job == models.Job(id="http-1", state="SUCCEEDED", revision=3)
    assert event.batch is None
    assert event.events == (event,)


def test_the_example_of_the_specification_verifies() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    with pytest.raises(WrongBody, match="signed, and yet no event"):
        verify('{"test": 2432232314}', headers, SECRET, now=datetime.fromtimestamp(1614265330, UTC))


def test_the_text_of_a_callback_secret_is_the_key() -> None:
    assert verify(BODY, signed(secret="our own text"), "our own text", now=NOW).job
    looks_like_ours = "whsec_ but is a text"
    text = f"http-1:3.{int(NOW.timestamp())}.".encode() + BODY
    signature = base64.b64encode(hmac.digest(looks_like_ours.encode(), text, "sha256")).decode()
    headers = signed() | {"Webhook-Signature": f"v1,{signature}"}
    assert verify(BODY, headers, looks_like_ours, now=NOW).job


def test_events_that_came_together_have_ids_of_their_own() -> None:
    batch = {**EVENT, "id": "batch_1:1", "type": "batch.finished", "data": {"id": "batch_1", "size": 2}}
    notice = {**EVENT, "id": "con_1:2", "type": "connection.deleted", "data": {"connectionId": "con_1"}}
    newer = {**EVENT, "id": "x:1", "type": "planet.found", "data": {"name": "X"}}
    body = compact(
        {**EVENT, "type": "events.batch", "data": {"events": [{"id": "http-1:3", **EVENT}, batch, notice, newer]}}
    )
    event = verify(body, signed(body, webhook_id="msg_1"), SECRET, now=NOW)
    assert [(each.id, type(each.subject)) for each in event.events] == [
        ("http-1:3", models.Job),
        ("batch_1:1", models.Batch),
        ("con_1:2", models.ConnectionDeleted),
        ("x:1", type(None)),
    ]
    assert event.id == "msg_1"
    assert event.events[1].batch == models.Batch(id="batch_1", size=2)
    assert event.events[3].data == {"name": "X"}


@pytest.mark.parametrize(
    ("headers", "kind", "told"),
    [
        ({}, WrongHeader, "webhook-id is missing"),
        (signed() | {"Webhook-Signature": ""}, WrongHeader, "webhook-signature is missing"),
        (signed() | {"webhook-timestamp": "soon"}, WrongHeader, "'soon'"),
        (signed() | {"webhook-id": "other"}, WrongHeader, "came twice"),
        (signed() | {"Webhook-Signature": "v2,AAAA"}, WrongHeader, "no signature of a kind that is known"),
        (signed(at=NOW - timedelta(minutes=6)), WrongTime, "0:06:00 old.*clock"),
        (signed(at=NOW + timedelta(minutes=6)), WrongTime, "0:06:00 ahead"),
        (signed(secret=OTHER, kinds="v1"), WrongSignature, "another endpoint's or was rotated"),
        (signed(kinds="v1a"), WrongSignature, "signed by v1a alone.*whpk_"),
        (signed() | {"Webhook-Signature": "v1,no base64"}, WrongSignature, "no signature fits"),
        (signed(BODY.replace(b":", b": "), kinds="v1"), WrongSignature, "byte for byte"),
    ],
)
def test_what_is_wrong_is_told(headers: Mapping[str, str], kind: type[SignatureInvalid], told: str) -> None:
    with pytest.raises(kind, match=told):
        verify(BODY, headers, SECRET, now=NOW)


def test_a_body_that_was_parsed_and_written_again_is_told_from_a_wrong_key() -> None:
    with pytest.raises(WrongBody, match="parsed as JSON and written again"):
        verify(json.dumps(EVENT), signed(), SECRET, now=NOW)
    with pytest.raises(WrongBody, match="body is a dict"):
        verify(EVENT, signed(), SECRET, now=NOW)  # type: ignore[arg-type]  untyped callers do


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"type": 1, "data": {}}', b"[" * 100_000, b'{"type": "a", "data": []}']
)
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WrongBody, match="no event"):
        verify(body, signed(body), SECRET, now=NOW)


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ([], "no secrets"),
        ("", "empty"),
        ("whsec_", "empty"),
        (None, "no secrets|NoneType"),
        ([None], "NoneType"),
        ("psk_live_abc", "API key"),
        (SECRET + "\n", "white space"),
        ("whpk_AAAA", "no public key"),
    ],
)
def test_a_receiver_without_a_usable_secret_hears_of_it(secrets: object, told: str) -> None:
    with pytest.raises(UnusableSecret, match=told) as caught:
        verify(BODY, signed(), secrets, now=NOW)  # type: ignore[arg-type]  untyped callers do
    assert "MfKQ" not in str(caught.value)
    assert not isinstance(caught.value, SignatureInvalid)


def test_a_public_key_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    with pytest.raises(UnusableSecret, match=r"penstock-sdk\[ed25519\]"):
        verify(BODY, signed(), PUBLIC_KEY, now=NOW)
    assert verify(BODY, signed(), SECRET, now=NOW)


def test_no_secret_shows_in_a_repr() -> None:
    assert "MfKQ" not in repr(Keys.of([SECRET, "text of ours"])).replace("public_keys", "")
