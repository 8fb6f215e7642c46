"""Endpoints: a tenant's receivers of events, with their filters, secrets and settings.

Read on in `domain`, `store`, `servicer` (EndpointService), `secrets`.
"""
