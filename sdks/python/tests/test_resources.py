"""Every generated method of both clients calls an operation that it can be told to."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from penstock_sdk import AsyncPenstock, Penstock, operations
from penstock_sdk.operation import Operation
from penstock_sdk.pacing import AsyncPacing, Pacing
from penstock_sdk.requests import target

from sdks.python.tests.conftest import API_KEY
from sdks.python.tests.sides import done

#: Made by hand, and tried by hand.
SHAPED = {"watch", "result", "download", "export", "run", "wait", "upload"}


class Recorder:
    """Takes every call for one that was answered with nothing."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def send(self, operation: Operation, fields: dict[str, Any], **_: Any) -> dict[str, Any]:
        target(operation, fields)
        self.operations.append(operation)
        return {}


class AsyncRecorder(Recorder):
    async def send(self, operation: Operation, fields: dict[str, Any], **_: Any) -> dict[str, Any]:
        return super().send(operation, fields)


def value_for(parameter: inspect.Parameter) -> Any:
    annotation = str(parameter.annotation)
    if annotation.startswith("int"):
        return 1
    if "Mapping" in annotation:
        return {}
    return [] if annotation.startswith("Sequence") else "x"


@pytest.mark.parametrize("client", [Penstock, AsyncPenstock])
async def test_every_method_makes_a_call_that_its_operation_takes(client: Any) -> None:
    penstock = client("http://penstock.example", API_KEY)
    recorder = Recorder() if client is Penstock else AsyncRecorder()
    penstock.calls.transport = recorder
    shaped = (penstock.jobs, penstock.batches, penstock.uploads, penstock.operations)
    for noun in vars(penstock).values():
        for name, method in inspect.getmembers(noun, inspect.ismethod):
            if noun is penstock.calls or name.startswith("_") or (noun in shaped and name in SHAPED):
                continue
            arguments = {
                parameter.name: value_for(parameter)
                for parameter in inspect.signature(method).parameters.values()
                if parameter.default is parameter.empty
            }
            await done(method(**arguments))
    every = {each.name for each in vars(operations).values() if isinstance(each, Operation)}
    elsewhere = {"JobService.WaitJob", "JobService.StreamJob", "JobService.GetJobResult", "HistoryService.ExportJobs"}
    assert {each.name for each in recorder.operations} == every - elsewhere


async def test_pauses_of_the_machine_pass() -> None:
    Pacing().sleep(0)
    await AsyncPacing().sleep(0)
    for pacing in (Pacing(), AsyncPacing()):
        assert 0 <= pacing.jitter() <= 1
        assert pacing.now() <= pacing.now()
