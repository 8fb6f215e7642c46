"""Bulk: many jobs canceled or tried again by one call. Read on in `orders`, `domain`, `runner`, `intake`."""
