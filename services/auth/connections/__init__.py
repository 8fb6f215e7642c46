"""Connections: tenants' credentials at upstreams, sealed; made by hand or authorized at providers.

Answers `ConnectionService` to tenants, `DataKeyService` to operators, and `CredentialService` to services. It is a
part of the process `auth`, and keeps the collections `connections`, `authorizations` and `data_keys`.

Read on in `domain`, then `store`.
"""
