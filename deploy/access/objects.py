"""The users of the object store: for each service a policy in the words of AWS, which other S3 stores take too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.access.rights import BUCKET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.access.rights import ObjectRights

#: Of the bucket: that it is there, and whether its rules are as they should be.
_LOOK = ("s3:GetBucketLocation", "s3:GetLifecycleConfiguration")
_WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")


def policy(rights: ObjectRights, *, bucket: str = BUCKET) -> dict[str, Any]:
    """What a service may do, as an IAM policy.

    It may neither make the bucket nor set its rules: whoever sets rules can have everything removed.
    """
    arn = f"arn:aws:s3:::{bucket}"
    statements = [
        _allowing(_LOOK, [arn]),
        _allowing(["s3:GetObject"], [f"{arn}/{prefix}*" for prefix in rights.reads]),
        _allowing(_WRITE, [f"{arn}/{prefix}*" for prefix in rights.writes]),
        _allowing(["s3:ListBucket"], [arn]) | _of_prefixes(rights.lists),
    ]
    if rights.deletes:  # stores refuse a statement about nothing
        statements.append(_allowing(["s3:DeleteObject"], [f"{arn}/{prefix}*" for prefix in rights.deletes]))
    return {"Version": "2012-10-17", "Statement": statements}


def _allowing(actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _of_prefixes(prefixes: Sequence[str]) -> dict[str, Any]:
    """The condition that only these are listed; none where all may be."""
    if "" in prefixes:
        return {}
    return {"Condition": {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}}}
