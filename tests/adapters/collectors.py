"""What adapters report to, as small real servers: an OTLP collector, and Hamilton UI's part that takes runs."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.certificates import Certificate


class Spans:
    """What a collector has been sent."""

    def __init__(self) -> None:
        self.all: list[Span] = []
        #: Of their resource.
        self.services: set[str] = set()

    def take(self, request: Any) -> None:
        for resource in request.resource_spans:
            found = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(found["service.name"])
            for scope in resource.scope_spans:
                self.all.extend(scope.spans)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.all if span.name == name]


def attributes(span: Span | Span.Event) -> dict[str, Any]:
    """A span's or event's attributes as plain values."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], certificate: Certificate | None = None) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def http_collector() -> Iterator[tuple[int, Spans]]:
    """An OTLP collector over HTTP: its port, and what it was sent."""
    spans = Spans()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert "/v1/traces" == self.path
            body = self.rfile.read(int(self.headers["content-length"]))
            spans.take(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler) as port:
        yield port, spans


@contextmanager
def grpc_collector() -> Iterator[tuple[int, Spans]]:
    """The same over gRPC."""
    spans = Spans()

    class Servicer(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
            spans.take(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, spans
    finally:
        server.stop(None).wait()


class HamiltonUi:
    """What Hamilton UI's server has been told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        #: (method, path, parameters, body).
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.users: set[tuple[str | None, str | None]] = set()
        self.templates: dict[str, int] = {}
        #: By the server's id.
        self.runs: dict[int, dict[str, Any]] = {}

    def answer(self, method: str, path: str, parameters: dict[str, str], body: Any) -> Any:
        if path == "dag_templates/exists/":
            number = self.templates.get(parameters["dag_hash"])
            return None if number is None else {"id": number}
        if path == "dag_templates":
            return {"id": self.templates.setdefault(body["dag_hash"], 100 + len(self.templates))}
        if path == "dag_runs":
            number = 1 + len(self.runs)
            template = int(parameters["dag_template_id"])
            self.runs[number] = {**body, "template": template, "nodes": {}, "attributes": []}
            return {"id": number}
        if path == "dag_runs_bulk":
            run = self.runs[int(parameters["dag_run_id"])]
            for update in body["task_updates"]:
                run["nodes"].setdefault(update["node_name"], {}).update(update)
            run["attributes"] += body["attributes"]
            return {}
        if path.startswith("dag_runs/"):
            self.runs[int(path.strip("/").rpartition("/")[2])].update(body)
        return {}


@contextmanager
def hamilton_ui(certificate: Certificate | None = None) -> Iterator[tuple[int, HamiltonUi]]:
    """Its server: the port, and what it was told."""
    ui = HamiltonUi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/api/v1/")
            parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
            length = int(self.headers["content-length"] or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            with ui.lock:
                ui.requests.append((self.command, path, parameters, body))
                ui.users.add((self.headers["x-api-user"], self.headers["x-api-key"]))
                found = json.dumps(ui.answer(self.command, path, parameters, body)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler, certificate) as port:
        yield port, ui
