"""Which key providers the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from services.auth.connections.sealing import kms_settings
from services.auth.connections.sealing.key_providers import KeyProviders
from services.auth.connections.sealing.master_keys import MasterKeys
from shared.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.auth.connections.sealing.key_providers import KeyProvider
    from services.auth.connections.sealing.kms_settings import KmsSettings
    from shared.config import Secret

DEFAULT = MasterKeys.name
_NAMES = (MasterKeys.name, kms_settings.NAME)


def key_providers(first: str, *, master_keys: Secret, kms: KmsSettings) -> KeyProviders:
    """The providers that are set up.

    Args:
        first: The name of the one that wraps.
        master_keys: Of `file`.
        kms: Of `aws-kms`.

    Raises:
        ConfigError: The first is not set up; or one of them wrongly.
    """
    mistakes: list[str] = []
    if first not in _NAMES:
        mistakes.append(f"PENSTOCK_KEY_PROVIDER is {first!r}; there are {' and '.join(_NAMES)}")
    providers = [*_file(master_keys, mistakes, required=first == MasterKeys.name)]
    providers += _kms(kms, mistakes, required=first == kms_settings.NAME)
    if mistakes:
        raise ConfigError(mistakes)
    return KeyProviders(sorted(providers, key=lambda provider: provider.name != first))


def _file(keys: Secret, mistakes: list[str], *, required: bool) -> Iterator[KeyProvider]:
    if not required and not keys.reveal():
        return
    try:
        yield MasterKeys(keys)
    except ValueError as error:
        mistakes.append(f"PENSTOCK_MASTER_KEYS cannot be used: {error}")


def _kms(settings: KmsSettings, mistakes: list[str], *, required: bool) -> Iterator[KeyProvider]:
    if not required and not (settings.key or settings.region or settings.endpoint):
        return
    told = len(mistakes)
    for name, value in (("PENSTOCK_KMS_KEY", settings.key), ("PENSTOCK_KMS_REGION", settings.region)):
        if not value:
            mistakes.append(f"{name} is not set; the key provider {kms_settings.NAME} needs it")
    if settings.endpoint and urlsplit(settings.endpoint).scheme not in {"http", "https"}:
        mistakes.append(f"PENSTOCK_KMS_ENDPOINT is {settings.endpoint!r}; it takes an http:// or https:// URL")
    if len(mistakes) == told:
        from services.auth.connections.sealing.aws_kms import AwsKms  # noqa: PLC0415  slow to load: for its users alone

        yield AwsKms(settings)
