"""What ``celery -A handoffs.coordinator.worker worker -Q <agent>`` starts: settings in, app out.

The one module that reads the settings when it is imported: that is what Celery's command line asks for.
"""

from __future__ import annotations

from handoffs.config.settings import load
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.runtime.bootsteps import worker_engine

try:
    app = worker_engine(load()).app
except CoordinationError as error:
    raise SystemExit(f"coordinator: {error}") from None
