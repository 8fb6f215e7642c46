from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.auth.audit_filter import AuditFilter

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"principal": "key_0198c6f2-6d3c-7abc-8def-0123456789ab", "target": "http/api.example.com:8443"},
        {"action": "KeyService.CreateKey"},
        {"action": "auth.bootstrap"},
        {"outcome": "OK"},
        {"outcome": "PERMISSION_DENIED"},
        {"client_address": "192.0.2.7"},
        {"client_address": "2001:db8::1"},
        {"request_id": "order-7"},
        {"start": NOW, "end": NOW + timedelta(milliseconds=1)},
        {"start": NOW},
        {"end": NOW},
    ],
)
def test_a_filter_that_can_match_is_taken(wanted: dict[str, Any]) -> None:
    assert list(AuditFilter(**wanted).violations()) == []


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"principal": "x" * 331}, ["principal"]),
        ({"target": "x" * 331}, ["target"]),
        ({"action": "CreateKey"}, ["action"]),
        ({"action": "/penstock.auth.v1.KeyService/CreateKey"}, ["action"]),
        ({"outcome": "ok", "client_address": "somewhere"}, ["outcome", "clientAddress"]),
        ({"client_address": "192.0.2.0/24"}, ["clientAddress"]),
        ({"request_id": "two words"}, ["requestId"]),
        ({"start": NOW, "end": NOW}, ["endTime"]),
    ],
)
def test_a_filter_that_cannot_match_is_refused_by_the_field(wanted: dict[str, Any], fields: list[str]) -> None:
    assert [violation.field for violation in AuditFilter(**wanted).violations()] == fields


def test_an_address_is_looked_for_in_the_form_that_entries_have() -> None:
    assert AuditFilter(client_address="::ffff:192.0.2.7").address == "192.0.2.7"
    assert AuditFilter(client_address="2001:DB8:0::1").address == "2001:db8::1"
