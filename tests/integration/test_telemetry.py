"""Spans of an installation on real servers, as a collector gets them over OTLP."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration import shop
from tests.integration.bench import Bench, new_order, open_bench
from tests.servers import Servers
from tests.waiting import wait_until


class Collector:
    """Takes what is exported. A span has its name, its ids, its attributes, and the process that it comes from."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []

    def take(self, body: bytes) -> None:
        """Take one request."""
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = _told(sent.resource.attributes)
            for scope in sent.scope_spans:
                for span in scope.spans:
                    told = {
                        "name": span.name,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "pid": process["process.pid"],
                        "service": process["service.name"],
                    }
                    self.spans.append(told | _told(span.attributes))

    def of(self, run: str) -> list[dict[str, Any]]:
        """The spans of a run."""
        return [span for span in list(self.spans) if span.get("handoff.run") == run]

    def names(self, run: str) -> list[str]:
        """Their names."""
        return sorted(str(span["name"]) for span in self.of(run))


def _told(attributes: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value"))
        for one in attributes
        if one.value.WhichOneof("value") != "array_value"
    }


@contextmanager
def collecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, and the variables with which processes find it."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


_OF_SINGLE = ("shop.patient", "shop.three")


def _whole(collector: Collector, run: str, count: int, first: str = "shop.one") -> list[dict[str, Any]]:
    """The spans of a run, once so many are there. It was started where nobody records: its trace is its own, and above its first handoffs
    there is nothing."""
    wait_until(lambda: len(collector.of(run)) >= count, description=f"{count} spans: {collector.names(run)}")
    spans = collector.of(run)
    assert {span["trace"] for span in spans} == {run.replace("-", "")}
    known = {span["id"] for span in spans}
    assert {span["name"] for span in spans if span["parent"] not in known} == {f"handoff {first}"}
    return spans


def test_a_worker_of_threads(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of threads, with its reactor, sends the spans of its handoffs, and what is left when it ends."""
    with collecting(monkeypatch) as collector, open_bench(servers, tmp_path, TELEMETRY="otlp") as bench:
        bench.worker.stop()
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
        threads = bench.installation.worker(*_OF_SINGLE, pool="threads")
        run = bench.start(shop.single)
        bench.completed(run)
        threads.stop()
        spans = _whole(collector, run.id, 5, "shop.patient")
    assert {span["pid"] for span in spans} == {threads.pid}
    assert {span["service"] for span in spans} == {"handoffs"}
    assert collector.names(run.id) == [
        "agent shop.patient",
        "agent shop.three",
        "handoff shop.patient",
        "handoff shop.three",
        "publish shop.three",
    ]


def test_a_worker_of_processes(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker of processes each child sends its own; of a step whose child died, the parent tells how it ended."""
    with collecting(monkeypatch) as collector, open_bench(servers, tmp_path, TELEMETRY="otlp") as bench:
        run = bench.start(shop.header)
        bench.completed(run)
        spans = _whole(collector, run.id, 10)
        assert bench.worker.pid not in {span["pid"] for span in spans}
        _dies(bench, collector)
        last = bench.start(shop.chain)
        bench.completed(last)
        bench.worker.stop()
        assert "handoff shop.three" in collector.names(last.id)


def _dies(bench: Bench, collector: Collector) -> None:
    died = bench.start(shop.chain, new_order(), one="kill-child")
    bench.letter(died)

    def told() -> list[dict[str, Any]]:
        return [span for span in collector.of(died.id) if span["name"] == "handoff shop.one"]

    lost, *others = wait_until(told, description="its end is told")
    assert not others, [lost, *others]
    assert lost["pid"] == bench.worker.pid
    assert (lost["handoff.outcome"], lost["error.type"]) == ("parked", "WorkerLostError")


def test_commands(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that the command line starts has its root from there, and the coordinator process takes part: one trace from several processes."""
    with collecting(monkeypatch) as collector, open_bench(servers, tmp_path, TELEMETRY="otlp") as bench:
        payload = json.dumps({"order": new_order(), "behaviour": {}})
        started = bench.installation.program("start", "start", "shop.chain", "--payload", payload, "--json")
        wait_until(lambda: not started.running, description="it is done", timeout=60)
        assert started.status == 0, started.last_words()
        [root] = wait_until(
            lambda: [span for span in collector.spans if span["name"] == "start shop.chain"],
            description="it is told",
        )
        wait_until(
            lambda: "handoff shop.three" in collector.names(root["handoff.run"]), description="all is told"
        )
        spans = collector.of(root["handoff.run"])
    known = {span["id"] for span in spans}
    assert {span["trace"] for span in spans} == {root["trace"]}
    assert [span["name"] for span in spans if span["parent"] not in known] == ["start shop.chain"]
    assert root["pid"] == started.pid
