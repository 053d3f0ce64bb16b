"""What Dramatiq's workers start from: ``dramatiq bench.peers.dramatiq_worker:broker``."""

from __future__ import annotations

import os

from bench.peers.on_dramatiq import BROKER, QUEUE, RESULTS, Actors

broker = Actors(os.environ[BROKER], os.environ[RESULTS], os.environ[QUEUE]).broker
