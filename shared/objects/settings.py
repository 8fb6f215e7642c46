"""Where the object store is, and who Penstock is to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from shared.config import Secret, ServiceConfig

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+/?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSettings:
    """Of one bucket.

    Args:
        url: Where services reach the store, without a path.
        public_url: Where clients reach it: signed links lead there.
        region: As the store has it; it is part of every signature.
        bucket: Penstock's alone.
    """

    url: str
    public_url: str
    region: str
    bucket: str
    access_key: Secret
    secret_key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsConfig(ServiceConfig):
    """What a service is told that keeps things in the object store."""

    #: Where the object store (S3 API) answers services: `https://host[:port]`.
    objects_url: str
    #: Where it answers clients, who follow signed links; empty where that is the same.
    objects_public_url: str = ""
    #: The store's region; part of every signature.
    objects_region: str = "us-east-1"
    #: The bucket, Penstock's alone; made where it is missing.
    objects_bucket: str = "penstock"
    #: The key pair that signs requests and links.
    objects_access_key: Secret
    objects_secret_key: Secret
    #: How often to look for objects that have had their time, where the store does not remove them by its lifecycle
    #: rules; zero for never.
    objects_sweep_interval: timedelta = timedelta(0)

    def mistakes_of_objects(self) -> list[str]:
        """What is wrong with these settings, each by its name."""
        urls = {"PENSTOCK_OBJECTS_URL": self.objects_url, "PENSTOCK_OBJECTS_PUBLIC_URL": self.objects_public_url}
        mistakes = [
            f"{name} is {url!r}; it takes http:// or https://, a host, and a port where it needs one"
            for name, url in urls.items()
            if not (_ORIGIN.fullmatch(url) or (name == "PENSTOCK_OBJECTS_PUBLIC_URL" and not url))
        ]
        if _BUCKET.fullmatch(self.objects_bucket) is None:
            wanted = "3 to 63 lower-case letters, digits and `-`"
            mistakes.append(f"PENSTOCK_OBJECTS_BUCKET is {self.objects_bucket!r}; it takes {wanted}")
        return mistakes

    @property
    def objects(self) -> ObjectSettings:
        """Of the store."""
        return ObjectSettings(
            url=self.objects_url,
            public_url=self.objects_public_url or self.objects_url,
            region=self.objects_region,
            bucket=self.objects_bucket,
            access_key=self.objects_access_key,
            secret_key=self.objects_secret_key,
        )
