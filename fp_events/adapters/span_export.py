"""Where spans go: by OTLP over HTTP or gRPC to a collector, in batches, from a thread of OpenTelemetry's."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from fp_events.domain.closing import at_end_of_process

from .sender import GRACE, at_flush
from .trouble import Trouble

#: By convention gRPC's and HTTP's.
_GRPC_PORT: Final = 4317
_HTTP_PORT: Final = 4318
#: Milliseconds from a span's end until it is sent, unless OTEL_BSP_SCHEDULE_DELAY says otherwise.
_DELAY: Final = 1000
#: Seconds for one request.
_TIMEOUT: Final = 5

#: Where exporters log each failure, at times with a traceback.
_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)
#: In the thread that exports: why it failed.
_heard = threading.local()
_lock = threading.Lock()
#: (process, where and as whom) -> what sends there.
_providers: dict[tuple[Any, ...], TracerProvider] = {}


def provider_to(settings: Mapping[str, Any], trouble: Trouble) -> TracerProvider:
    """The provider for these settings; pipelines with the same ones share it."""
    protocol, endpoint = address_of(settings)
    key = (os.getpid(), protocol, endpoint, settings["service_name"])
    with _lock:
        if key not in _providers:
            provider = _providers[key] = _provider(protocol, endpoint, settings, trouble)
            # Workers end without Python's own clean-up.
            at_end_of_process(lambda: _flush(provider, GRACE))
            at_flush(partial(_flush, provider))
        return _providers[key]


def address_of(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Protocol and URL of the collector."""
    protocol = settings["protocol"] or ("grpc" if settings["port"] == _GRPC_PORT else "http")
    if settings["endpoint"]:
        return protocol, settings["endpoint"]
    port = settings["port"] or (_GRPC_PORT if protocol == "grpc" else _HTTP_PORT)
    scheme = "http" if settings["insecure"] else "https"
    return protocol, f"{scheme}://{settings['host']}:{port}" + ("" if protocol == "grpc" else "/v1/traces")


def _hear(record: logging.LogRecord) -> bool:
    """Keep the first line that an exporter logs of a batch, which has the cause; it is told once, by us."""
    _heard.reason = getattr(_heard, "reason", "") or record.getMessage()
    return False


class _Watched(SpanExporter):
    """An exporter whose failures are counted, and told with their reason."""

    def __init__(self, exporter: SpanExporter, endpoint: str, trouble: Trouble) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._trouble = trouble
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_hear)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        _heard.reason = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - a library's errors are its server's, or its own
            _heard.reason, result = f"{type(error).__name__}: {error}", SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._trouble.worked()
        else:
            self._trouble.failed(f"{len(spans)} spans did not reach {self._endpoint}: {_heard.reason}")
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is held back here."""
        return self._exporter.force_flush(timeout_millis)


def _provider(protocol: str, endpoint: str, settings: Mapping[str, Any], trouble: Trouble) -> TracerProvider:
    resource = Resource.create({"service.name": settings["service_name"], "service.version": settings["version"]})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    delay = None if "OTEL_BSP_SCHEDULE_DELAY" in os.environ else _DELAY
    exporter = _Watched(_exporter(protocol, endpoint), endpoint, trouble)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=delay))
    return provider


def _exporter(protocol: str, endpoint: str) -> SpanExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter(endpoint=endpoint, insecure=endpoint.startswith("http:"), timeout=_TIMEOUT)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter(endpoint=endpoint, timeout=_TIMEOUT)


def _flush(provider: TracerProvider, limit: float) -> None:
    """Send what waits, in at most `limit` seconds."""
    # In a thread: an exporter that is trying again does not look at the limit.
    flushing = threading.Thread(target=provider.force_flush, args=(int(limit * 1000),), daemon=True)
    flushing.start()
    flushing.join(limit)
