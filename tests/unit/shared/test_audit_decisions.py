"""What is audited is decided of every RPC, and the decisions fit the contract."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import descriptors
from shared.audit import AUDITED, UNAUDITED
from shared.audit.entries import ACTORS, FORMS
from shared.identity import PrincipalKind
from shared.permissions import PERMISSIONS


def methods() -> dict[str, Any]:
    """Every RPC of the contract, by its full name as gRPC spells it."""
    return {
        f"/{service.full_name}/{method.name}": method
        for service in descriptors.services()
        for method in service.methods
    }


CONTRACT = methods()
#: What the names of RPCs that change something begin with; one that is not audited is decided here once more.
CHANGES = ("Create", "Set", "Delete", "Rotate", "Revoke", "Pause", "Resume", "Recover", "Suspend", "Update")
OF_JOBS = {"/penstock.jobs.v1.UploadService/CreateUpload", "/penstock.jobs.v1.UploadService/DeleteUpload"}


@pytest.mark.parametrize("rpc", sorted(PERMISSIONS.keys() | CONTRACT.keys()))
def test_every_rpc_is_decided_once(rpc: str) -> None:
    assert (rpc in AUDITED) != (rpc in UNAUDITED)


def test_every_kind_of_principal_can_be_told() -> None:
    assert ACTORS.keys() == set(PrincipalKind)


def test_every_decision_is_of_an_rpc() -> None:
    assert AUDITED.keys() <= CONTRACT.keys()
    assert UNAUDITED.keys() <= PERMISSIONS.keys() | CONTRACT.keys()


def test_what_is_not_audited_says_why() -> None:
    assert all(len(reason.split()) > 3 for reason in UNAUDITED.values())


def test_what_changes_something_by_its_name_is_audited() -> None:
    changing = {rpc for rpc in CONTRACT if rpc.rpartition("/")[2].startswith(CHANGES)}
    assert changing - AUDITED.keys() == OF_JOBS


@pytest.mark.parametrize("rpc", sorted(AUDITED))
def test_an_audited_rpc_has_what_names_its_target(rpc: str) -> None:
    decision, method = AUDITED[rpc], CONTRACT[rpc]
    assert not method.client_streaming
    assert not method.server_streaming
    for name in decision.id:
        assert method.input_type.fields_by_name[name].type == method.input_type.fields_by_name[name].TYPE_STRING
        assert name in FORMS
    message = method.output_type
    for name in decision.made.split(".") if decision.made else ():
        found = message.fields_by_name[name]
        message = found.message_type
