"""What goes wrong between a client and Penstock, and when: by a plan that is the same for the same seed."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Fault(StrEnum):
    """What may become of a request."""

    #: The connection is reset; nobody has heard of the request.
    RESET_BEFORE = "reset before"
    #: It is done; the connection is reset in place of the answer.
    RESET_AFTER = "reset after"
    #: 429 with Retry-After; nobody has heard of the request.
    LIMITED = "limited"
    #: 503 with Retry-After; nobody has heard of the request.
    UNAVAILABLE = "unavailable"
    #: It is done, and answered late and by and by.
    SLOW = "slow"
    #: It is done, and not answered for so long that no client waits.
    STALLED = "stalled"
    #: It is done; its answer ends early, and says by its length that it does.
    HALF = "half"
    #: It is done; its answer is JSON that ends early, and by its length that is all.
    CUT = "cut"
    #: It is done; the answer is some proxy's page.
    FOREIGN = "foreign"
    #: A stream of events ends after an event.
    BROKEN = "broken"


class Kind(StrEnum):
    """What is asked for, which says what can go wrong."""

    CALL = "call"
    STREAM = "stream"
    CONTENT = "content"
    #: Whatever it is over gRPC.
    RPC = "rpc"

    @staticmethod
    def of(path: str) -> Kind:
        """What a request for a path asks for."""
        path = path.partition("?")[0]
        if path.endswith(":watch"):
            return Kind.STREAM
        if path.startswith("/api/") and not path.endswith(("/result", ":export")):
            return Kind.CALL
        return Kind.CONTENT


#: What a client goes on after. FOREIGN is none of it: it speaks of a mistake that no patience mends.
PASSING: Mapping[Kind, Sequence[Fault]] = {
    Kind.CALL: (
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.LIMITED,
        Fault.UNAVAILABLE,
        Fault.SLOW,
        Fault.STALLED,
        Fault.HALF,
        Fault.CUT,
    ),
    Kind.STREAM: (Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.LIMITED, Fault.UNAVAILABLE, Fault.SLOW, Fault.BROKEN),
    Kind.CONTENT: (Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.UNAVAILABLE, Fault.SLOW, Fault.HALF),
    Kind.RPC: (
        Fault.RESET_BEFORE,
        Fault.RESET_AFTER,
        Fault.LIMITED,
        Fault.UNAVAILABLE,
        Fault.SLOW,
        Fault.STALLED,
        Fault.HALF,
    ),
}


#: How many requests go well for each that does not. Of calls there are many, and most are made one after the other.
CLEAN: Mapping[Kind, int] = {Kind.CALL: 7, Kind.STREAM: 2, Kind.CONTENT: 1, Kind.RPC: 7}


class Plan:
    """Deals faults to requests as they come.

    Each round deals every fault once, in an order of its own, so a hundred requests meet all of them.

    Args:
        seed: Of the orders.
        faults: What there is, for each kind of request.
        clean: How many requests of a round go well, for each one that does not; none unless told.
    """

    def __init__(
        self, seed: int, faults: Mapping[Kind, Sequence[Fault]] = PASSING, clean: Mapping[Kind, int] = CLEAN
    ) -> None:
        self._faults = faults
        self._clean = clean
        self._chance = {kind: random.Random(f"{seed}-{kind}") for kind in Kind}
        self._round = {kind: list[Fault | None]() for kind in Kind}

    def next(self, kind: Kind) -> Fault | None:
        """What becomes of the next request of a kind; None where it goes well."""
        left = self._round[kind]
        if not left:
            faults = self._faults.get(kind, ())
            left += [*faults, *[None] * (self._clean.get(kind, 0) * len(faults))] if faults else [None]
            self._chance[kind].shuffle(left)
        return left.pop()


def calm() -> Plan:
    """Everything goes well."""
    return Plan(0, {})


def always(fault: Fault) -> Plan:
    """The same becomes of every request."""
    return Plan(0, dict.fromkeys(Kind, (fault,)), clean={})
