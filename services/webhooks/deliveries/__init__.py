"""Deliveries: what they hold, where they are kept, how they are shown and made again.

Read on in `domain`, `store`; then `servicer` (DeliveryService), `replays` (many made again, at a bounded rate).
"""
