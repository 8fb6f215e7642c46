"""What tests of history on real servers share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.history.config import Config
from shared import mongo as mongo_
from shared.config import Secret
from tests import object_stores
from tests.service import NONE_BESIDE_HISTORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.mongo import Client
    from tests.identities import Identities


@pytest.fixture
def config(nats_url: str, mongo_url: str, mongo: Client, identities: Identities) -> Config:
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("history"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        gather=timedelta(milliseconds=20),
        **NONE_BESIDE_HISTORY,
        **object_stores.AWAY,
    )


@pytest.fixture
def jobs(mongo: Client) -> Any:
    """The collection that serves."""
    return mongo_.database(mongo, "history").get_collection("jobs")


async def has(jobs: Any, expected: Mapping[str, str]) -> bool:
    """Whether these jobs are in these states."""
    found = {each["_id"]: each["state"] async for each in jobs.find({}, {"state": True})}
    missing = dict(expected.items() - found.items())
    assert not missing, f"{len(missing)} are not there, such as {next(iter(missing.items()))}"
    return True
