from __future__ import annotations

import pytest

from shared.media_types import UNTYPED, media_type


@pytest.mark.parametrize(
    "given", ["text/plain", "text/html; charset=utf-8", "application/vnd.api+json", 'image/svg+xml ;a="b c"', "A/B;"]
)
def test_a_media_type_stays_as_it_was_given(given: str) -> None:
    assert media_type(given) == given


@pytest.mark.parametrize(
    "given",
    ["", "text", "text/", "/plain", "text/plain, text/html", "text/plain\r\nx: y", "tëxt/plain", "text/plain; a=ü",
     " text/plain", "x/" + "y" * 300],
)  # fmt: skip
def test_what_no_header_may_hold_is_a_type_of_nothing_known(given: str) -> None:
    assert media_type(given) == UNTYPED


@pytest.mark.parametrize("given", ["application/grpc", "Application/gRPC+proto", "application/grpc-web"])
def test_content_cannot_pass_for_a_message_of_grpc(given: str) -> None:
    assert media_type(given) == UNTYPED
