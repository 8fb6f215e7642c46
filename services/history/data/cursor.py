"""What an erasure goes on from, between its turns."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.history.data.domain import Stage, StoreState

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far an erasure is."""

    #: What the next turn does.
    stage: Stage = Stage.LOOK
    #: The tenant was suspended before anybody wanted it erased, and stays so where that is taken back.
    was_suspended: bool = False
    #: What is of a later time stays; from ERASE on.
    before: datetime | None = None
    stores: Mapping[str, StoreState] = field(default_factory=dict[str, StoreState])

    def dump(self) -> bytes:
        """As it is kept."""
        stores = [
            [each.store, each.removed, _text(each.forgets_by), each.note]
            for each in sorted(self.stores.values(), key=lambda each: each.store)
        ]
        told = {"stage": self.stage, "was_suspended": self.was_suspended, "before": _text(self.before)}
        return json.dumps({**told, "stores": stores}).encode()

    @classmethod
    def load(cls, text: bytes) -> Cursor:
        """As it was kept; at the beginning there is none."""
        if not text:
            return cls()
        told: dict[str, Any] = json.loads(text)
        stores = [
            StoreState(store=store, removed=removed, forgets_by=_time(forgets_by), note=note)
            for store, removed, forgets_by, note in told["stores"]
        ]
        return cls(
            stage=Stage(told["stage"]),
            was_suspended=told["was_suspended"],
            before=_time(told["before"]),
            stores={each.store: each for each in stores},
        )


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
