"""Backups of the servers of the run, as the user `backup` makes them and the operator restores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.access import backup
from deploy.access.rights import OPERATOR
from deploy.backup import config as config_
from deploy.backup.config import PARTS, Config
from deploy.backup.creating import Creating
from deploy.backup.restoring import Restoring
from deploy.backup.shelf import Shelf
from deploy.local import backups
from shared.objects import open_objects
from tests import object_stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deploy.backup.manifest import Manifest
    from deploy.local.stack import Stack


class Backups:
    """Makes and restores backups of a stack.

    Args:
        stack: Running.
        shelf: Where they go.
    """

    def __init__(self, stack: Stack, shelf: Shelf) -> None:
        self.stack = stack
        self.shelf = shelf
        self.said: list[str] = []

    def config(self, user: str = backup.USER, **changed: str) -> Config:
        """As that user finds it."""
        told = dict(backups.environment(self.stack.layout, user)) | changed
        return config_.load(told, parts=PARTS)

    async def create(self, **changed: str) -> Manifest:
        return await Creating(self.config(**changed), self.shelf, say=self.said.append).run()

    async def restore(self, made: Manifest, *parts: str, force: bool = False, **changed: str) -> None:
        config = self.config(OPERATOR, **changed)
        restoring = Restoring(config, self.shelf, made, parts=parts or PARTS, say=self.said.append)
        await restoring.run(force=force, other_keys=False)


@pytest.fixture
async def backups_of_run(object_store: Stack) -> AsyncIterator[Backups]:
    """Of the run's servers; there are none yet."""
    objects = await open_objects(config_.load(backups.environment(object_store.layout, OPERATOR)).objects)
    await object_stores.empty(objects)
    yield Backups(object_store, Shelf(objects))
    await objects.close()
