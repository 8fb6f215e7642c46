"""What each connector says of its upstream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from penstock.upstream.v1 import upstream_pb2

from services.upstream import limits
from services.upstream.catalogue import Catalogue
from services.upstream.domain import ConnectionUse, Kind
from services.upstream.servicer import UpstreamServicer
from shared import ids
from shared.addresses import AddressGuard
from shared.formats import UPLOAD_ID
from tests.contract.connectors.conftest import NAMES
from tests.contract.connectors.specimens import SPECIMENS

if TYPE_CHECKING:
    from tests.contract.connectors.conftest import Bench

#: What stands where an upstream's name may in the API's paths, or will.
PATH_WORDS = {
    "audit", "batches", "cache", "callback", "connections", "data-keys", "deliveries", "endpoints", "jobs", "keys",
    "providers", "queues", "stats", "tenants", "uploads", "upstreams",
}  # fmt: skip
MAX_TIMEOUT = timedelta(minutes=15)
CONTEXT: Any = None  # the servicer reads nothing of it


def test_every_connector_is_told_of_here_and_stands_once() -> None:
    assert sorted(NAMES) == sorted(SPECIMENS)


async def test_the_upstream_has_a_slug_that_is_no_word_of_the_apis(bench: Bench) -> None:
    upstream = bench.connector.upstream
    assert ids.is_slug(upstream.name)
    assert upstream.name not in PATH_WORDS
    assert upstream.title
    assert all(ids.is_slug(target) for target in bench.connector.targets)
    limits.check(upstream)


async def test_methods_are_named_after_the_upstream_and_stand_once(bench: Bench) -> None:
    names = [method.name for method in bench.connector.upstream.methods]
    assert names
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"{bench.connector.upstream.name}.") for name in names)
    assert all(method.title for method in bench.methods)
    others = bench.connector.upstream.other_methods
    assert others is None or others.prefix == f"{bench.connector.upstream.name}."


async def test_methods_have_times_reads_can_be_repeated_and_only_reads_are_kept(bench: Bench) -> None:
    for method in bench.methods:
        assert timedelta() < method.timeout <= MAX_TIMEOUT, method.name
        assert method.idempotent or method.kind is not Kind.READ, method.name
        assert method.cache_ttl is None or method.kind is Kind.READ, method.name
        assert method.cache_ttl is None or method.cache_ttl > timedelta(), method.name


async def test_schemas_are_schemas_and_refuse_what_they_do_not_know(bench: Bench) -> None:
    for method in bench.methods:
        schema = dict(method.params_schema)
        assert jsonschema_rs.meta.is_valid(schema), method.name
        assert schema["type"] == "object", method.name
        open_ended = schema.get("additionalProperties", True)
        assert open_ended is False or "propertyNames" in schema, method.name
        for name in method.upload_params:
            assert schema["properties"][name]["format"] == UPLOAD_ID, method.name


async def test_examples_keep_to_their_schemas_and_only_to_those(bench: Bench) -> None:
    catalogue = Catalogue([bench.connector], AddressGuard(allow_loopback=True))
    for method in bench.methods:
        params = bench.specimen.params(bench.connector, method, bench.far.url)
        assert catalogue.fault(bench.connector.upstream.name, method.name, params) is None, method.name
        assert catalogue.fault(bench.connector.upstream.name, method.name, {**params, "no such": 1}), method.name
        assert catalogue.fault(bench.connector.upstream.name, method.name, ["no object"]), method.name
        for required in method.params_schema.get("required", []):
            rest = {name: value for name, value in params.items() if name != required}
            assert catalogue.fault(bench.connector.upstream.name, method.name, rest), method.name


async def test_the_catalogue_serves_it(bench: Bench) -> None:
    servicer = UpstreamServicer(Catalogue([bench.connector], AddressGuard()))
    upstream = bench.connector.upstream
    served = await servicer.GetUpstream(upstream_pb2.GetUpstreamRequest(upstream=upstream.name), CONTEXT)
    assert [method.name for method in served.methods] == [method.name for method in upstream.methods]
    assert served.connection_use != upstream_pb2.Upstream.CONNECTION_USE_UNSPECIFIED
    assert served.HasField("other_methods") is (upstream.other_methods is not None)


async def test_a_connection_is_asked_for_where_there_is_a_credential(bench: Bench) -> None:
    takes = bench.connector.upstream.connection_use is not ConnectionUse.NONE
    assert takes is (bench.specimen.credential is not None)


async def test_labels_of_metrics_are_few(bench: Bench) -> None:
    upstream = bench.connector.upstream
    assert {upstream.label(method.name) for method in upstream.methods} == {method.name for method in upstream.methods}
    expected = "unknown" if upstream.other_methods is None else "other"
    assert {upstream.label(f"{upstream.name}.made.up{number}") for number in range(100)} == {expected}
    for name in ("", "made.up", f"{upstream.name}.", f"{upstream.name}. x", f"{upstream.name}.{'x' * 200}"):
        assert upstream.label(name) == "unknown"
