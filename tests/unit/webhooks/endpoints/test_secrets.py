"""The secrets of endpoints: made, sealed, opened, and what they sign."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.webhooks.endpoints.secrets import EndpointSecrets, EndpointSigner
from shared import ids
from shared.sealing import SealBrokenError
from tests.fakes.endpoints import NOW, SECRET, endpoint_secrets, make_endpoint
from tests.verifying import verify_v1a

if TYPE_CHECKING:
    from services.webhooks.endpoints.domain import Endpoint, SigningKeys
    from services.webhooks.signing import SigningKey

BODY = b'{"type":"job.succeeded"}'
CANARY = "canary-5b1f0c7d-canary"
GRACE = timedelta(hours=24)


class CountingSecrets(EndpointSecrets):
    """Counts what it opens."""

    opened = 0

    def signing_key(self, endpoint: Endpoint, keys: SigningKeys) -> SigningKey:
        self.opened += 1
        return super().signing_key(endpoint, keys)


def rotated(endpoint: Endpoint, secrets: EndpointSecrets, *, at: datetime) -> Endpoint:
    made = secrets.make_keys(endpoint.tenant, endpoint.id, now=at)
    return replace(
        endpoint,
        keys=(made, replace(endpoint.keys[0], expires_at=at + GRACE)),
        revision=endpoint.revision + 1,
    )


def test_a_secret_that_is_made_here_is_a_new_one_of_the_standards_form() -> None:
    secrets = endpoint_secrets()
    made = [make_endpoint(keys=(secrets.make_keys("acme", named, now=NOW),), id=named) for named in _ids(2)]
    shown = [secrets.secret(endpoint) for endpoint in made]
    assert shown[0] != shown[1]
    for secret in shown:
        prefix, _, encoded = secret.partition("_")
        assert prefix == "whsec"
        assert len(base64.b64decode(encoded, validate=True)) == 32
    assert made[0].keys[0].public_key != made[1].keys[0].public_key


def test_a_given_secret_is_kept_as_it_is() -> None:
    assert endpoint_secrets().secret(make_endpoint()) == SECRET


def test_what_is_kept_shows_nothing_of_the_secrets() -> None:
    secrets = endpoint_secrets()
    named = ids.new_endpoint_id()
    endpoint = make_endpoint(
        id=named,
        url=f"https://client.example/{CANARY}",
        keys=(secrets.make_keys("acme", named, now=NOW, secret=SECRET),),
        sealed_headers=secrets.seal_headers("acme", named, {"authorization": CANARY}),
    )
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    for sealed in (endpoint.keys[0].sealed_secret, endpoint.keys[0].sealed_private_key, endpoint.sealed_headers):
        assert SECRET.encode() not in sealed
        assert key not in sealed
        assert CANARY.encode() not in sealed
    assert CANARY not in repr(endpoint)
    assert "sealed" not in repr(endpoint)


@pytest.mark.parametrize("moved", [{"tenant": "globex"}, {"id": ids.new_endpoint_id()}])
def test_secrets_open_in_their_own_place_alone(moved: dict[str, str]) -> None:
    secrets = endpoint_secrets()
    named = ids.new_endpoint_id()
    endpoint = make_endpoint(id=named, sealed_headers=secrets.seal_headers("acme", named, {"x-key": CANARY}))
    assert secrets.headers(endpoint) == {"x-key": CANARY}
    for stolen, opener in ((replace(endpoint, **moved), secrets), (endpoint, endpoint_secrets(bytes(32)))):
        for open_ in (opener.secret, opener.headers, lambda each, by=opener: by.signing_key(each, each.keys[0])):
            with pytest.raises(SealBrokenError) as refused:
                open_(stolen)
            assert CANARY not in str(refused.value)


def test_a_message_has_the_endpoints_headers_and_two_signatures() -> None:
    secrets = endpoint_secrets()
    named = ids.new_endpoint_id()
    sealed = secrets.seal_headers("acme", named, {"x-key": CANARY})
    endpoint = make_endpoint(id=named, sealed_headers=sealed)
    at = datetime.now(UTC)
    headers = EndpointSigner(secrets).headers(endpoint, webhook_id="http-1:3", at=at, body=BODY)
    assert set(headers) == {"x-key", "webhook-id", "webhook-timestamp", "webhook-signature"}
    assert headers["x-key"] == CANARY
    assert Webhook(SECRET).verify(BODY, headers)
    assert verify_v1a(endpoint.keys[0].public_key, headers, BODY)
    assert [each.split(",")[0] for each in headers["webhook-signature"].split(" ")] == ["v1", "v1a"]


def test_old_and_new_keys_verify_while_the_grace_lasts_and_the_new_alone_afterwards() -> None:
    secrets = endpoint_secrets()
    signer = EndpointSigner(secrets)
    now = datetime.now(UTC)
    endpoint = rotated(make_endpoint(), secrets, at=now - timedelta(seconds=1))
    new, old = Webhook(secrets.secret(endpoint)), Webhook(SECRET)
    headers = signer.headers(endpoint, webhook_id="http-1:3", at=now, body=BODY)
    for receiver in (new, old):
        assert receiver.verify(BODY, headers)
    for keys in endpoint.keys:
        assert verify_v1a(keys.public_key, headers, BODY)

    over = replace(endpoint, keys=(endpoint.keys[0], replace(endpoint.keys[1], expires_at=now)), revision=9)
    headers = signer.headers(over, webhook_id="http-1:3", at=now, body=BODY)
    assert new.verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        old.verify(BODY, headers)
    assert not verify_v1a(endpoint.keys[1].public_key, headers, BODY)
    assert over.signing_keys(now) == over.keys[:1]


def test_secrets_are_opened_once_and_again_after_a_change() -> None:
    counting = CountingSecrets(endpoint_secrets()._sealer)
    signer = EndpointSigner(counting)
    endpoint = make_endpoint()
    for _ in range(3):
        signer.headers(endpoint, webhook_id="http-1:3", at=NOW, body=BODY)
    assert counting.opened == 1
    changed = rotated(endpoint, counting, at=NOW)
    for _ in range(3):
        signer.headers(changed, webhook_id="http-1:3", at=NOW, body=BODY)
    assert counting.opened == 3


def test_no_more_than_a_bounded_number_is_held_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.webhooks.endpoints.secrets._ENDPOINTS_HELD", 2)
    counting = CountingSecrets(endpoint_secrets()._sealer)
    signer = EndpointSigner(counting)
    first, second, third = (make_endpoint() for _ in range(3))
    for endpoint in (first, second, first, third, first):  # the second is the one not used for longest
        signer.headers(endpoint, webhook_id="http-1:3", at=NOW, body=BODY)
    assert counting.opened == 3
    signer.headers(second, webhook_id="http-1:3", at=NOW, body=BODY)
    assert counting.opened == 4


def _ids(count: int) -> list[str]:
    return [ids.new_endpoint_id() for _ in range(count)]
