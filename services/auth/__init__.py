"""auth: who a request acts as.

Owns       the tenants, their API keys and their connections to upstreams, and the audit of all services (MongoDB,
           database `auth`); what keys were used for, and how much of their limits is (Redis, `{auth:<subject>}:*`).
Answers    `KeyService`, `ConnectionService` and `AuditService` to tenants, `TenantService` and `DataKeyService` to
           operators, `CredentialService` to services, and Envoy's `Authorization.Check` to the gateway: an identity
           token for a good key.
Calls      history, for how long audit entries are kept; of others the key provider, and the providers at which
           connections are authorized.
Consumes   `audit.*`, what every service tells of changes and refusals.
Publishes  the notices `tenant_suspended` and `tenant_resumed`, upon which jobs wait or go on; and of connections
           `connection_needs_reauth`, `connection_restored` and `connection_deleted`.
Emits      `signal.auth.changed` when a key was revoked or rotated, upon which every replica forgets it;
           `signal.auth.revoked`, upon which its streams end; `signal.auth.tenant_suspended` and `…_resumed`, upon which
           replicas forget a tenant's keys, and its streams end or may be opened again;
           `signal.auth.connection_changed`, upon which everybody forgets a connection's credential.
Hears      `signal.auth.uses`: what keys have done at the services.

Read on in `__main__`, `servicer`, `domain`, `store`; then what is peculiar to auth: `authorization` (Envoy's question),
`credentials` and `signatures` (what a request shows for itself), `known_keys` (the cache behind it), `limiter` and
`windows` (how many requests there may be), `usage`, `usage_store` and `callers` (how many there were, and whose),
`keyring`, `orders` and `signing_keys` (making, rotating and revoking keys, and what is kept of them), `tenants` with
its servicer, store and notices (making, suspending and resuming tenants; told by `shared.notices` until it is on disk),
`bootstrap` (a tenant's first key); of the audit `refused` (what it is told of the gateway's refusals), `audit_trail`
(takes in the entries of all services), `audit_store`, `audit_filter` and `audit_servicer` (show them). The sub-package
`connections` says for itself how it is read.
"""
