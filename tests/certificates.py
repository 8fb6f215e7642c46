"""Certificates for servers of tests, and the authority that signs them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates that whoever trusts `certificate_file` takes.

    Args:
        folder: Where files of it go.
    """

    folder: Path
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _name: x509.Name = field(default_factory=lambda: _named("An authority of tests"))

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        certificate = _certificate(self._name, self._name, self._key, until=now + _HOUR)
        certificate = certificate.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate_file.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    @property
    def certificate_file(self) -> Path:
        """Its own certificate (PEM)."""
        return self.folder / "authority.pem"

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """What a server of these names shows.

        Args:
            names: Names of a host, or its addresses.
            expired: Whether its certificate was good until an hour ago.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + (-_HOUR if expired else _HOUR)
        certificate = _of_host(_certificate(_named(names[0]), self._name, key, until=until), *names)
        return _server(self.folder / f"{names[0]}.pem", key, certificate.sign(self._key, hashes.SHA256()))

    def issue(self, certificate: Path, key: Path, *, name: str = "127.0.0.1", good_for: timedelta = _HOUR) -> int:
        """Writes a server's certificate and its key into files; answers with its serial number.

        Args:
            certificate: Where to.
            key: Where to.
            name: A host's name, or its address.
            good_for: From now; less than nothing for one that has expired.
        """
        private = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + good_for
        made = _of_host(_certificate(_named(name), self._name, private, until=until), name)
        signed = made.sign(self._key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return signed.serial_number


def self_signed(folder: Path, name: str = "127.0.0.1") -> ssl.SSLContext:
    """What a server shows that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _of_host(_certificate(_named(name), _named(name), key, until=datetime.now(UTC) + _HOUR), name)
    return _server(folder / "self-signed.pem", key, certificate.sign(key, hashes.SHA256()))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(until - 3 * _HOUR)
        .not_valid_after(until)
    )


def _of_host(certificate: x509.CertificateBuilder, *names: str) -> x509.CertificateBuilder:
    return certificate.add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _server(pem: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> ssl.SSLContext:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context
