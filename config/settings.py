"""Settings: what the environment says, typed and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as MalformedSetting

from handoffs.config.duration import Duration
from handoffs.config.reference import MediaSettings, PaymentsSettings, RidesSettings
from handoffs.contracts.contract import faults, valid_name
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.strictjson import Limits

PREFIX = "COORDINATOR_"


class SettingsError(CoordinationError):
    """A setting is malformed, unknown, or does not go with the others."""


def _listed(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


def _limits(value: Any) -> Any:
    """Read ``media.transcode=5000, media.drm=500``."""
    if not isinstance(value, str):
        return value
    both = [part.partition("=")[::2] for part in value.split(",") if part.strip()]
    if any(
        not valid_name(name.strip()) or not re.fullmatch(r"\s*[1-9]\d{0,8}\s*", count) for name, count in both
    ):
        raise ValueError("write it as AGENT=MESSAGES, AGENT=MESSAGES")
    return {name.strip(): int(count) for name, count in both}


_Limits = Annotated[dict[str, int], NoDecode, BeforeValidator(_limits)]
_Modules = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """All settings. Each is read from ``COORDINATOR_<NAME>``; with none set, everything runs in one process.

    Durations are ``timedelta``; in the environment ``250ms``, ``15s``, ``10m``, ``2h``, ``7d``, or seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    broker_url: str | None = None
    """RabbitMQ, ``amqp://user:password@host:5672/vhost``. Together with ``redis_url`` or not at all."""
    redis_url: str | None = None
    """Redis, ``redis://host:6379/0`` or ``rediss://``; ``redis+cluster://host:6379`` names one node of a Redis Cluster.
    Append-only and noeviction."""
    journal_url: str | None = None
    """SQLAlchemy URL of the journal, ``postgresql+psycopg://...`` or ``sqlite:///...``.
    None: a temporary file when embedded, else ``sqlite:///coordinator-journal.sqlite3``."""
    agents: _Modules = ("handoffs.tasks.payments",)
    """Modules in which agents and flows are found, separated by commas."""
    contracts_folder: str = "contracts/published"
    """Where your published contracts are, and new ones are written; those of this package are known without."""
    namespace: str = Field(default="", pattern=r"^[a-z0-9-]{0,40}$")
    """Prefix of every queue, exchange and Redis key, so that several installations can share servers."""
    eager: bool = False
    """Run every step at once in the caller (Celery's ``task_always_eager``). For tests."""

    lease: Duration = timedelta(seconds=15)
    """How long a worker may be silent before another may take its step over."""
    crash_limit: int = Field(default=3, ge=1, le=100)
    """How many times a step may lose its worker before it is parked as poison."""
    contracts_enforced: bool = True
    """Whether a worker refuses to begin with contracts that are not published, or that do not go with what is there."""
    delivery_limit: int = Field(default=20, ge=1, le=1000)
    """How many times the broker redelivers a message before it dead-letters it (``x-delivery-limit``)."""
    queue_limits: _Limits = Field(default={})
    """The most messages that may wait for an agent: ``media.transcode=5000, media.package=500``. What would be more is
    refused, and its sender tries again until there is room. The same for every process."""
    outcome_ttl: Duration = timedelta(days=7)
    """How long an outcome is known by its idempotency key."""
    run_ttl: Duration = timedelta(days=30)
    """How long a live run that nothing touches is kept; one that begins later, from then on."""
    result_ttl: Duration = timedelta(days=1)
    """How long a run that has ended, and its result, is kept in Redis; its history stays in the journal."""
    unpublished_after: Duration = timedelta(seconds=10)
    """After how long the coordinator process publishes a run that its starter accepted and did not publish."""
    shards: int = Field(default=16, ge=1, le=1024)
    """Into how many hash slots the runs are spread. Never change it while runs are live."""
    max_message_bytes: int = Field(default=1_048_576, ge=1024, le=134_217_728)
    """The largest message that is read, in bytes."""
    embedded_concurrency: int = Field(default=8, ge=1, le=256)
    """Threads of the embedded worker."""
    task_events: bool = True
    """Whether workers send the events that Flower shows."""
    log_level: str = Field(default="WARNING", pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")
    """The lowest level that is logged."""
    health_file: str | None = None
    """Where a worker and the coordinator process say how they are, for ``coordinator health``. With it they do not end
    where a person must mend something, but stay, say so, and go on by themselves."""

    payments: PaymentsSettings = PaymentsSettings()
    rides: RidesSettings = RidesSettings()
    media: MediaSettings = MediaSettings()

    @model_validator(mode="after")
    def _servers_go_together(self) -> Self:
        if (self.broker_url is None) != (self.redis_url is None):
            given, missing = ("broker_url", "redis_url") if self.broker_url else ("redis_url", "broker_url")
            raise ValueError(f"{given} is set and {missing} is not: set both, or neither to run embedded")
        _check_scheme("broker_url", self.broker_url, ("amqp", "amqps", "pyamqp"))
        _check_scheme(
            "redis_url", self.redis_url, ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")
        )
        _check_scheme("journal_url", self.journal_url, ("sqlite", "postgresql", "postgresql+psycopg"))
        return self

    @property
    def embedded(self) -> bool:
        """Whether everything runs in this one process."""
        return self.broker_url is None

    @property
    def journal(self) -> str:
        """SQLAlchemy URL of the journal: ``journal_url``, or a file in the working directory where it is not set."""
        return self.journal_url or "sqlite:///coordinator-journal.sqlite3"

    @property
    def message_limits(self) -> Limits:
        """Limits of what is read of a message: beside its data, of ``max_message_bytes`` at most, it has escapes and headers."""
        return Limits(octets=self.max_message_bytes * 2 + 65_536, text_length=self.max_message_bytes)

    @property
    def prefix(self) -> str:
        """What queue and key names begin with: empty, or the namespace and a dot."""
        return f"{self.namespace}." if self.namespace else ""


def load(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Raises :class:`SettingsError`, in one line without any value, for a malformed setting or an unknown
    ``COORDINATOR_`` variable.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = [
        name
        for name in os.environ
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not name.upper().startswith((f"{PREFIX}PAYMENTS__", f"{PREFIX}RIDES__", f"{PREFIX}MEDIA__"))
    ]
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(sorted(unknown))}",
            "nothing was started",
            "see docs/settings.md for the names",
        )
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(
            f"the settings are not valid: {faults(error)}",
            "nothing was started",
            f"each setting is read from {PREFIX}<NAME>",
        ) from None
    except MalformedSetting as error:
        raise SettingsError(f"the settings are not valid: {error}", "nothing was started") from None


def environment(settings: Settings) -> dict[str, str]:
    """The environment for a process that is to have these settings, and else what this one has."""
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return others | dict(_variables(settings, PREFIX))


def _variables(settings: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for field in type(settings).model_fields:
        name, value = prefix + field.upper(), getattr(settings, field)
        if isinstance(value, BaseModel):
            yield from _variables(value, f"{name}__")
        elif isinstance(value, timedelta):
            yield name, f"{value / timedelta(milliseconds=1):.6f}ms"
        elif isinstance(value, tuple):
            yield name, ",".join(value)
        elif isinstance(value, dict):
            yield name, ",".join(f"{key}={count}" for key, count in value.items())
        elif value is not None:
            yield name, str(value)


def _check_scheme(name: str, url: str | None, schemes: tuple[str, ...]) -> None:
    if url is None:
        return
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in schemes:
        raise ValueError(f"{name} must begin with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
