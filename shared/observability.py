"""Logs, traces and metrics: set up once a process, the same in all."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Histogram, start_http_server

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from datetime import datetime

TRACEPARENT = "traceparent"
#: Seconds; from a lookup in memory to the longest wait.
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

RPCS = Counter("penstock_rpc_calls", "RPCs answered, by method and gRPC code.", ("service", "method", "code"))
RPC_SECONDS = Histogram(
    "penstock_rpc_duration_seconds", "Time to answer an RPC.", ("service", "method"), buckets=LATENCY_BUCKETS_S
)

_tracer = trace.get_tracer("penstock")
_propagator = TraceContextTextMapPropagator()
_ids = RandomIdGenerator()


@dataclass(slots=True)
class _Traces:
    """How this process takes part in traces."""

    #: Whether anybody collects spans. Where nobody does, none are recorded; ids are made and passed on all the same.
    collected: bool = True


_traces = _Traces()


def set_up(service: str, *, log_level: str, otlp_address: str, metrics_address: str) -> None:
    """Starts logs, traces and metrics for this process.

    Args:
        service: The name under which they are found.
        log_level: debug, info, warning or error.
        otlp_address: Where spans go (OTLP over gRPC), or empty.
        metrics_address: Where Prometheus reads, `host:port`, or empty.
    """
    _set_up_logs(service, log_level)
    _set_up_traces(service, otlp_address)
    if metrics_address:
        host, _, port = metrics_address.rpartition(":")
        start_http_server(int(port), host)


def _set_up_logs(service: str, level: str) -> None:
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # no local variables: secrets
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    before: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*before, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)  # what libraries log comes in the same form
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_tells_no_header)
    structlog.contextvars.bind_contextvars(service=service)


def _tells_no_header(record: logging.LogRecord) -> bool:
    """Whether a line of gRPC's may be logged: of a header that is no UTF-8 it tells all, which may be a secret."""
    return not str(record.msg).startswith("Invalid encoding")


def _set_up_traces(service: str, otlp_address: str) -> None:
    propagate.set_global_textmap(_propagator)
    _traces.collected = bool(otlp_address)
    if _traces.collected:
        provider = TracerProvider(resource=Resource.create({"service.name": service}), sampler=DEFAULT_ON)
        exporter = OTLPSpanExporter(endpoint=otlp_address, insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
        trace.set_tracer_provider(provider)


def shut_down() -> None:
    """Sends what spans are still held."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


@contextmanager
def span(
    name: str,
    *,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    traceparent: str | None = None,
    attributes: Mapping[str, str | int] | None = None,
) -> Generator[trace.Span]:
    """A span around a piece of work.

    Args:
        name: A constant.
        kind: The side of the call that this is.
        traceparent: The W3C trace context that it continues; where None, the current one.
        attributes: What it works on: ids, never contents.
    """
    context = _propagator.extract({TRACEPARENT: traceparent}) if traceparent else None
    current = (
        _tracer.start_span(
            name,
            context=context,
            kind=kind,
            attributes=dict(attributes or {}),
            record_exception=False,  # what an exception says may hold what a span must not; the log has it
            set_status_on_exception=False,
        )
        if _traces.collected
        else _unrecorded(trace.get_current_span(context).get_span_context())
    )
    token = attach(trace.set_span_in_context(current))
    try:
        yield current
    finally:
        detach(token)
        current.end()


def _unrecorded(parent: trace.SpanContext) -> trace.Span:
    """A span that is only passed on, of the parent's trace or of a new one; the tracer takes three times as long."""
    trace_id = parent.trace_id if parent.is_valid else _ids.generate_trace_id()
    return trace.NonRecordingSpan(trace.SpanContext(trace_id, _ids.generate_span_id(), is_remote=False))


def past_span(name: str, *, began: datetime, traceparent: str, attributes: Mapping[str, str | int]) -> None:
    """A span of something that began in another process and ends now, such as a wait in a queue.

    Args:
        name: A constant.
        began: When.
        traceparent: The W3C trace context that it continues; without one there is no span.
        attributes: What it is about: ids, never contents.
    """
    if traceparent and _traces.collected:
        context = _propagator.extract({TRACEPARENT: traceparent})
        start_ns = int(began.timestamp() * 1e9)
        _tracer.start_span(name, context=context, start_time=start_ns, attributes=dict(attributes)).end()


def current_traceparent() -> str:
    """The W3C trace context of the current span, or an empty text where there is none."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id_of(traceparent: str) -> str:
    """The trace that a W3C trace context is of, as 32 hexadecimal digits, or an empty text where it is malformed."""
    context = trace.get_current_span(_propagator.extract({TRACEPARENT: traceparent}, Context())).get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def current_trace_id() -> str:
    """The current trace as 32 hexadecimal digits, or an empty text where there is none."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def logger() -> Any:  # structlog's own type of its lazy proxy
    """The process's logger: a constant snake_case event, data in keywords."""
    return structlog.get_logger()
