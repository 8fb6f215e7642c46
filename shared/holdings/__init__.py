"""What a service holds of a tenant or a connection, shelf by shelf: exported and erased when history asks for it.

Read on in `domain` (what a shelf is), `servicer` (how it is asked), `mongo`, `redis` and `objects` (shelves over what
is found by the tenant's name). What only one service can tell apart is a shelf in its own `holdings`.
"""

from shared.holdings.domain import MOST_AT_ONCE, Erased, Page, Shelf, Subject
from shared.holdings.servicer import SERVICE, HoldingServicer

__all__ = ["MOST_AT_ONCE", "SERVICE", "Erased", "HoldingServicer", "Page", "Shelf", "Subject"]
