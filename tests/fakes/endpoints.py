"""Endpoints to test with, whose secrets open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.webhooks.endpoints.domain import Endpoint
from services.webhooks.endpoints.secrets import EndpointSecrets
from shared import ids
from shared.sealing import ENDPOINT_SECRET, Sealer

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOW + 60 * SECOND
#: The secret of every endpoint that is made here with no keys of its own; the standard's own example.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def endpoint_secrets(key: bytes = bytes(range(32))) -> EndpointSecrets:
    """What makes and opens the secrets of endpoints, under this sealing key."""
    return EndpointSecrets(Sealer(key, ENDPOINT_SECRET))


def make_endpoint(*, secrets: EndpointSecrets | None = None, **fields: Any) -> Endpoint:
    """An endpoint, whose keys sign with `SECRET`.

    Args:
        secrets: Seals its keys.
        fields: Of the endpoint, such as `url`.
    """
    endpoint_id, tenant = fields.pop("id", ids.new_endpoint_id()), fields.pop("tenant", "acme")
    if "keys" not in fields:
        made = (secrets or endpoint_secrets()).make_keys(tenant, endpoint_id, now=NOW, secret=SECRET)
        fields["keys"] = (made,)
    given: dict[str, Any] = {"url": "https://client.example/hook?token=1", "created_at": NOW, "updated_at": NOW}
    return Endpoint(id=endpoint_id, tenant=tenant, **given | fields)
