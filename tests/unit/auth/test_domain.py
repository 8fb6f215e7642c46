from __future__ import annotations

import re
import string
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.auth.domain import Key, KeyHasher, KeySecret, KeyState, _checksum, to_milliseconds
from services.auth.orders import KeyOrder
from shared import ids
from shared.config import Secret
from shared.errors import PermissionDenied
from shared.identity import Principal, PrincipalKind
from shared.permissions import ADMIN_SCOPES, Scope

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
BASE62 = string.digits + string.ascii_letters
HASHER = KeyHasher(Secret("a" * 32))

new_secrets = st.builds(KeySecret.new)


@given(new_secrets)
def test_a_new_secret_parses(secret: KeySecret) -> None:
    parsed = KeySecret.parse(secret.reveal())
    assert parsed == secret


@given(new_secrets)
def test_a_secret_is_the_mark_24_random_and_6_checksum_characters(secret: KeySecret) -> None:
    assert re.fullmatch(r"psk_live_[0-9A-Za-z]{24}[0-9A-Za-z]{6}", secret.reveal())


@given(new_secrets, st.data())
def test_a_secret_with_any_one_character_changed_does_not_parse(secret: KeySecret, data: st.DataObject) -> None:
    text = secret.reveal()
    position = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.one_of(st.sampled_from(BASE62), st.characters(codec="utf-8")))
    assume(character != text[position])
    assert KeySecret.parse(text[:position] + character + text[position + 1 :]) is None


@given(new_secrets, st.integers(0, 38))
def test_a_secret_with_two_neighbours_swapped_does_not_parse(secret: KeySecret, position: int) -> None:
    text = secret.reveal()
    position %= len(text) - 1
    assume(text[position] != text[position + 1])
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    assert KeySecret.parse(swapped) is None


@given(st.text())
def test_no_other_text_parses(text: str) -> None:
    assert KeySecret.parse(text) is None


def test_the_checksum_is_the_crc_32_of_what_stands_before_it() -> None:
    body = "psk_live_" + "a" * 24
    number, digits = zlib.crc32(body.encode()), ""
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    for _ in range(6):
        digits = alphabet[number % 62] + digits
        number //= 62
    assert KeySecret.parse(body + digits) is not None


@pytest.mark.parametrize("wrap", [" {}", "{} ", "{}\n", "{}{}", "'{}'"])
def test_a_secret_with_anything_around_it_does_not_parse(wrap: str) -> None:
    text = KeySecret.new().reveal()
    assert KeySecret.parse(wrap.format(text, text)) is None


@pytest.mark.parametrize("random", [0, 23, 25, 48])
def test_a_secret_of_another_length_does_not_parse_though_its_checksum_fits(random: int) -> None:
    body = "psk_live_" + "a" * random
    assert KeySecret.parse(body + _checksum(body)) is None


@given(new_secrets)
def test_a_prefix_leaves_a_hundred_bits_secret(secret: KeySecret) -> None:
    assert secret.reveal().startswith(secret.prefix)
    unknown = 24 - len(secret.prefix.removeprefix("psk_live_"))
    assert 62**unknown >= 2**100


def test_secrets_differ_in_every_public_part() -> None:
    assert len({KeySecret.new().prefix for _ in range(1000)}) == 1000


@given(new_secrets)
def test_a_secret_shows_no_more_than_its_prefix(secret: KeySecret) -> None:
    for text in (repr(secret), str(secret), f"{secret}"):
        assert secret.reveal()[len(secret.prefix) :] not in text


def test_a_secret_matches_its_own_digest_alone() -> None:
    secret, other = KeySecret.new(), KeySecret.new()
    digest = HASHER.digest(secret)
    assert HASHER.matches(secret, digest)
    assert not HASHER.matches(other, digest)
    assert not KeyHasher(Secret("b" * 32)).matches(secret, digest)


def test_a_digest_does_not_hold_the_secret() -> None:
    secret = KeySecret.new()
    digest = HASHER.digest(secret)
    assert len(digest) == 32
    assert secret.reveal().encode() not in digest


