"""A page that is wrong is found, and told of by where it is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import blocks
from tests.docs.printed import is_text_alike, json_differences, read_json
from tests.docs.session import BlockFailedError, Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "http-0198c6f2-6d3c-7abc-8def-0123456789ab"
PAGE = """\
# A page

```sh
name=ada
echo "{\\"name\\": \\"$name\\", \\"at\\": \\"$(date -u +%FT%TZ)\\"}"
```

```json
{"name": "ada", "at": "2026-01-01T00:00:00Z"}
```

Save this as `code.py`:

```python
print(1 + 1)
```

```sh
echo "$name"
python3 code.py
grep nothing code.py
echo not reached
```
"""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(tmp_path, {"PATH": os.environ["PATH"], "DOCS_TYPED": str(tmp_path / "typed")}, tmp_path) as running:
        yield running


def test_blocks_go_on_where_the_one_before_has_ended_and_the_line_that_fails_is_named(session: Session) -> None:
    first, shown, saved, last = blocks("docs/a.md", PAGE)
    assert session.run(first, shown).startswith('{"name": "ada"')
    assert (saved.file, session.run(saved)) == ("code.py", "")
    with pytest.raises(BlockFailedError, match=r"^docs/a\.md:21: this fails: grep nothing code\.py\n") as failed:
        session.run(last)
    assert "--- stdout\nada\n2" in str(failed.value)


def test_what_is_printed_otherwise_than_it_is_shown_is_told(session: Session) -> None:
    first, shown, *_ = blocks("docs/a.md", PAGE.replace('"name": "ada"', '"name": "eve"'))
    with pytest.raises(BlockFailedError, match=r"docs/a\.md:8: .*\.name is 'ada', shown as 'eve'"):
        session.run(first, shown)


def test_a_block_that_hangs_is_told_of_with_what_it_has_printed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.session._TIMEOUT_S", 0.5)
    (block,) = blocks("docs/a.md", "```sh\necho so far\ncat /dev/zero > /dev/null\n```\n")
    with pytest.raises(BlockFailedError, match=r"has not ended within(?s:.*)so far"):
        session.run(block)


@pytest.mark.parametrize(
    ("shown", "printed", "differs"),
    [
        (f'{{"id": "{ID}", …}}', f'{{"id": "{ID.replace("0", "1")}", "more": 1}}', False),
        ('{"secret": "psk_…", "size": …}', '{"secret": "psk_1", "size": 5}', False),
        ("[1, …]", "[1, 2, 3]", False),
        ('{"at": "by 2026-01-01T00:00:00Z"}', '{"at": "by 2027-01-01T00:00:00.5Z"}', False),
        ('{"a": 1}', '{"a": 1, "b": 2}', True),
        ('{"a": 1, "b": …}', '{"a": 1}', True),
        ('{"a": true}', '{"a": 1}', True),
        ('{"a": "1"}', '{"a": 1}', True),
        ("[1, 2]", "[1, 2, 3]", True),
        ('{"a": "psk_…"}', '{"a": "whsec_1"}', True),
    ],
)
def test_json_is_compared_in_all_that_is_not_elided(shown: str, printed: str, *, differs: bool) -> None:
    assert bool([*json_differences(read_json(shown), read_json(printed))]) is differs


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [
        ("164 made: 231.4 KiB after 1.7 s\n", "1,272 made: 12 bytes after 10 s", True),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("took …\n", "took job.failed\n", True),
        ("a\nd\n", "a\nb\nd\n", False),
        ("made: 1 s\n", "lost: 1 s\n", False),
    ],
)
def test_text_is_compared_in_all_that_is_not_elided(shown: str, printed: str, *, alike: bool) -> None:
    assert is_text_alike(shown, printed) is alike


@pytest.mark.parametrize("page", ["```bash\nls\n```\n", "```sh\nls\n", "```python title\n```\n"])
def test_a_block_that_nobody_would_run_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"docs/a\.md:1: "):
        list(blocks("docs/a.md", page))
