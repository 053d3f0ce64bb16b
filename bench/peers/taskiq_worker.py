"""What Taskiq's workers start from: ``taskiq worker bench.peers.taskiq_worker:broker``."""

from __future__ import annotations

import os

from bench.peers.on_taskiq import BROKER, QUEUE, RESULTS, Tasks

broker = Tasks(os.environ[BROKER], os.environ[RESULTS], os.environ[QUEUE]).broker
