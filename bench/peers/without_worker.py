"""What a worker starts from that leaves a guarantee out: ``celery -A bench.peers.without_worker worker``."""

from __future__ import annotations

import os

from bench.peers.without import WITHOUT, leave_out
from handoffs.config.settings import load
from handoffs.coordinator.runtime.bootsteps import worker_engine

leave_out(os.environ[WITHOUT])
app = worker_engine(load()).app
