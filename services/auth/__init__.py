"""auth: who a request acts as.

Owns       the tenants and their API keys (MongoDB, database `auth`); what keys were used for, and how much of their
           limits is used (Redis, `{auth:<subject>}:*`).
Answers    `KeyService` to tenants, and Envoy's `Authorization.Check` to the gateway: an identity token for a good key.
Calls      no other service.
Emits      `signal.auth.changed` when a key was revoked or rotated, upon which every replica forgets it;
           `signal.auth.revoked`, upon which its streams end.
Hears      `signal.auth.uses`: what keys have done at the services.

Read on in `__main__`, `servicer`, `domain`, `store`; then what is peculiar to auth: `authorization` (Envoy's question),
`known_keys` (the cache behind it), `limiter` and `windows` (how many requests there may be), `usage`, `usage_store` and
`callers` (how many there were, and whose), `keyring` and `orders` (making, rotating and revoking keys), `bootstrap` (a
tenant's first key).
"""
