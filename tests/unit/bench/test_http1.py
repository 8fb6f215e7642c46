"""Where an HTTP answer ends."""

from __future__ import annotations

import pytest

from tests.bench.http1 import is_whole

_HEAD = b"HTTP/1.1 200 OK\r\nserver: envoy\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        _HEAD + b"content-length: 2\r\n\r\n{}",
        _HEAD + b"Content-Length:0\r\n\r\n",
        _HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_an_answer_is_whole_at_its_last_byte_and_not_before(answer: bytes) -> None:
    assert is_whole(answer)
    assert not is_whole(answer[:-1])


def test_a_length_in_the_body_is_not_the_answers() -> None:
    assert not is_whole(_HEAD + b"content-length: 30\r\n\r\n\r\ncontent-length: 1")
