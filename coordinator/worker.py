"""What ``celery -A coordinator.worker worker -Q <agent>`` starts: settings in, app out.

The one module that reads the settings when it is imported: that is what Celery's command line asks for.
"""

from __future__ import annotations

from config.settings import load
from contracts.errors import CoordinationError
from coordinator.bootsteps import worker_engine

try:
    app = worker_engine(load()).app
except CoordinationError as error:
    raise SystemExit(f"coordinator: {error}") from None
