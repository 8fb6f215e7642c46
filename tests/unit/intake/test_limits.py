"""Limits of unfinished jobs, as an operator sets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.intake.config import Config
from services.intake.limits import PendingLimits, read_tenant_limits
from shared.config import ConfigError, load

if TYPE_CHECKING:
    from tests.identities import Identities


@pytest.fixture
def environment(identities: Identities) -> dict[str, str]:
    """What a replica needs at least."""
    return {
        "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:0",
        "PENSTOCK_IDENTITY_KEYS_FILE": str(identities.keys_file),
        "PENSTOCK_SERVICE_KEY": identities.service_key("intake").reveal(),
        "PENSTOCK_REDIS_URL": "redis://127.0.0.1:1/0",
        "PENSTOCK_NATS_URL": "nats://127.0.0.1:1",
        "PENSTOCK_SCHEDULER_ADDRESS": "127.0.0.1:1",
        "PENSTOCK_AUTH_ADDRESS": "127.0.0.1:1",
        "PENSTOCK_UPSTREAM_ADDRESS": "127.0.0.1:1",
        "PENSTOCK_HISTORY_ADDRESS": "127.0.0.1:1",
        "PENSTOCK_SEALING_KEY": "x",
        "PENSTOCK_OBJECTS_URL": "http://127.0.0.1:1",
        "PENSTOCK_OBJECTS_ACCESS_KEY": "a",
        "PENSTOCK_OBJECTS_SECRET_KEY": "b",
    }


def test_a_tenant_has_its_own_limit_or_the_common_one() -> None:
    limits = PendingLimits(default=1000, by_tenant=read_tenant_limits(["acme=5000", " small-one = 1 "]))
    assert [limits.of(tenant) for tenant in ("acme", "small-one", "other")] == [5000, 1, 1000]


@pytest.mark.parametrize("text", ["", "acme", "acme=", "=5", "acme=0", "acme=-1", "acme=1.5", "Acme=5", "acme=5=6"])
def test_what_is_no_limit_is_refused_with_what_it_takes(text: str) -> None:
    with pytest.raises(ValueError, match="it takes tenant=number"):
        read_tenant_limits([text])


def test_a_tenant_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="names 'acme' twice"):
        read_tenant_limits(["acme=1", "acme=2"])


def test_limits_are_read_from_the_environment(environment: dict[str, str]) -> None:
    limits = load(Config, environment | {"PENSTOCK_TENANT_MAX_PENDING": "acme=5000,globex=20"}).pending_limits
    assert [limits.of(tenant) for tenant in ("acme", "globex", "other")] == [5000, 20, 1000]


def test_every_mistake_in_limits_is_named_at_the_start(environment: dict[str, str]) -> None:
    wrong = {
        "PENSTOCK_MAX_PENDING_JOBS": "0",
        "PENSTOCK_MAX_PENDING_JOBS_OF_ALL": "-1",
        "PENSTOCK_RESULT_LINK_LIFETIME": "8d",
        "PENSTOCK_TENANT_MAX_PENDING": "acme",
    }
    with pytest.raises(ConfigError) as refused:
        load(Config, environment | wrong)
    assert [mistake.split()[0] for mistake in refused.value.mistakes] == list(wrong)
