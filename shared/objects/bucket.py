"""The bucket: made where it is missing, with the rules by which the store removes what has had its time."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from shared import observability
from shared.objects.keys import LIFETIME_DAYS, UNFINISHED_DAYS

log = observability.logger()

#: What the ids of our rules begin with; others are an operator's, and stay.
_RULE_PREFIX = "penstock-"
_DEFAULT_REGION = "us-east-1"
_MISSING = frozenset({"404", "NoSuchBucket", "NotFound"})
#: Someone else was faster, and it is ours.
_MADE = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_DENIED = frozenset({"403", "AccessDenied"})


async def ensure(client: Any, bucket: str, *, region: str) -> None:
    """Makes the bucket unless it is there, and brings its rules to what they should be; harmless at any time.

    A user that may not set rules is no reason to stop: the log says so, and `docs/operations.md` what to set.
    """
    try:
        await look(client, bucket)
    except ClientError as error:
        if _code(error) not in _MISSING:
            raise
        await _make(client, bucket, region)
    try:
        await _apply_rules(client, bucket)
    except ClientError as error:
        if _code(error) not in _DENIED:
            raise
        log.warning("lifecycle_not_applied", bucket=bucket, error=str(error))


async def look(client: Any, bucket: str) -> None:
    """Looks whether the bucket is there; by where it is, for who may list a part of it alone is refused a HEAD."""
    await client.get_bucket_location(Bucket=bucket)


async def _make(client: Any, bucket: str, region: str) -> None:
    where = {} if region == _DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        await client.create_bucket(Bucket=bucket, **where)
    except ClientError as error:
        if _code(error) not in _MADE:
            raise
    else:
        log.info("bucket_made", bucket=bucket)


async def _apply_rules(client: Any, bucket: str) -> None:
    present = await _rules(client, bucket)
    kept = [rule for rule in present if not rule.get("ID", "").startswith(_RULE_PREFIX)]
    wanted = [*kept, *rules()]
    if {_meaning(rule) for rule in present} != {_meaning(rule) for rule in wanted}:
        await client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": wanted})


def rules() -> list[dict[str, Any]]:
    """Our rules, as S3 has them."""
    return [
        {
            "ID": f"{_RULE_PREFIX}{prefix.rstrip('/')}",
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "Expiration": {"Days": days},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED_DAYS},
        }
        for prefix, days in LIFETIME_DAYS.items()
    ]


async def _rules(client: Any, bucket: str) -> list[dict[str, Any]]:
    try:
        return (await client.get_bucket_lifecycle_configuration(Bucket=bucket))["Rules"]
    except ClientError as error:
        if _code(error) != "NoSuchLifecycleConfiguration":
            raise
        return []


def _meaning(rule: dict[str, Any]) -> tuple[str, str, int, int]:
    """What of a rule is compared; stores write the rest in ways of their own."""
    prefix = rule.get("Filter", {}).get("Prefix") or rule.get("Prefix", "")
    unfinished = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0)
    return rule.get("ID", ""), prefix, rule.get("Expiration", {}).get("Days", 0), unfinished


def _code(error: ClientError) -> str:
    answer: Any = error.response
    return str(answer.get("Error", {}).get("Code", ""))
