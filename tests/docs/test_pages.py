"""Every example of the README and of docs is run as it stands there, and prints what is shown of it."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import warnings
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory

from tests.docs.pages import ROOT, RUN, SHOWN, Block, blocks, pages
from tests.docs.printed import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.docs.stack import DocsStack

#: How many blocks of a page are not run, each for the reason that stands over it; no page has more.
NOT_RUN = {
    "README.md": 1,
    "docs/backups.md": 2,
    "docs/benchmarks.md": 2,
    "docs/guides/connect-flickr.md": 1,
    "docs/guides/verify-a-webhook.md": 2,
    "docs/operations.md": 2,
    "docs/quickstart.md": 1,
    "sdks/python/README.md": 1,
    "sdks/typescript/README.md": 1,
}


@cache
def read(page: str) -> Sequence[Block]:
    return tuple(blocks(page, (ROOT / page).read_text(encoding="utf-8")))


def every_block() -> list[Block]:
    return [block for page in pages() for block in read(page)]


@pytest.mark.parametrize("page", [page for page in pages() if any(block.is_run for block in read(page))])
def test_the_examples_of_a_page_do_what_it_says(page: str, stack: DocsStack) -> None:
    found = read(page)
    with stack.session(page) as session:
        for block, after in zip(found, [*found[1:], None], strict=True):
            if block.needs_go and shutil.which("go") is None:
                warnings.warn(f"{block.place} is passed by: there is no Go on the PATH", stacklevel=1)
            elif block.is_run or block.file:
                shown = after if after and after.follows and after.language in SHOWN and not after.file else None
                session.run(block, shown)


def test_only_what_cannot_be_run_is_left_out() -> None:
    assert Counter(block.page for block in every_block() if block.why_not) == NOT_RUN


def test_what_other_tests_run_is_run_there() -> None:
    told = [(block.place, block.test) for block in every_block() if block.test]
    assert [place for place, test in told if not (ROOT / test).is_file()] == []


def test_what_is_saved_is_run_by_a_block_after_it() -> None:
    saved = [block for block in every_block() if block.file and block.language in RUN and not block.test]
    runs = [block for block in every_block() if block.is_run]
    assert [
        block.place
        for block in saved
        if not any(run.page == block.page and run.line > block.line and block.file in run.text for run in runs)
    ] == []


def test_json_that_is_shown_is_json_and_what_it_says_it_is() -> None:
    for block in every_block():
        if block.language == "json":
            try:
                values = read_json(block.text)
                for value in values:
                    if block.message:
                        json_format.ParseDict(told(value), message_factory.GetMessageClass(message(block.message))())
            except (ValueError, KeyError, json_format.ParseError) as error:
                raise AssertionError(f"{block.place}: {error}") from error


def message(name: str) -> Any:
    package = importlib.import_module(name.rpartition(".")[0])
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)  # it makes its messages known
    return descriptor_pool.Default().FindMessageTypeByName(name)


def told(value: Any) -> Any:
    """A value without what is elided in it."""
    match value:
        case dict():
            return {name: told(each) for name, each in value.items() if "…" not in str(name) and not is_elided(each)}
        case list():
            return [told(each) for each in value if not is_elided(each)]
        case _:
            return value


def is_elided(value: Any) -> bool:
    return isinstance(value, str) and "…" in value
