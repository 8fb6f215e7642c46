"""auth: who a request acts as.

Owns       the tenants and their API keys, and the audit of all services (MongoDB, database `auth`); what keys were used
           for, and how much of their limits is used (Redis, `{auth:<subject>}:*`).
Answers    `KeyService` and `AuditService` to tenants; Envoy's `Authorization.Check` to the gateway: an identity token
           for a good key.
Calls      no other service.
Consumes   `audit.*`, what every service tells of changes and refusals.
Emits      `signal.auth.changed` when a key was revoked or rotated, upon which every replica forgets it;
           `signal.auth.revoked`, upon which its streams end.

Read on in `__main__`, `servicer`, `domain`, `store`; then what is peculiar to auth: `authorization` (Envoy's question),
`known_keys` (the cache behind it), `limiter` and `windows` (how many requests there may be), `usage` (how many there
were), `keyring` and `orders` (making, rotating and revoking keys), `bootstrap` (a tenant's first key). The audit:
`refused` (what it is told of the gateway's refusals), `audit_trail` (takes in the entries of all services),
`audit_store`, `audit_filter` and `audit_servicer` (shows them).
"""
