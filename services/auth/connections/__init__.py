"""Connections: tenants' credentials at upstreams, sealed; made by hand or authorized at providers.

Answers `ConnectionService` to tenants, `DataKeyService` to operators, and `CredentialService` to services. It is a
part of the process `auth`, and keeps the collections `connections`, `authorizations` and `data_keys`.

Read on in `part` (how it is wired), `servicer` with `messages`, `domain`, and `store` with `documents` and `updates`;
then by what is wanted:

making them   `orders` and `hosts` (what may be asked for), `connections` (the rules), `notices` (who is told).
sealing them  `vault` with `secret_texts`, over `data_keys` and their store, which `key_providers` wrap (`master_keys`,
              `aws_kms`, as `key_setup` has it); `resealing` with `sealed_store` rotates, for `data_key_servicer`.
authorizing   `providers` and `provider_files` (data), `authorization` with its store, and `authorizations` (their way),
              `flows` over `oauth1` and `oauth2`, which ask by `provider_http` and answer with `grants`; `granted` makes
              connections of those. `authorizing` answers callers, `callback` browsers, with `cookies` and `pages`, to
              the end whoever leaves (`undisturbed`); `assembly` puts it together.
using them    `credentials` for `credential_servicer`, over `known` (the cache); `refreshes` with `claims`, `refresher`,
              `faults` and `token_times` (fresh tokens, made once for all replicas).
"""
