"""Settings of the gateway and of the site, and what is built of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.envoy import bootstrap
from gateway.routes import RouteData, route_table
from gateway.settings import PREFIX, GatewaySettings
from gateway.site.config import SiteConfig
from shared import config


def _built(settings: GatewaySettings) -> dict[str, Any]:
    return bootstrap(route_table(RouteData.load(), settings.services), settings, Path("/built"))


def _manager(built: dict[str, Any]) -> dict[str, Any]:
    (listener,) = built["static_resources"]["listeners"]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def test_settings_come_from_the_environment() -> None:
    environment = {
        "PENSTOCK_GATEWAY_ADDRESS": "0.0.0.0:80",
        "PENSTOCK_GATEWAY_CORS_ORIGINS": "https://a.example, https://b.example",
        "PENSTOCK_GATEWAY_WAIT_TIMEOUT": "90s",
        "PENSTOCK_URL": "http://127.0.0.1:8080",
    }
    settings = config.load(GatewaySettings, environment, prefix=PREFIX)
    assert settings.address == "0.0.0.0:80"
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.wait_timeout == timedelta(seconds=90)


def test_an_unknown_setting_of_the_gateway_is_a_mistake() -> None:
    with pytest.raises(config.ConfigError, match="PENSTOCK_GATEWAY_ADRESS"):
        config.load(GatewaySettings, {"PENSTOCK_GATEWAY_ADRESS": "x"}, prefix=PREFIX)


def test_spans_go_out_only_where_a_collector_is_set() -> None:
    nowhere = _built(GatewaySettings())
    assert _manager(nowhere)["tracing"]["random_sampling"] == {"value": 0.0}
    (collector,) = [each for each in nowhere["static_resources"]["clusters"] if each["name"] == "otlp"]
    assert "load_assignment" not in collector
    built = _built(GatewaySettings(otlp_address="127.0.0.1:4317", trace_sampling_percent=5.0))
    assert _manager(built)["tracing"]["random_sampling"] == {"value": 5.0}
    assert "otlp" in {cluster["name"] for cluster in built["static_resources"]["clusters"]}


def test_each_service_that_runs_has_a_cluster_and_its_routes() -> None:
    def names(settings: GatewaySettings) -> set[str]:
        return {cluster["name"] for cluster in _built(settings)["static_resources"]["clusters"]}

    assert names(GatewaySettings()) == {"auth", "intake", "scheduler", "upstream", "site", "otlp"}
    assert names(GatewaySettings(history_address="h:1")) - names(GatewaySettings()) == {"history"}


def test_a_stream_may_last_and_be_silent_for_its_whole_time_over_http_and_grpc() -> None:
    routes = _manager(_built(GatewaySettings(stream_timeout=timedelta(minutes=6))))["route_config"]["virtual_hosts"][0]
    jobs = "penstock.jobs.v1.JobService"
    for name in (
        f"{jobs}.StreamJob GET /api/v1/jobs/{{job_id}}:watch",
        f"{jobs}.StreamJob",
        f"{jobs}.WatchJob",
    ):
        (route,) = [route for route in routes["routes"] if route["name"] == name]
        assert (route["route"]["timeout"], route["route"]["idle_timeout"]) == ("360s", "360s")
        assert route["request_headers_to_add"][0]["header"] == {"key": "grpc-timeout", "value": "359000m"}


def test_there_is_room_for_thousands_that_wait() -> None:
    built = _built(GatewaySettings(max_connections=12_345))
    for cluster in built["static_resources"]["clusters"]:
        if cluster["name"] == "otlp":  # spans need no room
            continue
        (limits,) = cluster["circuit_breakers"]["thresholds"]
        assert min(limits["max_connections"], limits["max_pending_requests"], limits["max_requests"]) > 2 * 10_000
    (monitor,) = built["overload_manager"]["resource_monitors"]
    assert monitor["typed_config"]["max_active_downstream_connections"] == 12_345


def test_ext_authz_fails_closed_and_only_pages_do_without_it() -> None:
    manager = _manager(_built(GatewaySettings()))
    (auth,) = [each for each in manager["http_filters"] if each["name"] == "envoy.filters.http.ext_authz"]
    assert auth["typed_config"]["failure_mode_allow"] is False
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    changed = {
        each["name"]: each["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
        for each in routes
        if "envoy.filters.http.ext_authz" in each.get("typed_per_filter_config", {})
    }
    pages = ["/healthz", "/readyz", "/", "/docs", "/docs/*", "/openapi.json", "/openapi.yaml"]
    assert [name for name, settings in changed.items() if settings.get("disabled")] == pages
    told = {name: settings for name, settings in changed.items() if not settings.get("disabled")}
    assert all(set(settings) == {"@type", "check_settings"} for settings in told.values())
    assert all(set(settings["check_settings"]) == {"context_extensions"} for settings in told.values())
    assert routes[-1]["match"] == {"prefix": "/"}


def test_only_what_is_asked_every_few_seconds_is_not_logged() -> None:
    (log,) = _manager(_built(GatewaySettings()))["access_log"]
    left_out = [each["header_filter"]["header"] for each in log["filter"]["and_filter"]["filters"]]
    assert [each["string_match"]["exact"] for each in left_out] == ["/healthz", "/readyz"]
    assert all(each["name"] == ":path" and each["invert_match"] for each in left_out)


def test_the_site_knows_services_by_name() -> None:
    site = config.load(SiteConfig, {"PENSTOCK_SITE_SERVICES": "a=h:1,b=i:2"}, prefix="PENSTOCK_SITE_")
    assert site.addresses == {"a": "h:1", "b": "i:2"}
    for wrong in ("a", "a=h", "=h:1", "a=h:x"):
        with pytest.raises(ValueError, match="PENSTOCK_SITE_SERVICES"):
            _ = SiteConfig(services=(wrong,)).addresses
