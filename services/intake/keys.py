"""The names of what intake keeps of a tenant in Redis; all of them share a hash tag, and so a slot (`store`)."""

from __future__ import annotations


def job_key(tenant: str, job_id: str) -> str:
    """A job's record."""
    return f"{{intake:{tenant}}}:job:{job_id}"


def batch_key(tenant: str, batch_id: str) -> str:
    """A batch's record."""
    return f"{{intake:{tenant}}}:batch:{batch_id}"


def idempotency_record(tenant: str, idempotency_key: str) -> str:
    """What an idempotency key stands for."""
    return f"{{intake:{tenant}}}:key:{idempotency_key}"


def pending_key(tenant: str) -> str:
    """The set of its pending jobs."""
    return f"{{intake:{tenant}}}:pending"


def drained_key(tenant: str) -> str:
    """How many of its jobs have ended of late."""
    return f"{{intake:{tenant}}}:drained"


def kept_keys(tenant: str) -> list[str]:
    """The set of its ended jobs whose records are kept, and the sizes of those."""
    return [f"{{intake:{tenant}}}:ended", f"{{intake:{tenant}}}:sizes"]
