"""What Celery's workers start from: ``celery -A bench.peers.celery_worker worker``."""

from __future__ import annotations

import os

from bench.peers.durable_celery import BROKER, QUEUE, RESULTS, make_app

app = make_app(os.environ[BROKER], os.environ[RESULTS], os.environ[QUEUE])
