"""auth: who a request acts as.

Owns       the tenants and their API keys (MongoDB, database `auth`).
Answers    `KeyService` to tenants, and Envoy's `Authorization.Check` to the gateway: an identity token for a good key.
Calls      no other service.
Emits      `signal.auth.changed` when a key was revoked, upon which every replica forgets it.

Read on in `__main__`, `servicer`, `domain`, `store`; then what is peculiar to auth: `authorization` (Envoy's question),
`known_keys` (the cache behind it), `keyring` (making and revoking keys), `bootstrap` (a tenant's first key).
"""
