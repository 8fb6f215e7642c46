"""upstream: the calls to third-party APIs, and the catalogue of what can be called.

Owns       the connectors: each upstream's methods, and the code that is peculiar to it; `results/` and `cache/` in the
           object store; answers that may serve again, in Redis.
Reads      large params and uploads, which intake keeps there.
Answers    `UpstreamService` to tenants and to intake: upstreams, their methods, the schemas of their params; and
           `CacheService` to tenants: what forgets their answers.
Calls      the scheduler (`Lease`, `Begin`, `Extend`) for the calls to make, auth (`GetCredential`,
           `ReportRefusedCredential`) for what to call with, and the upstreams.
Obeys      `signal.cancel.<job>`: the call of a job that was canceled is broken off; and
           `signal.auth.connection_changed`: what is known of the connection is forgotten.
Emits      `attempts.<upstream>`: how each attempt came out; `signal.cache.answered`, for those that wait for a call.

Read on in `__main__`, `servicer`, `domain`; then the way of a call: `worker` (a loop for each upstream), `leases` (what
is at work), `attempts` (one call from begin to outcome), `requests` (what it is made of), `connections` (what it is
made with), `cache/` (what makes it needless), `cancels` (what breaks it off), `connector` and `limits` (what an
upstream must bring), `connectors/`, and `rest/` (those that are data); what they speak HTTP with: `http_client`,
`answers`, `sending`, `multipart`, `authorization` (how a secret goes along), `calls` (time and losses), `redirects`,
`quotas`, `wire`; `urls`, where an operator has upstreams called instead; and `contents`, what of a job lies in the
object store.
"""
