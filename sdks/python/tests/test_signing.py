"""Signatures against the examples of `docs/access.md`."""

from __future__ import annotations

from pathlib import Path

from penstock_sdk.signing import Signer

from sdks.python.tests.conftest import API_KEY

SAID = (Path(__file__).parents[3] / "docs" / "access.md").read_text()


def test_the_examples_of_the_documentation_are_signed_alike() -> None:
    signer = Signer(API_KEY, clock=lambda: 1767225600.9)
    body = b'{"upstream": "http", "method": "http.get", "params": {"url": "https://example.com/"}}'
    posted = signer.sign("POST", "/api/v1/jobs", body, nonce="AAECAwQFBgcICQoLDA0ODw")
    got = signer.sign("GET", "/api/v1/jobs?upstream=http&pageSize=5", nonce="EBESExQVFhcYGRobHB0eHw")
    for name, value in [*posted.items(), *got.items()]:
        assert f"\n{name}: {value}\n" in SAID


def test_the_idempotency_key_is_signed_too_and_no_nonce_comes_twice() -> None:
    signer = Signer(API_KEY)
    signed = [signer.sign("POST", "/x", b"{}", also={"idempotency-key": "k"}) for _ in range(2)]
    assert '"content-digest" "idempotency-key")' in signed[0]["Signature-Input"]
    assert signed[0]["Signature"] != signed[1]["Signature"]
    assert API_KEY not in str(signed)
