"""Traces, where the settings name a collector; elsewhere nothing of OpenTelemetry's SDK is imported."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from flightline.core.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_OFF: AbstractContextManager[None] = nullcontext()
_tracer: "Tracer | None" = None
_provider: "TracerProvider | None" = None


def start_tracing(settings: Settings) -> None:
    """Begin to send spans to the collector of the settings, if they name one; once a process."""
    global _tracer, _provider
    if not settings.serving.otlp_endpoint or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    endpoint = settings.serving.otlp_endpoint.rstrip("/") + "/v1/traces"
    _provider = TracerProvider(
        resource=Resource.create({"service.name": "flightline", "deployment.environment.name": settings.profile}),
        sampler=ParentBasedTraceIdRatio(settings.serving.trace_share),
        shutdown_on_exit=False,
    )
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
    _tracer = _provider.get_tracer("serving")


def stop_tracing() -> None:
    """Send what is left, and stop."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """Time what is done within it: ``with span("features", rows=2): ...``; nothing where traces are off."""
    if _tracer is None:
        return _OFF
    return _tracer.start_as_current_span(name, attributes=attributes)


def request_span(headers: Iterable[tuple[bytes, bytes]], method: str, request_id: str) -> AbstractContextManager[Any]:
    """Time a request, as part of the trace its W3C `traceparent` names, if it does."""
    if _tracer is None:
        return _OFF
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name == b"traceparent"}
    return _tracer.start_as_current_span(
        "request",
        context=TraceContextTextMapPropagator().extract(given),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method, "request.id": request_id},
    )


def describe_request(opened: Any, route: str, status: int) -> None:
    """Write on a request's span, as `request_span` gave it, where it went and how it ended."""
    if opened is not None:
        opened.set_attributes({"http.route": route, "http.response.status_code": status})
