"""The settings of the key provider `aws-kms`, apart from Amazon's driver, which only who uses it need load."""

from __future__ import annotations

from dataclasses import dataclass

NAME = "aws-kms"


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsSettings:
    """Where a key is. Whoever auth is to Amazon its driver finds out in its own ways: environment, files or instance.

    Args:
        key: Its id, ARN or alias (`alias/penstock`).
        region: Such as `eu-central-1`.
        endpoint: Another URL than the region's own; empty for that.
    """

    key: str
    region: str
    endpoint: str = ""