def make_key(**fields: Any) -> Key:
    known = {"id": ids.new_key_id(), "tenant": "acme", "name": "laptop", "prefix": "psk_live_abcdefg"}
    return Key(**known | {"digest": b"\x01" * 32, "scopes": frozenset(), "created_at": NOW} | fields)


def test_a_key_works_until_the_moment_it_expires() -> None:
    key = make_key(expires_at=NOW)
    assert key.state(NOW - timedelta(milliseconds=1)) is KeyState.ACTIVE
    assert key.state(NOW) is KeyState.EXPIRED


def test_a_key_without_an_end_works() -> None:
    assert make_key().state(NOW + timedelta(days=36500)) is KeyState.ACTIVE


def test_a_revoked_key_is_revoked_whether_expired_or_not() -> None:
    assert make_key(revoked_at=NOW, expires_at=NOW).state(NOW) is KeyState.REVOKED


def test_a_key_does_not_show_its_digest() -> None:
    assert "x01" not in repr(make_key())


def order(**fields: Any) -> KeyOrder:
    return KeyOrder(**{"tenant": "acme", "name": "laptop", "scopes": ("jobs:read",)} | fields)


def test_a_good_order_has_no_violations() -> None:
    assert list(order(expires_at=NOW + timedelta(seconds=1), scopes=tuple(Scope)).violations(NOW)) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "line\nbreak"}, "name"),
        ({"name": "\x1b[31mred"}, "name"),
        ({"scopes": ()}, "scopes"),
        ({"scopes": ("jobs:read",) * (len(Scope) + 1)}, "scopes"),
        ({"scopes": ("jobs:read", "jobs:everything")}, "scopes[1]"),
        ({"expires_at": NOW}, "expiresAt"),
        ({"tenant": "Not A Slug"}, "tenant"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(fields: dict[str, Any], path: str) -> None:
    violations = list(order(**fields).violations(NOW))
    assert [violation.field for violation in violations] == [path]


def test_all_wrong_fields_are_named_at_once() -> None:
    wrong = order(name="", scopes=("a", "b"), expires_at=NOW, tenant="-")
    fields = [violation.field for violation in wrong.violations(NOW)]
    assert fields == ["name", "scopes[0]", "scopes[1]", "expiresAt", "tenant"]


@pytest.mark.usefixtures("uncounted")
@given(st.text(min_size=1000), st.integers(1, 3))
def test_what_is_said_of_long_values_is_short(text: str, times: int) -> None:
    violations = order(name=text, scopes=(text,) * times, tenant=text).violations(NOW)
    assert all(len(violation.description) < 800 for violation in violations)


def maker(*scopes: str, tenant: str = "acme") -> Principal:
    return Principal(kind=PrincipalKind.KEY, id="key_1", tenant=tenant, scopes=frozenset(scopes))


@given(st.sets(st.sampled_from(Scope), min_size=1), st.sets(st.sampled_from(Scope)))
def test_a_key_grants_only_scopes_that_its_maker_has(wanted: set[Scope], had: set[Scope]) -> None:
    wish = order(scopes=tuple(wanted))
    if wanted <= had:
        wish.check_grantable_by(maker(*had))
    else:
        with pytest.raises(PermissionDenied) as refused:
            wish.check_grantable_by(maker(*had))
        assert refused.value.metadata["scope"] in wanted - had


def test_a_key_for_another_tenant_needs_an_operator() -> None:
    with pytest.raises(PermissionDenied) as refused:
        order(tenant="other").check_grantable_by(maker(*ADMIN_SCOPES))
    assert refused.value.metadata == {"scope": "operator"}
    order(tenant="other").check_grantable_by(maker(*Scope))


def test_an_operator_grants_another_tenant_no_more_than_it_has_itself() -> None:
    with pytest.raises(PermissionDenied):
        order(tenant="other", scopes=("jobs:write",)).check_grantable_by(maker("operator", "jobs:read"))


@given(st.datetimes())
def test_times_are_cut_to_the_millisecond_and_never_later(time: datetime) -> None:
    cut = to_milliseconds(time)
    assert cut <= time < cut + timedelta(milliseconds=1)
    assert cut.microsecond % 1000 == 0
