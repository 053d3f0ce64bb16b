"""What the bare worker of the benchmark starts from."""

import os

from bench.bare import make_app

app = make_app(os.environ["BENCH_BROKER_URL"], os.environ["BENCH_REDIS_URL"], os.environ["BENCH_SPACE"])
