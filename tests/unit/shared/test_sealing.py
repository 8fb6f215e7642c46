"""Sealing: what is sealed opens only unchanged, in its own place and under its own key."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import Secret
from shared.sealing import KEY_BYTES, SealBrokenError, Sealer

KEY = bytes(range(KEY_BYTES))
SEALER = Sealer(KEY, "callback-secret")
SECRET = b"a secret of some length, say"


@given(text=st.binary(max_size=300), context=st.lists(st.text(max_size=20), max_size=3))
def test_a_sealed_text_opens_in_its_own_place(text: bytes, context: list[str]) -> None:
    assert SEALER.open(SEALER.seal(text, *context), *context) == text


def test_a_sealed_text_shows_nothing_of_the_text_and_never_looks_the_same() -> None:
    first, second = SEALER.seal(SECRET, "acme", "job"), SEALER.seal(SECRET, "acme", "job")
    assert SECRET not in first
    assert first != second


@given(position=st.integers(min_value=0, max_value=len(SEALER.seal(SECRET)) - 1), bit=st.integers(0, 7))
def test_a_changed_bit_breaks_the_seal(position: int, bit: int) -> None:
    sealed = bytearray(SEALER.seal(SECRET, "acme", "job"))
    sealed[position] ^= 1 << bit
    with pytest.raises(SealBrokenError):
        SEALER.open(bytes(sealed), "acme", "job")


@pytest.mark.parametrize(
    "context", [("acme", "other-job"), ("other", "job"), ("acmejob",), ("acme", "job", ""), ("acmej", "ob"), ()]
)
def test_a_sealed_text_does_not_open_in_another_place(context: tuple[str, ...]) -> None:
    with pytest.raises(SealBrokenError):
        SEALER.open(SEALER.seal(SECRET, "acme", "job"), *context)


@pytest.mark.parametrize("other", [Sealer(bytes(KEY_BYTES), "callback-secret"), Sealer(KEY, "credentials")])
def test_a_sealed_text_does_not_open_under_another_key_or_purpose(other: Sealer) -> None:
    with pytest.raises(SealBrokenError):
        other.open(SEALER.seal(SECRET))


@pytest.mark.parametrize("length", [0, 1, 28])
def test_a_text_too_short_to_be_sealed_is_refused(length: int) -> None:
    with pytest.raises(SealBrokenError, match="too short"):
        SEALER.open(SEALER.seal(SECRET)[:length])


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(SealBrokenError, match="format 2"):
        SEALER.open(b"\x02" + SEALER.seal(SECRET)[1:])


def test_a_digest_tells_texts_apart_and_hangs_on_the_key() -> None:
    assert SEALER.digest(SECRET) == SEALER.digest(SECRET)
    assert SEALER.digest(SECRET) != SEALER.digest(SECRET + b"!")
    assert SEALER.digest(SECRET) != Sealer(bytes(KEY_BYTES), "callback-secret").digest(SECRET)


def test_the_setting_is_base64_of_32_bytes() -> None:
    sealer = Sealer.from_setting(Secret(base64.b64encode(KEY).decode()), "callback-secret")
    assert sealer.open(SEALER.seal(SECRET)) == SECRET
    with pytest.raises(ValueError, match="31 bytes"):
        Sealer.from_setting(Secret(base64.b64encode(KEY[:31]).decode()), "callback-secret")
    with pytest.raises(ValueError, match="not base64"):
        Sealer.from_setting(Secret("no base64!"), "callback-secret")
