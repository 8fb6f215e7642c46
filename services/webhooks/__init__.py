"""webhooks: signed POSTs of what happens, to tenants' endpoints and to the `callbackUrl` of jobs and batches.

Owns       endpoints, deliveries, who works which receiver, replays, and figures (MongoDB, database `webhooks`); the
           secrets that sign.
Answers    `EndpointService`, `DeliveryService` and `CallbackSecretService` to tenants.
Calls      history, for how long deliveries are kept; the receivers that tenants name, through the address guard.
Consumes   `jobs.<event>.*` of the events by which jobs end; reads their submissions back from `JOBS`. `notices.*`.
Emits      `notices.endpoint_disabled`; the signals `signal.webhooks.*` to its own replicas.

A delivery is stored before its event is acknowledged, and each attempt is noted before it goes out: a service that is
killed loses no delivery, and repeats at most the attempts that it was making. Receivers tell a repeated one by its
`webhook-id`, and from a forged one by its signatures (Standard Webhooks 1.0.0).

It has four parts, each a package with a `domain` and stores of its own. Read on in `__main__`; then `endpoints` (who is
told of what, and with which secrets; `signing`), and the way of a delivery: `collecting` (from the event to the store),
`deliveries` (what is kept and shown of it, and made again), `delivering` (from the store to the receiver).
"""
