"""The upstream that is measured is one that the catalogue offers, and every budget of it counts."""

from __future__ import annotations

from datetime import timedelta

from services.upstream.catalogue import Catalogue
from services.upstream.connector import CallRequest
from services.upstream.domain import Success
from shared.addresses import AddressGuard
from tests.bench.noop import METHOD, UPSTREAM, NoopConnector
from tests.fakes.contents import ContentStore


def test_the_catalogue_takes_it_and_its_params() -> None:
    catalogue = Catalogue([NoopConnector()], AddressGuard(allow_loopback=True))
    assert [upstream.name for upstream in catalogue.upstreams()] == [UPSTREAM]
    assert catalogue.fault(UPSTREAM, METHOD, {"url": "https://lane-1.example/"}) is None


def test_every_budget_is_set() -> None:
    limits = NoopConnector.upstream.limits
    budgets = [limits.upstream, limits.lane, *limits.classes.values(), *limits.lane_classes.values()]
    assert len(budgets) == 4
    assert all(budget.rates and budget.concurrency for budget in budgets)


async def test_its_call_succeeds() -> None:
    method = NoopConnector.upstream.method(METHOD)
    assert method is not None
    request = CallRequest(
        job_id="noop-1",
        tenant="acme",
        method=method,
        params={"url": "https://x.example/"},
        timeout=timedelta(seconds=1),
        result=ContentStore().place(),
    )
    assert await NoopConnector().call(request) == Success(status=200)
