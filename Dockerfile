# The image of every process of the product, workers, the coordinator process and beat: the command says which. Flower, which no
# agent needs, has one of its own.
#
#   docker build --tag handoff-coordinator:local .                        media transcodes with a stand-in
#   docker build --tag handoff-coordinator:local --build-arg FFMPEG=yes .  or for real: about 450 MB more
#   docker build --tag handoff-flower:local --target flower .
#   docker run --rm handoff-coordinator:local coordinator demo payments
#
# It runs as an unprivileged user and writes nothing outside /tmp, /run/coordinator and, where it works for media, the
# volumes under /srv/media, so its root file system may be read-only. To bring your own agents, build on it: see docs/deploy.md.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/coordinator
WORKDIR /source
COPY requirements/runtime.txt requirements/
RUN /opt/coordinator/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY contracts contracts
COPY config config
COPY coordinator coordinator
COPY tasks tasks
RUN /opt/coordinator/bin/python -m pip install --quiet --no-deps --no-build-isolation .

# What only builds (hatchling, pip) does not go into an image; the byte code does, for a fast start.
FROM packages AS agent-packages
RUN /opt/coordinator/bin/python -m pip uninstall --quiet --yes hatchling pathspec pluggy tomlkit trove-classifiers pip \
 && /opt/coordinator/bin/coordinator --version

FROM packages AS flower-packages
COPY requirements/flower.txt requirements/
RUN /opt/coordinator/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/flower.txt \
 && /opt/coordinator/bin/python -m pip uninstall --quiet --yes hatchling pathspec pluggy tomlkit trove-classifiers pip \
 && /opt/coordinator/bin/coordinator --version

FROM ${PYTHON_IMAGE} AS base
LABEL org.opencontainers.image.title="Coordinator" \
      org.opencontainers.image.description="Coordinates agents through versioned, validated, exactly-once handoffs over Celery and RabbitMQ." \
      org.opencontainers.image.licenses="Apache-2.0"
ARG FFMPEG=no
RUN case "$FFMPEG" in \
      no) ;; \
      yes) apt-get -qq update \
        && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends ffmpeg >/dev/null \
        && apt-get clean && rm -rf /var/lib/apt/lists/* ;; \
      *) echo "FFMPEG is '$FFMPEG': nothing was built; say yes or no" >&2; exit 1 ;; \
    esac
RUN groupadd --gid 10001 coordinator \
 && useradd --uid 10001 --gid coordinator --no-create-home --home-dir /tmp --shell /usr/sbin/nologin coordinator \
 && install --directory --owner=coordinator --group=coordinator /run/coordinator /app \
      /srv/media /srv/media/objects
ENV PATH=/opt/coordinator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    COORDINATOR_HEALTH_FILE=/run/coordinator/health.json
USER coordinator
WORKDIR /app
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "handoffs.config.health"]
CMD ["coordinator", "--help"]

FROM base AS flower
COPY --from=flower-packages /opt/coordinator /opt/coordinator

# The last one is what `docker build` makes.
FROM base AS agent
COPY --from=agent-packages /opt/coordinator /opt/coordinator
