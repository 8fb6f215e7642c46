"""Connections: tenants' credentials at upstreams, sealed; made by hand or authorized at providers.

Answers `ConnectionService` to tenants, `DataKeyService` to operators, and `CredentialService` to services. It is a
part of the process `auth`, and keeps the collections `connections`, `authorizations` and `data_keys`.

Read on in `wiring`, `servicer` with `messages`, `domain`, and `store` with `documents` and `updates`; `orders` and
`hosts` (what may be asked for), `connections` (the rules), `notices` (who is told). Then by what is wanted: `sealing`
(how secrets are kept), `providers` (where consents are given, and how they are asked), `authorizing` (the way from a
wish to a connection), `credentials` (what there is to call with now).
"""
