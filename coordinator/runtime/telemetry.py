"""Telemetry: has this process record spans, and send them to a collector over OTLP, where COORDINATOR_TELEMETRY says so.

Where to, how many, and under which name the variables of OpenTelemetry say (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER,
OTEL_SERVICE_NAME), which its SDK reads by itself. The SDK is an extra, and is loaded here only.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

from handoffs.config.settings import Settings, SettingsError
from handoffs.coordinator.messaging.spans import SCOPE, record_with, recorder

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_log = logging.getLogger(__name__)
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter")
_SENT_WITHIN = 5.0
"""How long the end of a process waits for a collector that does not answer, in seconds."""


class Telemetry:
    """The spans of one process, and of the children that it forks, each of which begins anew."""

    def __init__(self, settings: Settings) -> None:
        """Raises :class:`~handoffs.config.settings.SettingsError` where spans are wanted, and what sends them is not installed."""
        self._wanted = settings.telemetry is not None
        self._provider: TracerProvider | None = None
        self._pid = 0
        if self._wanted and not _is_installed():
            raise SettingsError(
                f"COORDINATOR_TELEMETRY={settings.telemetry}, and OpenTelemetry's SDK and its OTLP exporter are not installed",
                "no span would be sent",
                "pip install 'handoffs[telemetry]', or unset it",
            )

    def begin(self, *, forks: bool = False) -> None:
        """Record from now on. Where the application has set up OpenTelemetry, that is used, and nothing is changed. ``forks``: this
        process makes the children that do the work, which are to set it up for themselves."""
        if not self._wanted or self._pid == os.getpid() or recorder() is not None:
            return
        self._pid = os.getpid()
        # Imported here: an extra, for who sets it
        from opentelemetry import trace  # noqa: PLC0415 - an extra, for who sets it

        self._provider = _provider()
        if forks:
            record_with(self._provider)
        else:
            trace.set_tracer_provider(self._provider)
        atexit.register(self.end)

    def end(self) -> None:
        """Send what has not been sent, and record no more. A collector that does not answer is not waited for long."""
        provider, self._provider = self._provider, None
        if provider is None or self._pid != os.getpid():
            return
        # A thread: the SDK would wait for as long as it has something to send
        sending = threading.Thread(target=provider.shutdown, name="telemetry", daemon=True)
        sending.start()
        sending.join(_SENT_WITHIN)
        if sending.is_alive():
            _log.warning("the last spans are not sent: the collector does not answer")


def _is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in _NEEDED)
    except ImportError:
        return False


def _provider() -> TracerProvider:
    # Imported here: as above
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra, for who sets it
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - an extra, for who sets it
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra, for who sets it
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra, for who sets it

    resource = Resource.create({"process.pid": os.getpid()})
    if str(resource.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: SCOPE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
