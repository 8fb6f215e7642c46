"""webhooks: a signed POST to the `callbackUrl` of a job or batch when it has ended.

Owns       the deliveries (MongoDB, database `webhooks`), and the secrets that sign for a tenant.
Answers    `CallbackSecretService` to tenants: the secret that signs what has no secret of its own.
Calls      no other service; the receivers that jobs name, through the address guard.
Consumes   `jobs.<event>.*` of the events by which jobs end; reads their submissions back from `JOBS`.
           `notices.batch_finished`.
Emits      nothing.

A delivery is stored before its event is acknowledged, and each attempt is counted before it goes out: a service that is
killed loses no delivery, and repeats at most the attempts that it was making. Receivers tell a repeated one by its
`webhook-id`, and from a forged one by its signature (Standard Webhooks 1.0.0).

Read on in `__main__`, `servicer`, `domain`, `store`; then the way of a delivery: `collector` and `notices` (from the
event to the store), `payload` (what is sent), `dispatcher` (whose turn it is), `attempts` (one attempt), `signing`,
`sender`.
"""
