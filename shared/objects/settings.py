"""Where the object store is, and who Penstock is to it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Secret, ServiceConfig


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
