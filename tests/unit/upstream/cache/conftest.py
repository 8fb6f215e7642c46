from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.cache_replicas import World
from tests.fakes.cached_answers import FakeAnswers, Shelf

if TYPE_CHECKING:
    from tests.fakes.cache_replicas import Replica, Shop


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def replica(world: World, shelf: Shelf) -> Replica:
    return world.replica(FakeAnswers(shelf, "one"))


@pytest.fixture
def other(world: World, shelf: Shelf) -> Replica:
    return world.replica(FakeAnswers(shelf, "other"))


@pytest.fixture
def shop(world: World) -> Shop:
    return world.shop
