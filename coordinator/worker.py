"""What ``celery -A coordinator.worker worker -Q <agent>`` starts: settings in, app out.

The one module that reads the settings when it is imported: that is what Celery's command line asks for.
"""

from __future__ import annotations

from typing import Any

from celery.signals import setup_logging

from config.logs import configure
from config.settings import load
from contracts.errors import CoordinationError
from coordinator.embedded.servers import refuse_embedded
from coordinator.engine import Engine
from coordinator.loading import load_modules


def _configure_logs(**_: Any) -> None:
    """Keeps Celery from setting a level and handlers of its own: whoever connects here does it."""
    configure(settings.log_level)


try:
    settings = load()
    refuse_embedded(settings, "a worker")
    setup_logging.connect(_configure_logs, weak=False)
    configure(settings.log_level)
    engine = Engine(settings, agents=load_modules(settings.agents).agents.values())
except CoordinationError as error:
    raise SystemExit(f"coordinator: {error}") from None

app = engine.app
