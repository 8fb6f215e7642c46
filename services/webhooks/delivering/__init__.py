"""The way of a delivery from the store to its receiver.

A receiver is an endpoint, or one host of a tenant's callbacks. What is due for it is worked by one replica at a time,
which holds the receiver for a while: so its order, its rate and its batches need no other keeper, and one that hangs
takes places from nobody.

Read on in `receivers` (who holds which), `dispatcher` (takes those that are due), `worker` (works one), `choosing`
(what goes now, and what together), `places` (who may make an attempt now), `attempts` (one attempt), `sender`; `news`
tells all of them what was stored.
"""
