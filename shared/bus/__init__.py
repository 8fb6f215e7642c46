"""NATS: atomic batch publish, group commit, batch consume, reading in order, buckets and signals."""

from shared.bus.bucket import Bucket, Conflict, Entry
from shared.bus.connection import Bus, connect
from shared.bus.consumer import Consumer
from shared.bus.group import MAX_GROUP, GroupPublisher, Unit
from shared.bus.messages import Incoming, Lag, Outgoing, Progress
from shared.bus.reader import Reader, Stored

__all__ = [
    "MAX_GROUP",
    "Bucket",
    "Bus",
    "Conflict",
    "Consumer",
    "Entry",
    "GroupPublisher",
    "Incoming",
    "Lag",
    "Outgoing",
    "Progress",
    "Reader",
    "Stored",
    "Unit",
    "connect",
]
