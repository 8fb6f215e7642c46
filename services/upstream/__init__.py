"""upstream: the calls to third-party APIs, and the catalogue of what can be called.

Owns       the connectors: each upstream's methods, and the code that is peculiar to it; `results/` and `cache/` in the
           object store; answers that may serve again, in Redis.
Reads      large params and uploads, which intake keeps there.
Answers    `UpstreamService` to tenants and to intake: upstreams, their methods, the schemas of their params; and
           `CacheService` to tenants: what forgets their answers.
Calls      the scheduler (`Lease`, `Begin`, `Extend`) for the calls to make, and the upstreams.
Obeys      `signal.cancel.<job>`: the call of a job that was canceled is broken off.
Emits      `attempts.<upstream>`: how each attempt came out.

Read on in `__main__`, `servicer`, `domain`; then the way of a call: `worker` (a loop for each upstream), `leases` (what
is at work), `attempts` (one call from begin to outcome), `cancels` (what breaks it off), `connector` and `limits` (what
an upstream must bring), `connectors/`; what makes calls needless: `cache/`; what they speak HTTP with: `http_client`,
`answers`, `sending`, `redirects`, `quotas`; and `contents`, what of a job lies in the object store.
"""
