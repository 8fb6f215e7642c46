"""How archives are written: the same jobs are the same bytes, and what is not as it was written is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.history.retention import read
from services.history.retention.archive_format import ArchiveFaultError, Manifest, pack, unpack
from services.history.retention.read import ReadConfig
from shared.config import ConfigError, load

DAY = date(2026, 8, 1)
OBJECTS = {
    "PENSTOCK_OBJECTS_URL": "http://objects.example",
    "PENSTOCK_OBJECTS_ACCESS_KEY": "reader",
    "PENSTOCK_OBJECTS_SECRET_KEY": "secret",
}


@given(st.lists(st.text().filter(lambda text: "\n" not in text and "\r" not in text), min_size=1))
def test_what_is_packed_is_unpacked_and_the_same_twice(lines: list[str]) -> None:
    packed = pack("01", lines)
    assert unpack(packed.part, packed.body) == lines
    assert pack("01", lines) == packed
    assert packed.part.sha256.startswith(packed.part.name.removeprefix("01-").removesuffix(".ndjson.gz"))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_known(place: int, change: int) -> None:
    packed = pack("01", ["{}", '{"id": "http-1"}'])
    body = bytearray(packed.body)
    body[place % len(body)] ^= change
    with pytest.raises(ArchiveFaultError):
        unpack(packed.part, bytes(body))


def test_another_count_is_known() -> None:
    packed = pack("01", ["{}"])
    with pytest.raises(ArchiveFaultError, match="it has 1 jobs, where the manifest has 2"):
        unpack(replace(packed.part, jobs=2), packed.body)


def test_a_manifest_is_its_tenants_and_its_days() -> None:
    manifest = Manifest(tenant="acme", day=DAY, parts=[pack("01", ["{}"]).part])
    assert Manifest.decode(manifest.encode(), tenant="acme", day=DAY) == manifest
    with pytest.raises(ArchiveFaultError, match="it is of the tenant 'acme'"):
        Manifest.decode(manifest.encode(), tenant="other", day=DAY)
    for text in (b"", b"[]", b"{}", manifest.encode().replace(b'"jobs": 1', b'"jobs": 2')):
        with pytest.raises(ArchiveFaultError):
            Manifest.decode(text, tenant="acme", day=DAY)


def test_a_manifest_of_another_format_is_not_guessed_at() -> None:
    text = Manifest(tenant="acme", day=DAY, parts=[]).encode().replace(b'"formatVersion": 1', b'"formatVersion": 2')
    with pytest.raises(ArchiveFaultError, match="it has the format 2; this reads 1"):
        Manifest.decode(text, tenant="acme", day=DAY)


def test_to_read_an_archive_the_object_store_is_enough() -> None:
    assert load(ReadConfig, OBJECTS).objects.access_key.reveal() == "reader"


def test_what_the_command_cannot_read_it_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--tenant", "No Slug", "--day", "2026-08-01"], ["--tenant", "acme", "--day", "1.8.2026"]):
        with pytest.raises(SystemExit) as ended:
            read.main(arguments)
        assert ended.value.code == 2
    assert "write it as in 2026-08-01" in capsys.readouterr().err


def test_every_mistake_in_the_settings_is_named() -> None:
    wrong = {
        "PENSTOCK_RETENTION_SUCCEEDED_JOBS": "36h",
        "PENSTOCK_RETENTION_AUDIT": "1d",
        "PENSTOCK_RETENTION_INTERVAL": "0s",
        "PENSTOCK_OBJECTS_BUCKET": "No",
    }
    with pytest.raises(ConfigError) as caught:
        load(ReadConfig, OBJECTS | wrong)
    assert {mistake.split(" ")[0] for mistake in caught.value.mistakes} == wrong.keys()
    assert "is 1.5d; it takes whole days, 1d to 366d" in caught.value.mistakes[0]
