"""The profile of RFC 9421: what is signed, and what is refused before anybody is asked which key it was."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock.gateway.v1 import external_auth_pb2

from services.auth import signatures
from services.auth.domain import KeySecret
from services.auth.signatures import NONCE_KEPT, SKEW, SignedRequest, UnsoundSignature, signature_base
from tests.signing import signed, signing_key
from tests.unit.auth.conftest import START

SECRET = KeySecret.new().reveal()
CREATED = int(START.timestamp())
NONCE = "0123456789abcdef"
TARGET = "/api/v1/jobs?a=1&b=%20"
BODY = b'{"upstream": "http"}'
INPUT = f'("@method" "@path" "@query");created={CREATED};nonce="{NONCE}";keyid="{SECRET[:16]}"'


def http(
    headers: dict[str, str],
    *,
    method: str = "POST",
    target: str = TARGET,
    host: str = "api.example",
    scheme: str = "https",
) -> Any:
    request = external_auth_pb2.AttributeContext.HttpRequest(method=method, path=target, host=host, scheme=scheme)
    request.headers.update(headers)
    return request


def read(request: Any, *, later: timedelta = timedelta()) -> SignedRequest:
    return signatures.read(request, START + later)


def sign(**changes: Any) -> dict[str, str]:
    values = {"method": "POST", "target": TARGET, "body": BODY, "created": CREATED, "nonce": NONCE, **changes}
    return signed(SECRET, **values)


def is_good(request: Any) -> bool:
    return read(request).is_signed_with(signing_key(SECRET))


def refusal(headers: dict[str, str], *, later: timedelta = timedelta(), **changes: Any) -> str:
    with pytest.raises(UnsoundSignature) as refused:
        read(http(headers, **changes), later=later)
    return str(refused.value)


def test_the_base_and_the_signature_are_those_of_the_rfcs_own_example() -> None:
    """RFC 9421, B.2.5; the secret is that of B.1.5."""
    request = http(
        {"date": "Tue, 20 Apr 2021 02:07:55 GMT", "content-type": "application/json"},
        target="/foo?param=Value&Pet=dog",
        host="example.com",
    )
    parameters = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    base = signature_base(request, ["date", "@authority", "content-type"], parameters)
    assert base.decode() == (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n'
        '"@authority": example.com\n'
        '"content-type": application/json\n'
        '"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    )
    shared = base64.b64decode(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    )
    theirs = base64.b64decode("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=")
    request = SignedRequest(prefix="", base=base, signature=theirs, nonce="", digest=b"")
    assert request.is_signed_with(shared)
    assert not request.is_signed_with(shared[:-1])


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a/b", "/a/b", "?"),
        ("/a?", "/a", "?"),
        ("/a??", "/a", "??"),
        ("/a?x=1&x=2&x", "/a", "?x=1&x=2&x"),
        ("/a%2Fb%2f/..//./c?q=%20+&r=a?b", "/a%2Fb%2f/..//./c", "?q=%20+&r=a?b"),
        ("/jobs/x:cancel", "/jobs/x:cancel", "?"),
        ("//", "//", "?"),
    ],
)
def test_path_and_query_are_signed_as_they_came(target: str, path: str, query: str) -> None:
    base = read(http(sign(target=target), target=target)).base.decode().split("\n")
    assert base[:3] == ['"@method": POST', f'"@path": {path}', f'"@query": {query}']


def test_what_a_client_signs_is_good() -> None:
    request = read(http(sign()))
    assert request.is_signed_with(signing_key(SECRET))
    assert (request.prefix, request.nonce) == (SECRET[:16], NONCE)
    assert request.digest == hashlib.sha256(BODY).digest()


def test_without_a_signed_digest_there_must_be_no_body() -> None:
    assert read(http(sign(body=None))).digest == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("label", ["penstock", "sig1", "*", "a.b-c_d*"])
def test_any_label_will_do(label: str) -> None:
    assert is_good(http(sign(label=label)))


def test_further_headers_and_the_authority_may_be_covered() -> None:
    also = {"idempotency-key": '"k 1"', "content-type": "application/json", "@authority": "api.example"}
    headers = {"idempotency-key": '  "k 1"\t', "content-type": "application/json"}
    assert is_good(http(sign(also=also) | headers))
    assert not is_good(http(sign(also=also) | headers | {"idempotency-key": '"k 2"'}))
    assert not is_good(http(sign(also=also) | headers, host="other.example"))


@pytest.mark.parametrize(
    ("host", "scheme", "authority"),
    [
        ("API.Example", "https", "api.example"),
        ("api.example:443", "https", "api.example"),
        ("api.example:80", "http", "api.example"),
        ("api.example:80", "https", "api.example:80"),
        ("api.example:8080", "http", "api.example:8080"),
        ("[::1]:8080", "http", "[::1]:8080"),
    ],
)
def test_the_authority_is_in_lower_case_and_without_its_default_port(host: str, scheme: str, authority: str) -> None:
    assert is_good(http(sign(also={"@authority": authority}), host=host, scheme=scheme))


def test_the_order_of_what_is_covered_is_the_clients() -> None:
    parameters = f'("@query" "@method" "@path");created={CREATED};keyid="{SECRET[:16]}";nonce="{NONCE}"'
    base = read(http({"signature-input": f"s={parameters}", "signature": "s=:aaaa:"}, target="/p?q")).base
    assert base.decode() == f'"@query": ?q\n"@method": POST\n"@path": /p\n"@signature-params": {parameters}'


@pytest.mark.parametrize(
    ("seconds", "good"), [(-300, True), (300, True), (0, True), (-300.001, False), (300.001, False), (10**9, False)]
)
def test_a_signature_is_good_for_five_minutes_before_and_after_its_time(seconds: float, good: bool) -> None:  # noqa: FBT001  a case
    headers, later = sign(), timedelta(seconds=seconds)
    if good:
        assert read(http(headers), later=later).is_signed_with(signing_key(SECRET))
    else:
        message = refusal(headers, later=later)
        assert str(CREATED) in message
        assert str(int(CREATED + seconds)) in message
        assert "set the clock right" in message


@pytest.mark.parametrize(("expires", "good"), [(CREATED + 1, True), (CREATED, False), (0, False), (10**12, True)])
def test_an_end_of_its_own_is_kept_to(expires: int, good: bool) -> None:  # noqa: FBT001  a case
    headers = sign(parameters=f";expires={expires}")
    if good:
        assert is_good(http(headers))
    else:
        assert "expired" in refusal(headers)


def test_a_nonce_is_remembered_for_longer_than_any_signature_is_good() -> None:
    assert NONCE_KEPT > 2 * SKEW


def replaced(headers: dict[str, str], old: str, new: str) -> dict[str, str]:
    assert old in headers["signature-input"]
    return headers | {"signature-input": headers["signature-input"].replace(old, new)}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"@method" ', "", "does not cover @method"),
        (' "@path" "@query"', "", "does not cover @path, @query"),
        (' "content-digest"', "", "does not cover the Content-Digest"),
        ('"@method"', '"@method" "@method"', "twice"),
        ('"@method"', '"@method";req', "has parameters"),
        ('"content-digest"', '"content-digest";sf', "has parameters"),
        ('"@method"', "method", "in double quotes"),
        ('"@method"', '1 "@method"', "in double quotes"),
        ('"@method"', '"@method" "@target-uri"', "cannot be covered"),
        ('"@method"', '"@method" "@query-param"', "cannot be covered"),
        ('"@method"', '"@method" "@status"', "cannot be covered"),
        ('"@method"', '"@method" ":path"', "cannot be covered"),
        ('"@method"', '"@method" "Content-Type"', "cannot be covered"),
        ('"@method"', '"@method" "signature"', "cannot be covered"),
        ('"@method"', '"@method" "x y"', "cannot be covered"),
        ('"@method"', '"@method" ""', "cannot be covered"),
        ('"@method"', '"@method" "x-absent"', "was not sent"),
        (f"created={CREATED}", "created", "whole number"),
        (f"created={CREATED}", f'created="{CREATED}"', "whole number"),
        (f"created={CREATED}", f"created={CREATED}.0", "whole number"),
        (f";created={CREATED}", "", "created is missing"),
        (f"created={CREATED}", "created=-1", "set the clock right"),
        (f'nonce="{NONCE}"', f'nonce="{NONCE[:15]}"', "nonce must be"),
        (f'nonce="{NONCE}"', f'nonce="{"x" * 129}"', "nonce must be"),
        (f'nonce="{NONCE}"', f'nonce="{NONCE} "', "nonce must be"),
        (f'nonce="{NONCE}"', "nonce=12345678901234", "nonce must be"),
        (f';nonce="{NONCE}"', "", "nonce must be"),
        (f'keyid="{SECRET[:16]}"', f'keyid="{SECRET}"', "first 16 characters"),
        (f'keyid="{SECRET[:16]}"', f'keyid="{SECRET[:15]}"', "first 16 characters"),
        (f'keyid="{SECRET[:16]}"', 'keyid="psk_test_0123456"', "first 16 characters"),
        (f';keyid="{SECRET[:16]}"', "", "first 16 characters"),
        ('alg="hmac-sha256"', 'alg="hmac-sha512"', "hmac-sha256 alone"),
        ('alg="hmac-sha256"', 'alg="ed25519"', "hmac-sha256 alone"),
        ('alg="hmac-sha256"', "alg", "hmac-sha256 alone"),
        ('alg="hmac-sha256"', 'alg="hmac-sha256";expires="1"', "expires must be a whole number"),
        ("penstock=(", "penstock=", "Signature-Input must read"),
        ('"@method"', '"@method', "Signature-Input must read"),
        ("penstock=", "other=", "under the label"),
        ("penstock=", f"first={INPUT}, penstock=", "2 signatures"),
        ("penstock=", "penstock=" + "x" * 1024, "at most 1024 are read"),
    ],
)
def test_what_is_outside_the_profile_is_refused_with_what_to_do(old: str, new: str, words: str) -> None:
    message = refusal(replaced(sign(), old, new))
    assert words in message
    assert SECRET[16:] not in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signature-input": ""}, "0 signatures"),
        ({"signature": ""}, "under the label"),
        ({"signature": "penstock=aaaa"}, "between colons"),
        ({"signature": "penstock"}, "between colons"),
        ({"signature": "penstock=:a:"}, "Signature must read"),
        ({"signature": "penstock=:aaaa:, other=:aaaa:"}, "under the label"),
        ({"signature": "other=:aaaa:"}, "under the label"),
        ({"signature": "x" * 1025}, "at most 1024 are read"),
        ({"content-digest": "sha-256=aaaa"}, "must have the body's SHA-256"),
        ({"content-digest": "sha-256=:aaaa:"}, "must have the body's SHA-256"),
        ({"content-digest": "sha-512=:aaaa:"}, "must have the body's SHA-256"),
        ({"content-digest": "sha-256=:a:"}, "Content-Digest must read"),
        ({"content-digest": "é"}, "beyond ASCII"),
    ],
)
def test_a_header_that_is_malformed_is_refused_with_what_to_do(changes: dict[str, str], words: str) -> None:
    assert words in refusal(sign() | changes)


@pytest.mark.parametrize("missing", ["signature", "signature-input", "content-digest"])
def test_each_of_the_headers_is_missed(missing: str) -> None:
    headers = sign()
    del headers[missing]
    message = refusal(headers)
    assert missing in message
    assert "missing" in message or "was not sent" in message


@pytest.mark.parametrize("target", ["/caf\u00e9", "/a?\u00e9", "/\ufffd"])
def test_a_path_beyond_ascii_cannot_be_signed(target: str) -> None:
    assert "beyond ASCII" in refusal(sign(target=target), target=target)


def test_a_further_digest_beside_sha_256_is_no_matter() -> None:
    digest = f"sha-512=:aaaa:, {sign()['content-digest']}"
    headers = sign(also={"content-digest": digest}, body=None) | {"content-digest": digest}
    assert read(http(headers)).digest == hashlib.sha256(BODY).digest()
    assert is_good(http(headers))


_VISIBLE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=16, max_size=128
)
_TARGETS = st.from_regex(r"/[a-zA-Z0-9%/._~:;-]{0,20}(\?[a-zA-Z0-9%=&+?-]{0,20})?", fullmatch=True)
_METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "get"])
_REQUESTS = st.fixed_dictionaries(
    {
        "method": _METHODS,
        "target": _TARGETS,
        "body": st.none() | st.binary(max_size=40),
        "created": st.integers(CREATED - 300, CREATED + 300),
        "nonce": _VISIBLE,
    }
)


@given(
    _REQUESTS,
    _REQUESTS,
    st.sets(st.sampled_from(["method", "target", "body", "created", "nonce", "keyid"]), min_size=1),
)
def test_no_part_of_what_was_signed_can_be_another(
    request: dict[str, Any], other: dict[str, Any], parts: set[str]
) -> None:
    """What came signed for one request is put on another one that differs from it in some parts."""
    sent = request | {part: other[part] for part in parts - {"keyid"}}
    stranger = KeySecret.new().reveal()
    ours, theirs = signed(SECRET, **request), signed(stranger if "keyid" in parts else SECRET, **sent)
    mixed = theirs | {"signature": ours["signature"]}
    came = read(http(mixed, method=sent["method"], target=sent["target"]))
    same = request == sent or (
        request | {"target": request["target"].removesuffix("?")} == sent | {"target": sent["target"].removesuffix("?")}
    )
    assert came.is_signed_with(signing_key(SECRET)) == (same and "keyid" not in parts)
    assert not came.is_signed_with(signing_key(stranger))


@given(_REQUESTS, st.text(max_size=30), st.sampled_from(["signature-input", "signature", "content-digest"]), st.data())
def test_whatever_comes_in_the_headers_is_read_or_refused(
    request: dict[str, Any], noise: str, header: str, data: st.DataObject
) -> None:
    headers = signed(SECRET, **request)
    text = headers.get(header, "")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    headers[header] = text[:start] + noise + text[end:]
    came = http(headers, method=request["method"], target=request["target"])
    try:
        read(came)
    except UnsoundSignature:
        return
    assert header in came.headers


def test_a_signature_is_not_shown() -> None:
    request = read(http(sign()))
    assert str(request.signature) not in repr(request)
    assert "base" not in repr(request)
