"""Auth's settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from services.auth.connections.authorizing.authorization import public_url_problem
from services.auth.connections.providers import files as provider_files
from services.auth.connections.providers.files import ProviderMistakes
from services.auth.connections.sealing import key_setup
from services.auth.connections.sealing.kms_settings import KmsSettings
from services.auth.limiter import RateLimits
from services.auth.signing_keys import SigningKeys
from shared.config import ConfigError, Secret, ServiceConfig

if TYPE_CHECKING:
    from services.auth.connections.providers.domain import Providers
    from services.auth.connections.sealing.key_providers import KeyProviders

#: More requests a minute than a key or tenant can make.
_MAX_RATE_LIMIT = 1_000_000_000
#: 16 random bytes in hexadecimal; a pepper that can be guessed is none.
_PEPPER_LEAST_CHARACTERS = 32
#: Somebody has to sign in and read what is asked for; a link that lies about longer is found by others.
_AUTHORIZATION_LIFETIMES = (timedelta(minutes=1), timedelta(hours=1))
#: A list of them all would be of no use to anybody.
_MAX_CONNECTIONS = 1_000_000
_NONE = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """What the service is told."""

    #: The replica set that holds the database `auth`: `mongodb://[user:password@]host:port/?replicaSet=…`.
    mongo_url: Secret
    #: Where limits and uses are counted: `redis://[user:password@]host:port/database`.
    redis_url: Secret
    #: Where signals, notices and audit entries go, and the entries of all services come from:
    #: `nats://[user:password@]host:port`.
    nats_url: Secret
    #: Under which keys are hashed; the same in every replica. When it is lost, no key works any more.
    key_pepper: Secret
    #: Under which signing keys are sealed: 32 bytes in base64, the same in every replica. When it is lost, no key signs
    #: any more until it is rotated.
    sealing_key: Secret
    #: Requests a minute of a key that has no limit of its own.
    key_rate_limit: int = 1_000
    #: Requests a minute of all keys of a tenant together.
    tenant_rate_limit: int = 10_000
    #: Requests a minute of a client's address that carry no key which works.
    address_rate_limit: int = 600
    #: What each replica lets pass of a limit while Redis is away, above 0 to 1; with n replicas, about 1/n.
    limit_share_without_redis: float = 0.25
    #: Where browsers reach the gateway, such as `https://penstock.example`: providers send them back there. Without it
    #: connections are authorized out of band alone.
    public_url: str = ""
    #: The operator's providers (YAML), which are added to those that Penstock knows, or override fields of them; empty
    #: for none.
    providers_file: str = ""
    #: What this mesh is at providers: YAML or JSON, `{flickr: {id: …, secret: …}}`.
    provider_clients: Secret = _NONE
    #: For how long an authorization that was begun can be completed.
    authorization_lifetime: timedelta = timedelta(minutes=10)
    #: Lets providers be on this machine, and connections be for hosts on it: for development and tests alone.
    allow_loopback: bool = False
    #: Where history answers gRPC, `host:port`, which tells for how long audit entries are kept; empty where nobody is
    #: asked, and all are kept for a year.
    history_address: str = ""
    #: How many connections a tenant may have.
    max_connections: int = 10_000
    #: What wraps the data keys, under which connections are sealed: `file` or `aws-kms`. Where the other one is set up
    #: too, it unwraps what it has wrapped before.
    key_provider: str = key_setup.DEFAULT
    #: Of `file`: lines `name:key`, each key 32 bytes in base64, the same in every replica. The first one wraps. With
    #: one that still wraps something, the connections beneath are lost.
    master_keys: Secret = _NONE
    #: Of `aws-kms`: the id, ARN or alias of a symmetric key.
    kms_key: str = ""
    #: Of `aws-kms`: where that is, such as `eu-central-1`.
    kms_region: str = ""
    #: Of `aws-kms`: another URL than the region's own.
    kms_endpoint: str = ""

    def __post_init__(self) -> None:
        mistakes: list[str] = []
        length = len(self.key_pepper.reveal())
        if length < _PEPPER_LEAST_CHARACTERS:
            mistakes.append(
                f"PENSTOCK_KEY_PEPPER has {length} characters; it takes {_PEPPER_LEAST_CHARACTERS} at least"
            )
        try:
            SigningKeys(self.sealing_key)
        except ValueError as error:
            mistakes.append(f"PENSTOCK_SEALING_KEY is none: {error}")
        for name in ("key_rate_limit", "tenant_rate_limit", "address_rate_limit"):
            limit = getattr(self, name)
            if not 0 < limit <= _MAX_RATE_LIMIT:
                mistakes.append(f"PENSTOCK_{name.upper()} is {limit}; it takes 1 to {_MAX_RATE_LIMIT}")
        if not 0 < self.limit_share_without_redis <= 1:
            mistakes.append(
                f"PENSTOCK_LIMIT_SHARE_WITHOUT_REDIS is {self.limit_share_without_redis}; it takes above 0 to 1"
            )
        mistakes += self.mistakes_of_loopback(allowed=self.allow_loopback)
        mistakes += self._mistakes_of_connections()
        if mistakes:
            raise ConfigError(mistakes)

    def _mistakes_of_connections(self) -> list[str]:
        mistakes: list[str] = []
        if not 0 < self.max_connections <= _MAX_CONNECTIONS:
            mistakes.append(f"PENSTOCK_MAX_CONNECTIONS is {self.max_connections}; it takes 1 to {_MAX_CONNECTIONS}")
        try:
            self.key_providers()
        except ConfigError as error:
            mistakes += error.mistakes
        return mistakes + self._mistakes_of_authorizing()

    def _mistakes_of_authorizing(self) -> list[str]:
        mistakes: list[str] = []
        problem = public_url_problem(self.public_url) if self.public_url else None
        if problem is not None:
            mistakes.append(f"PENSTOCK_PUBLIC_URL {problem}")
        if not _AUTHORIZATION_LIFETIMES[0] <= self.authorization_lifetime <= _AUTHORIZATION_LIFETIMES[1]:
            mistakes.append(
                f"PENSTOCK_AUTHORIZATION_LIFETIME is {self.authorization_lifetime.total_seconds():g}s; "
                "it takes 1m to 1h"
            )
        try:
            self.providers()
        except ProviderMistakes as error:
            mistakes += error.mistakes
        return mistakes

    def providers(self) -> Providers:
        """Where connections can be authorized.

        Raises:
            ProviderMistakes: What is told of providers cannot be used.
        """
        return provider_files.read(self.providers_file, self.provider_clients, allow_loopback=self.allow_loopback)

    def key_providers(self) -> KeyProviders:
        """What wraps data keys, and what unwraps those of before.

        Raises:
            ConfigError: Nothing does, or what is told of it cannot be used.
        """
        return key_setup.key_providers(
            self.key_provider,
            master_keys=self.master_keys,
            kms=KmsSettings(key=self.kms_key, region=self.kms_region, endpoint=self.kms_endpoint),
        )

    @property
    def rate_limits(self) -> RateLimits:
        """The limits that hold here."""
        return RateLimits(key=self.key_rate_limit, tenant=self.tenant_rate_limit, address=self.address_rate_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapConfig(Config):
    """What the bootstrap command is told: the service's own environment will do, and of it these three are enough."""

    grpc_address: str = ""
    identity_keys_file: Path = Path()
    service_key: Secret = _NONE
    nats_url: Secret = _NONE
    redis_url: Secret = _NONE

    def _mistakes_of_connections(self) -> list[str]:
        return []  # it makes none, and seals nothing
