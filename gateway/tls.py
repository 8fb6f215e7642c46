"""TLS at the API's port, and a look at its certificate before Envoy is given it.

Envoy reads certificate and key again whenever something in their folder is put in its place by renaming, be it one of
the files or, as Kubernetes does it, the link to the folder that holds both. What it cannot use it leaves, with a line
in its log, and goes on with what it had.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.settings import PREFIX
from gateway.typed import EnvoyConfig, extension, typed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from gateway.settings import GatewaySettings

CERTIFICATE_SETTING, KEY_SETTING = f"{PREFIX}TLS_CERTIFICATE", f"{PREFIX}TLS_KEY"
#: The file that tells Envoy of certificate and key, in the built folder.
SECRET_FILE = "tls.json"  # noqa: S105  a file's name
#: What the secret in it is called; figures of Envoy's have the name.
_SECRET = "gateway"  # noqa: S105  a name
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def transport_socket(folder: Path) -> EnvoyConfig:
    """TLS 1.2 or 1.3, for HTTP/2 (gRPC too) and HTTP/1.1."""
    return extension(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [
                {
                    "name": _SECRET,
                    "sds_config": {
                        "path_config_source": {"path": str(folder / SECRET_FILE)},
                        "resource_api_version": "V3",
                    },
                }
            ],
        },
    )


def secret(settings: GatewaySettings) -> EnvoyConfig:
    """Certificate and key as Envoy's secret discovery reads them: the files, and the folder to watch."""
    certificate, key = Path(settings.tls_certificate).absolute(), Path(settings.tls_key).absolute()
    found = typed(
        "extensions.transport_sockets.tls.v3.Secret",
        name=_SECRET,
        tls_certificate={
            "certificate_chain": {"filename": str(certificate)},
            "private_key": {"filename": str(key)},
            "watched_directory": {"path": str(certificate.parent)},
        },
    )
    return {"resources": [found]}


def mistakes(settings: GatewaySettings) -> list[str]:
    """What is wrong with certificate and key; each names the setting, the file and the way out."""
    if not settings.tls_certificate and not settings.tls_key:
        return []
    if not settings.tls_certificate or not settings.tls_key:
        missing, given = (CERTIFICATE_SETTING, KEY_SETTING) if settings.tls_key else (KEY_SETTING, CERTIFICATE_SETTING)
        return [f"{missing} is not set, and {given} is; set both, or neither for plain HTTP"]
    certificate, key = Path(settings.tls_certificate), Path(settings.tls_key)
    found: list[str] = []
    folder = certificate.absolute().parent
    if folder != key.absolute().parent:
        found.append(
            f"{KEY_SETTING} is {key}; put it beside the certificate into {folder}, which is watched for new ones"
        )
    shown = _public_key_of_certificate(certificate, found)
    kept = _public_key_of_key(key, found)
    if shown is not None and kept is not None and _encoded(shown) != _encoded(kept):
        found.append(
            f"{KEY_SETTING} is {key}, which is the key of another certificate than {certificate}, which is "
            f"{CERTIFICATE_SETTING}; name two that were made together"
        )
    return found


def _public_key_of_certificate(path: Path, found: list[str]) -> CertificatePublicKeyTypes | None:
    """That of the first one in the file; None where there is none, and what is wrong is added to what was found."""
    pem = _read(path, CERTIFICATE_SETTING, found)
    if pem is None:
        return None
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        found.append(
            f"{CERTIFICATE_SETTING} is {path}, which holds no certificate in PEM (-----BEGIN CERTIFICATE-----); name a "
            "file with the server's own first, and after it those between it and its authority"
        )
        return None
    until, since = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    now = datetime.now(UTC)
    if until <= now:
        found.append(f"{CERTIFICATE_SETTING} is {path}, which expired at {until:{_TIME}}; renew it")
    elif since > now:
        found.append(
            f"{CERTIFICATE_SETTING} is {path}, which is good from {since:{_TIME}} on; use one that is good now"
        )
    return certificate.public_key()


def _public_key_of_key(path: Path, found: list[str]) -> CertificatePublicKeyTypes | None:
    pem = _read(path, KEY_SETTING, found)
    if pem is None:
        return None
    try:
        return load_pem_private_key(pem, password=None).public_key()  # type: ignore[return-value]  no certificate has another
    except TypeError:
        found.append(f"{KEY_SETTING} is {path}, which a passphrase protects; take it off (openssl pkey -in … -out …)")
    except ValueError:
        found.append(f"{KEY_SETTING} is {path}, which holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
    return None


def _read(path: Path, setting: str, found: list[str]) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        found.append(f"{setting} is {path}, which cannot be read: {reason}; name a file that this user may read")
        return None


def _encoded(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
