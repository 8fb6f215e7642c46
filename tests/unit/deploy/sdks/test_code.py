"""The code that is made, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.sdks import naming, page, prose, python_code, python_models, typescript_code
from deploy.sdks.formatting import formatted
from deploy.sdks.sync_code import sync_modules
from tests.unit.deploy.sdks.documents import reader

if TYPE_CHECKING:
    from pathlib import Path


def squeezed(code: str) -> str:
    """In one line, so that a test does not tell where a line is broken."""
    return " ".join(code.split())


def test_python_has_a_model_that_prints_no_secret() -> None:
    code = squeezed(python_models.models(reader().surface()))
    assert 'JobState: TypeAlias = Literal["QUEUED", "DONE"]' in code
    assert "class Job:" in code
    assert 'secret: str = field(default="", repr=False)' in code
    assert "revision: Int64 | None = None" in code
    assert "state: JobState | None = None" in code


def test_python_has_a_method_for_each_rpc(tmp_path: Path) -> None:
    code = squeezed(formatted(python_code.resources(reader().surface()), tmp_path / "resources.py"))
    assert (
        "async def submit( self, upstream: str, *, idempotency_key: str | None = None, timeout_s: float | None = None, "
        ") -> Job:"
    ) in code
    assert (
        "def list( self, *, page_size: int | None = None, timeout_s: float | None = None, ) -> AsyncPages[Job]:" in code
    )
    assert 'items="jobs"' in code
    assert "def wait" not in code


def test_typescript_has_a_method_for_each_rpc() -> None:
    code = squeezed(typescript_code.resources(reader().surface()))
    assert "submit(upstream: string, request: KeyedCallOptions = {}): Promise<Job> {" in code
    assert "return this.calls.call<Job>(operations.SUBMIT_JOB, { ...request, upstream });" in code
    assert "list(request: ListJobsRequest & CallOptions = {}): Pages<Job> {" in code
    assert "export interface ListJobsRequest { /** What of. */ readonly pageSize?: number | undefined; }" in code


def test_both_have_the_same_table_of_calls() -> None:
    surface = reader().surface()
    python, typescript = python_code.operations(surface), squeezed(typescript_code.operations(surface))
    assert 'path_names=("jobId",),' in python
    assert (
        'WAIT_JOB: Operation = { name: "JobService.WaitJob", verb: "GET", path: "/jobs/{jobId}:wait", '
        'pathNames: ["jobId"], queryNames: [], hasBody: false, repeat: "ALWAYS", };'
    ) in typescript


def test_both_have_an_error_for_each_reason() -> None:
    surface = reader().surface()
    python, typescript = python_code.reasons(surface), typescript_code.reasons(surface)
    for name, base in (("QueueFull", "ApiError"), ("JobConnectionNotFound", "JobFailed")):
        assert f"class {name}({base}):" in python
        assert f"export class {name} extends {base} {{}}" in typescript
    assert '"CONNECTION_NOT_FOUND": JobConnectionNotFound,' in python
    assert "CONNECTION_NOT_FOUND: JobConnectionNotFound," in typescript


def test_the_sync_half_has_the_names_without_async(tmp_path: Path) -> None:
    module = tmp_path / "_async" / "clocks.py"
    module.parent.mkdir()
    module.write_text(
        '"""An AsyncClock tells the time."""\n'
        "import asyncio\n"
        "from contextlib import aclosing\n"
        "from penstock_sdk._async.pages import AsyncPages\n"
        "class AsyncClock:\n"
        "    async def read(self, pages: AsyncPages[int]) -> int:\n"
        "        async with aclosing(pages) as them:\n"
        "            return sum([each async for each in them])\n"
    )
    ((path, code),) = sync_modules(tmp_path)
    assert path == tmp_path / "_sync" / "clocks.py"
    assert code.startswith('# Made of _async/clocks.py by `make sdks`; do not edit.\n"""A Clock tells the time."""')
    assert "from penstock_sdk._sync.pages import Pages\n" in code
    assert "    def read(self, pages: Pages[int]) -> int:\n        with closing(pages) as them:" in code
    assert "[each for each in them]" in code


@pytest.mark.parametrize(
    ("camel", "snake"), [("jobId", "job_id"), ("sha256", "sha256"), ("latencyP50", "latency_p50"), ("url", "url")]
)
def test_a_name_of_json_comes_back_from_python(camel: str, snake: str) -> None:
    assert naming.snake(camel) == snake
    assert naming.lower_camel(snake) == camel


@pytest.mark.parametrize("name", ["jobID", "from"])
def test_a_name_that_python_cannot_have_is_told(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        naming.snake(name)


def test_text_fits_its_lines_and_keeps_its_lists() -> None:
    text = "See [`X`](/docs/errors/X). " + "word " * 30 + "\n\n- `A`: one.\n- `B`: two."
    lines = prose.plain_paragraphs(text, "    # ").split("\n")
    assert lines[0].startswith("    # See `X`. word")
    assert max(len(line) for line in lines) <= prose.WIDTH
    assert lines[-3:] == ["    #", "    # - `A`: one.", "    # - `B`: two."]


def test_the_page_has_its_tables_between_its_marks() -> None:
    marks = "Before.\n<!-- made by `make sdks`: {} -->\nold\n<!-- made until here -->\n"
    text = marks.format("calls") + marks.format("errors")
    made = page.page(text, reader().surface())
    assert "| `jobs.submit(upstream)` | `jobs.submit(upstream)` | JobService.SubmitJob | KEYED |" in made
    assert "| [`QUEUE_FULL`](errors.md#queue_full) | `QueueFull` |  |" in made
    assert "old" not in made
    assert page.page(made, reader().surface()) == made
    with pytest.raises(ValueError, match="no marks between which to put its errors"):
        page.page(marks.format("calls"), reader().surface())
