"""Upstreams whose connector is data: methods, limits, errors and where to call, in a file, and one class that calls.

Read on in `data` (what a file says), `schema.yaml` and `loader` (how it is written, and judged), `requests` (what is
sent), `reading` (what comes back), `connector` (the call).
"""
