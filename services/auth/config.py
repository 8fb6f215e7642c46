"""Auth's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.config import ConfigError, Secret, ServiceConfig

#: 16 random bytes in hexadecimal; a pepper that can be guessed is none.
_PEPPER_LEAST_CHARACTERS = 32
_NONE = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """What the service is told."""

    #: The replica set that holds the database `auth`: `mongodb://[user:password@]host:port/?replicaSet=…`.
    mongo_url: Secret
    #: Where signals go: `nats://[user:password@]host:port`.
    nats_url: Secret
    #: Under which keys are hashed; the same in every replica. When it is lost, no key works any more.
    key_pepper: Secret

    def __post_init__(self) -> None:
        length = len(self.key_pepper.reveal())
        if length < _PEPPER_LEAST_CHARACTERS:
            raise ConfigError(
                [f"PENSTOCK_KEY_PEPPER has {length} characters; it takes at least {_PEPPER_LEAST_CHARACTERS}"]
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapConfig(Config):
    """What the bootstrap command is told: the service's own environment will do, and of it these two are enough."""

    grpc_address: str = ""
    identity_keys_file: Path = Path()
    service_key: Secret = _NONE
    nats_url: Secret = _NONE
