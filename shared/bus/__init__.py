"""NATS: atomic batch publish, group commit, batch consume and signals."""

from shared.bus.connection import Bus, connect
from shared.bus.consumer import Consumer
from shared.bus.group import MAX_GROUP, GroupPublisher
from shared.bus.messages import Incoming, Outgoing

__all__ = ["MAX_GROUP", "Bus", "Consumer", "GroupPublisher", "Incoming", "Outgoing", "connect"]
