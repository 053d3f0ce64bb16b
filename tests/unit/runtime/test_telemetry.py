"""Spans that are sent to a collector where the settings say so."""

from __future__ import annotations

import os

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from handoffs.config.settings import SettingsError
from handoffs.coordinator.messaging import spans
from handoffs.coordinator.messaging.spans import recorder
from handoffs.coordinator.runtime import telemetry
from handoffs.coordinator.runtime.telemetry import Telemetry
from tests.defaults import default_settings
from tests.spans import recording


@pytest.fixture(autouse=True)
def _nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test sets up ends with it, and nothing is sent anywhere."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(spans, "_own", None)
    monkeypatch.setattr(telemetry.atexit, "register", lambda function: None)  # type: ignore[attr-defined]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    # OpenTelemetry takes one provider a process: not here
    monkeypatch.setattr(
        trace, "set_tracer_provider", lambda found: monkeypatch.setattr(trace, "_TRACER_PROVIDER", found)
    )


def _telemetry(**given: str) -> Telemetry:
    return Telemetry(default_settings(**given))


def test_without_the_setting() -> None:
    """Nothing is set up."""
    one = _telemetry()
    one.begin()
    one.end()
    assert recorder() is None


def test_it_is_set_up_once() -> None:
    """The spans of everybody in this process are recorded, under the name of the product where nobody gave another; asked again,
    nothing changes."""
    one = _telemetry(telemetry="otlp")
    one.begin()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    assert provider.resource.attributes["service.name"] == "handoffs"
    assert provider.resource.attributes["process.pid"] == os.getpid()
    assert recorder() is not None
    one.begin()
    assert trace.get_tracer_provider() is provider
    one.end()
    one.end()


def test_the_name_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that OpenTelemetry's own variable gives."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "till")
    one = _telemetry(telemetry="otlp")
    one.begin()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    assert provider.resource.attributes["service.name"] == "till"
    one.end()


def test_what_the_application_has_set_up_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its provider stays, and is not shut down."""
    with recording(monkeypatch) as found:
        one = _telemetry(telemetry="otlp")
        one.begin()
        one.end()
        assert trace.get_tracer_provider() is found.provider
        assert recorder() is not None


def test_a_parent_that_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that makes others which do the work keeps its provider to itself: each of them may set up its own."""
    one = _telemetry(telemetry="otlp")
    one.begin(forks=True)
    assert recorder() is not None
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    parent, child = os.getpid(), os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    assert recorder() is None
    one.begin()
    assert isinstance(trace.get_tracer_provider(), TracerProvider)
    one.end()
    monkeypatch.setattr(os, "getpid", lambda: parent)


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process does not begin: it would seem that nothing happens. Without the setting nobody needs it."""
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None)
    with pytest.raises(
        SettingsError, match=r"COORDINATOR_TELEMETRY=otlp.*not installed.*handoffs\[telemetry\]"
    ):
        _telemetry(telemetry="otlp")
    _telemetry()


def test_a_collector_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of a process does not wait for it longer than a few seconds, and the log says what is lost."""
    monkeypatch.setattr(telemetry, "_SENT_WITHIN", 0.01)
    one = _telemetry(telemetry="otlp")
    one.begin()
    provider = trace.get_tracer_provider()
    hangs = telemetry.threading.Event()  # type: ignore[attr-defined]
    monkeypatch.setattr(provider, "shutdown", lambda: hangs.wait(60))
    one.end()
    assert "the last spans are not sent" in caplog.text
    hangs.set()
