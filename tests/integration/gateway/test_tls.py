"""TLS at the gateway: what is spoken, and certificates that are replaced while it serves."""

from __future__ import annotations

import http.client
import ssl
import urllib.request
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from cryptography import x509
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2

from deploy.local import layout, readiness
from gateway import GatewayError, build
from tests.certificates import Authority
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.integration.gateway.stand_ins import GOOD_KEY
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs/j-1"
_KEY = {"authorization": f"Bearer {GOOD_KEY}"}


class Served:
    """A certificate in a folder as Kubernetes mounts one: links to what the link `..data` leads to."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder, self.authority, self._turn = folder, authority, 0
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.serial = self.swap()
        self.certificate.symlink_to("..data/tls.crt")
        self.key.symlink_to("..data/tls.key")

    def swap(self) -> int:
        """Puts a new pair in the place of the old one by its link; answers with its serial number."""
        self._turn += 1
        fresh = self.folder / f"..{self._turn}"
        fresh.mkdir()
        serial = self.authority.issue(fresh / "tls.crt", fresh / "tls.key")
        link = self.folder / "..data_tmp"
        link.symlink_to(fresh.name)
        link.replace(self.folder / "..data")
        return serial

    def rename(self, certificate: bytes, key: bytes | None = None) -> None:
        """Puts new files in the place of the old ones, the key first."""
        for data, path in ((key, self.key), (certificate, self.certificate)):
            if data is not None:
                fresh = path.with_suffix(".new")
                fresh.write_bytes(data)
                fresh.replace(path)

    def context(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.certificate_file)
        context.set_alpn_protocols(list(alpn))
        return context


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return Served(folder, authority)


@pytest.fixture(scope="module")
def secure(all_services: Services, served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    settings = settings_for(all_services.address, tls_certificate=str(served.certificate), tls_key=str(served.key))
    with envoys.running(settings, tmp_path_factory.mktemp("secure")) as envoy:
        yield envoy


def connected(envoy: Envoy, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    host, _, port = envoy.settings.address.rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=60, context=context)
    connection.connect()
    return connection


def status_of(connection: http.client.HTTPSConnection) -> int:
    connection.request("GET", _PATH, headers=_KEY)
    answer = connection.getresponse()
    answer.read()
    assert answer.headers["strict-transport-security"]
    return answer.status


def shown(envoy: Envoy, served: Served) -> int:
    """The serial number of the certificate that a new connection is shown."""
    connection = connected(envoy, served.context())
    assert isinstance(connection.sock, ssl.SSLSocket)
    certificate = x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True) or b"")
    connection.close()
    return certificate.serial_number


def test_http_and_grpc_are_spoken_over_tls_and_nothing_older_than_1_2(
    secure: Envoy, served: Served, services: Services
) -> None:
    for asked, chosen in ((("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), ((), None)):
        connection = connected(secure, served.context(*asked))
        assert isinstance(connection.sock, ssl.SSLSocket)
        assert connection.sock.selected_alpn_protocol() == chosen
        connection.close()
    assert status_of(connected(secure, served.context("http/1.1"))) == 200
    trusted = grpc.ssl_channel_credentials(served.authority.certificate_file.read_bytes())
    with grpc.secure_channel(secure.settings.address, trusted) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        assert stub.GetJob(jobs_pb2.GetJobRequest(job_id="j-1"), metadata=tuple(_KEY.items())).id == "j-1"
    old = served.context()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is why they are refused
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connected(secure, old)
    assert secure.raw(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")[:4] != b"HTTP"


async def test_certificates_are_replaced_while_connections_go_on(
    secure: Envoy, served: Served, services: Services
) -> None:
    kept = connected(secure, served.context("http/1.1"))
    assert status_of(kept) == 200
    serial = served.swap()
    await eventually(lambda: shown(secure, served) == serial, what="the certificate behind the new link")
    good = served.certificate.read_bytes(), served.key.read_bytes()
    serial = served.authority.issue(served.folder / "n.crt", served.folder / "n.key")
    served.rename((served.folder / "n.crt").read_bytes(), (served.folder / "n.key").read_bytes())
    await eventually(lambda: shown(secure, served) == serial, what="the renamed certificate")
    for wrong in (good[0], b"-----BEGIN CERTIFICATE-----\nMII"):  # of another key, and half written
        before = secure.log.read_text()
        served.rename(wrong)
        await eventually(lambda said=before: len(secure.log.read_text()) > len(said), what="a line in the log")
        assert shown(secure, served) == serial
    served.rename(*good)
    await eventually(lambda: shown(secure, served) != serial, what="the good pair after wrong ones")
    assert status_of(kept) == 200


def test_the_local_stack_trusts_the_certificate_that_its_gateway_was_given_and_no_other(
    secure: Envoy, served: Served, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    other.issue(tmp_path / "tls.crt", tmp_path / "tls.key")
    ports = {"gateway": int(secure.settings.address.rpartition(":")[2])}
    for certificate, answer in ((served.certificate, "does not answer"), (tmp_path / "tls.crt", "verify failed")):
        chosen = layout.Layout(state=tmp_path, ports=ports, options=layout.Options(tls_certificate=str(certificate)))
        assert chosen.url.startswith("https://127.0.0.1:")
        ready, parts = readiness.ready_parts(chosen)
        assert (ready, len(parts)) == (False, 1)  # no site stands behind this one
        assert answer in next(iter(parts.values()))


def test_when_the_certificate_ends_is_a_figure(secure: Envoy, served: Served) -> None:
    url = f"http://{secure.settings.admin_address}/stats/prometheus"
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert "expiration_unix_time_seconds" in answer.read().decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("missing", r"TLS_CERTIFICATE is .* cannot be read: no such file"),
        ("unreadable", r"TLS_KEY is .* cannot be read: is a directory"),
        ("other", r"TLS_KEY is .* the key of another certificate"),
        ("expired", r"TLS_CERTIFICATE is .* expired at .*; renew it"),
        ("garbage", r"TLS_CERTIFICATE is .* holds no certificate in PEM"),
        ("half", r"TLS_KEY is not set, and PENSTOCK_GATEWAY_TLS_CERTIFICATE is"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_before_envoy_starts(tmp_path: Path, change: str, words: str) -> None:
    authority = Authority(tmp_path)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    authority.issue(certificate, key, good_for=timedelta(hours=-1 if change == "expired" else 1))
    if change == "missing":
        certificate.unlink()
    if change == "unreadable":
        key.unlink()
        key.mkdir()
    if change == "other":
        authority.issue(tmp_path / "other.crt", key)
    if change == "garbage":
        certificate.write_text("garbage")
    settings = settings_for(
        "127.0.0.1:1", tls_certificate=str(certificate), tls_key="" if change == "half" else str(key)
    )
    with pytest.raises(GatewayError, match=words):
        build(settings, tmp_path / "built")
