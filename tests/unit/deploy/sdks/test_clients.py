"""The clients that are there have every RPC of the document, in both languages, under one name."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING

import penstock_sdk
import pytest
from penstock_sdk import models, operations, reasons
from penstock_sdk._async import batches, jobs, long_running, resources, uploads
from penstock_sdk.operation import Operation

from deploy.sdks import naming
from deploy.sdks.outputs import TYPESCRIPT, surface
from deploy.sdks.reading import NAMES

if TYPE_CHECKING:
    from deploy.sdks.surface import Noun, Surface

#: The classes that are written by hand over a generated one.
EXTENDED = {
    "jobs": jobs.AsyncJobs,
    "batches": batches.AsyncBatches,
    "uploads": uploads.AsyncUploads,
    "operations": long_running.AsyncOperations,
}
_CLASS = re.compile(r"^export (?:abstract )?class (\w+)(?: extends (\w+))? \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_METHOD = re.compile(r"^  (?:async )?\*?(\w+)\(", re.MULTILINE)


@pytest.fixture(scope="module")
def clients() -> Surface:
    return surface()


@pytest.fixture(scope="module")
def typescript() -> dict[str, tuple[str, set[str]]]:
    """Each class of the TypeScript client: what it extends, and the methods that it has itself."""
    # Node's own entry extends the classes of all, under their names.
    code = "\n".join(path.read_text() for path in sorted(TYPESCRIPT.glob("*.ts")) if path.name != "node.ts")
    return {name: (base, set(_METHOD.findall(body)) - {"constructor"}) for name, base, body in _CLASS.findall(code)}


def method_names(noun: Noun) -> list[str]:
    return [*noun.by_hand, *(each.name for each in noun.methods)]


def test_python_has_a_method_for_each_rpc_in_both_halves(clients: Surface) -> None:
    for client in (penstock_sdk.Penstock, penstock_sdk.AsyncPenstock):
        with_key = client("https://penstock.example", "pk_test")
        missing = [
            f"{noun.name}.{method}"
            for noun in clients.nouns
            for method in method_names(noun)
            if not callable(getattr(getattr(with_key, noun.name, None), method, None))
        ]
        assert missing == []


def test_typescript_has_a_method_for_each_rpc(clients: Surface, typescript: dict[str, tuple[str, set[str]]]) -> None:
    for noun in clients.nouns:
        name = naming.pascal(noun.name) if noun.extended else noun.class_name
        base, own = typescript[name]
        assert base == (noun.class_name if noun.extended else "")
        known = own | (typescript[base][1] if base else set[str]())
        assert {naming.lower_camel(each) for each in method_names(noun)} <= known, noun.name


def test_nothing_written_by_hand_hides_what_is_generated(
    clients: Surface, typescript: dict[str, tuple[str, set[str]]]
) -> None:
    assert set(EXTENDED) == {noun.name for noun in clients.nouns if noun.extended}
    for noun in clients.nouns:
        if noun.extended:
            generated = {each.name for each in noun.methods}
            assert generated & set(vars(EXTENDED[noun.name])) == set()
            assert {naming.lower_camel(each) for each in generated} & typescript[naming.pascal(noun.name)][1] == set()
    attributes = {noun.name for noun in clients.nouns}
    assert attributes & set(vars(penstock_sdk.AsyncPenstock)) == set()


def test_both_tables_have_every_call(clients: Surface) -> None:
    expected = {call.constant for call in clients.calls}
    assert {name for name, value in vars(operations).items() if isinstance(value, Operation)} == expected
    code = (TYPESCRIPT / "operations.ts").read_text()
    assert set(re.findall(r"^export const (\w+): Operation", code, re.MULTILINE)) == expected


@pytest.mark.parametrize("method", [jobs.AsyncJobs.submit, jobs.AsyncJobs.run])
def test_what_submits_a_job_takes_all_that_the_api_takes(method: object) -> None:
    assert callable(method)
    fields = {field.name for field in dataclasses.fields(models.SubmitJobRequest)}
    assert fields - {"request_id"} <= set(inspect.signature(method).parameters)


def test_an_export_takes_what_a_list_takes() -> None:
    listing = set(inspect.signature(resources.AsyncJobCalls.list).parameters)
    export = set(inspect.signature(jobs.AsyncJobs.export).parameters)
    assert listing - {"page_size", "include_total_size", "timeout_s"} <= export


def test_an_error_has_a_name_of_its_own(clients: Surface) -> None:
    calls = {each.name for each in clients.reasons if each.of_calls}
    failures = {each.name for each in clients.reasons if each.of_jobs}
    assert set(reasons.API_ERRORS) == calls
    assert set(reasons.JOB_FAILURES) == failures
    classes = [*reasons.API_ERRORS.values(), *reasons.JOB_FAILURES.values()]
    assert len({each.__name__ for each in classes}) == len(classes)


def test_what_is_kept_out_of_what_is_printed_is_there(clients: Surface) -> None:
    secret = {f"{model.schema}.{field.name}" for model in clients.models for field in model.fields if field.secret}
    listed = set(re.findall(r"^  - (\S+)$", NAMES.read_text(), re.MULTILINE))
    assert secret == listed
    suspicious = re.compile(r"secret$|password|token$", re.IGNORECASE)
    told = {
        f"{model.schema}.{field.name}"
        for model in clients.models
        for field in model.fields
        if suspicious.search(field.name) and field.type.kind.value == "text"
    }
    assert told <= listed


def test_what_is_absent_is_told_from_zero_where_the_protos_tell_it(clients: Surface) -> None:
    optional = {f"{model.schema}.{field.name}" for model in clients.models for field in model.fields if field.optional}
    assert {"BudgetUse.remaining", "EndpointStats.successRatio", "Retention.archive"} <= optional
    assert models.BudgetUse().remaining is None
    assert models.BudgetUse().running == 0
