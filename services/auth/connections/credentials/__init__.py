"""Credentials: what a connection gives to call with now, refreshed once for all replicas.

Read on in `credentials`, for `servicer`, over `known` (the cache); `refreshes` with `claims`, `refresher`, `faults` and
`token_times`.
"""
