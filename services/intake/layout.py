"""How intake's part of Redis is laid out: what its records are called, and how long each is kept.

All of a tenant's keys share the hash tag `{intake:<tenant>}`, so that each step is one atomic script, also on Redis
Cluster:

    {intake:<tenant>}:key:<key>    hash    fingerprint, job (the job or batch that it stands for), claim (until when, in
                                           ms; gone once that was accepted)
    {intake:<tenant>}:pending      zset    ids of unfinished jobs, by the time at which each lapses, in ms
    {intake:<tenant>}:drained      hash    how many jobs have ended of late (`lua/drained.lua`)
    {intake:<tenant>}:ended        zset    ids of ended jobs, by the time at which each record expires, in ms
    {intake:<tenant>}:sizes        hash    what their records take (`lua/kept.lua`, `hot_view`)
    {intake:<tenant>}:job:<id>     hash    job (as first answered), revision and event (the newest), event:<revision>
                                           (each between the two, a few hundred bytes: 2 an attempt, so 40 at most),
                                           batch (its place there), end (while its submission is to come)
    {intake:<tenant>}:batch:<id>   hash    see `batch_store`
    {intake:<tenant>}:upload:<id>  string  what was told of an upload that is not READY yet, as JSON
"""

from __future__ import annotations

from datetime import timedelta

#: An unfinished job's record outlives the job: it may end 7 days ahead at most, and then run a while.
UNFINISHED_LIFETIME = timedelta(days=8)
#: How long a job can be asked for after its end.
FINISHED_LIFETIME = timedelta(hours=24)
#: What is learnt late is kept as long at least: the record must outlast every older event that may still come.
MIN_LIFETIME = timedelta(hours=1)
#: How long a job that the log has not shown counts as pending: its replica may have died before the publish. If not,
#: its event counts it on, or again; a projection that is further behind than this counts too few until it catches up.
UNSEEN_PENDING_LIFETIME = timedelta(minutes=10)
#: How long such a job can be asked for: the log shows it within milliseconds, or, after an outage, within this.
UNSEEN_LIFETIME = timedelta(hours=1)


def record_of_key(tenant: str, idempotency_key: str) -> str:
    """Of an idempotency key."""
    return f"{{intake:{tenant}}}:key:{idempotency_key}"


def pending_key(tenant: str) -> str:
    """Of the set of a tenant's pending jobs."""
    return f"{{intake:{tenant}}}:pending"


def drained_key(tenant: str) -> str:
    """Of how many of a tenant's jobs have ended of late."""
    return f"{{intake:{tenant}}}:drained"


def kept_keys(tenant: str) -> list[str]:
    """Of the set of a tenant's ended jobs whose records are kept, and of the sizes of those."""
    return [f"{{intake:{tenant}}}:ended", f"{{intake:{tenant}}}:sizes"]


def job_key(tenant: str, job_id: str) -> str:
    """Of a job."""
    return f"{{intake:{tenant}}}:job:{job_id}"


def batch_key(tenant: str, batch_id: str) -> str:
    """Of a batch."""
    return f"{{intake:{tenant}}}:batch:{batch_id}"


def told_of_upload_key(tenant: str, upload_id: str) -> str:
    """Of what was told of an upload that is not READY yet."""
    return f"{{intake:{tenant}}}:upload:{upload_id}"
