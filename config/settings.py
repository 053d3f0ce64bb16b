"""Settings: what the environment says, typed and checked."""

from __future__ import annotations

import base64
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as MalformedSetting

from handoffs.config.addresses import ListenAddress
from handoffs.config.console import ConsoleSettings
from handoffs.config.duration import Lifetime, Wait
from handoffs.config.numbers import Whole
from handoffs.config.payloads import PayloadSettings
from handoffs.config.reference import MediaSettings, PaymentsSettings, RidesSettings
from handoffs.config.urls import BrokerUrl, DatabaseUrl, RedisUrl
from handoffs.contracts import strictjson
from handoffs.contracts.contract import faults, valid_name
from handoffs.contracts.errors import CoordinationError, InvalidJson
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.text import is_utf8, printable

PREFIX = "COORDINATOR_"
_KEY_BYTES = 32
_ALIKE = 0.8
"""How like a setting a name must be, of 1, that it is said to be like it: all of them begin alike."""

_MOST_NAMED = 5
_IN_A_VARIABLE = Limits(octets=65_536, depth=8, nodes=1_000)


class SettingsError(CoordinationError):
    """A setting is malformed, unknown, or does not go with the others."""


def _stripped(value: Any) -> Any:
    """Without blanks around each text: a file of variables with CRLF leaves a CR at the end of each."""
    if isinstance(value, dict):
        return {name: _stripped(inner) for name, inner in value.items()}
    if isinstance(value, str) and ("\0" in value or not is_utf8(value)):
        raise ValueError("a text is not UTF-8, or has a NUL in it")
    return value.strip() if isinstance(value, str) else value


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
        not valid_name(name.strip()) or not re.fullmatch(r"\s*[1-9][0-9]{0,8}\s*", count)
        for name, count in both
    ):
        raise ValueError("write it as AGENT=MESSAGES, AGENT=MESSAGES")
    return {name.strip(): int(count) for name, count in both}


def _lifetimes(value: Any) -> Any:
    """Read ``shop.order=90d, shop.refund=3650d``; what is no duration is told of by its type."""
    if not isinstance(value, str):
        return value
    both = [part.partition("=")[::2] for part in value.split(",") if part.strip()]
    if any(not valid_name(name.strip()) or not span for name, span in both):
        raise ValueError("write it as FLOW=DURATION, FLOW=DURATION")
    return {name.strip(): span for name, span in both}


_Lifetimes = Annotated[dict[str, Lifetime], NoDecode, BeforeValidator(_lifetimes)]
_Limits = Annotated[dict[str, int], NoDecode, BeforeValidator(_limits)]


def key_bytes(key: str) -> bytes:
    """The bytes of a key of ``journal_keys``. Raises :class:`ValueError`, which does not say what was given."""
    try:
        raw = base64.b64decode(key.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ValueError("each key is 32 random bytes in base64, as of openssl rand -base64 32")
    return raw


def _keys(value: Any) -> Any:
    """Read keys in base64, separated by commas, and say of none of them what it is."""
    for key in listed if isinstance(listed := _listed(value), tuple) else ():
        key_bytes(key)
    return listed


_Keys = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_keys)]
_Modules = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class _Environment(EnvSettingsSource):
    """The environment; what stands in a variable as JSON is a few values, in strict JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """The value. Raises :class:`ValueError` as pydantic's own does."""
        if NoDecode in field.metadata:
            return super().decode_complex_value(field_name, field, value)
        try:
            return strictjson.loads(value, _IN_A_VARIABLE)
        except InvalidJson as error:
            raise ValueError(str(error)) from None


class Settings(BaseSettings):
    """All settings. Each is read from ``COORDINATOR_<NAME>``; with none set, everything runs in one process.

    Durations are ``timedelta``; in the environment ``250ms``, ``15s``, ``10m``, ``2h``, ``7d``, or seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    broker_url: BrokerUrl | None = None
    """RabbitMQ, ``amqp://user:password@host:5672/vhost``. Together with ``redis_url`` or not at all."""
    redis_url: RedisUrl | None = None
    """Redis, ``redis://host:6379/0`` or ``rediss://``; ``redis+cluster://host:6379`` names one node of a Redis Cluster.
    Append-only and noeviction."""
    journal_url: DatabaseUrl | None = None
    """SQLAlchemy URL of the journal, ``postgresql+psycopg://...`` or ``sqlite:///...``.
    None: a temporary file when embedded, else ``sqlite:///coordinator-journal.sqlite3``."""
    journal_keys: _Keys = Field(default=(), repr=False)
    """Keys that seal the messages of dead letters in the journal: 32 random bytes each in base64 (``openssl rand -base64 32``),
    separated by commas. The first writes, every one reads. None: they are kept there in clear."""
    journal_retention: Lifetime | None = None
    """How long the journal keeps a run after it has ended, at least ``run_ttl``: then the coordinator process removes its history and its
    letters, and an operator action says so. None: for good."""
    journal_retention_by_flow: _Lifetimes = Field(default={})
    """The same for runs of single flows: ``shop.order=90d, shop.refund=3650d``."""
    agents: _Modules = ("handoffs.tasks.payments",)
    """Modules in which agents and flows are found, separated by commas."""
    contracts_folder: str = "contracts/published"
    """Where your published contracts are, and new ones are written; those of this package are known without."""
    namespace: str = Field(default="", pattern=r"^[a-z0-9-]{0,40}$")
    """Prefix of every queue, exchange and Redis key, so that several installations can share servers."""
    eager: bool = False
    """Run every step at once in the caller (Celery's ``task_always_eager``). For tests."""

    server_timeout: Wait = timedelta(seconds=10)
    """How long RabbitMQ, Redis or the journal may leave a call without an answer. Then the call ends with an error that says
    what was accepted."""
    lease: Wait = timedelta(seconds=15)
    """How long a worker may be silent before another may take its step over."""
    stop_grace: Wait = timedelta(seconds=5)
    """How long async steps of a worker that is to end may go on, before they are cancelled and left to another worker."""
    crash_limit: Whole = Field(default=3, ge=1, le=100)
    """How many times a step may lose its worker before it is parked as poison."""
    contracts_enforced: bool = True
    """Whether a worker refuses to begin with contracts that are not published, or that do not go with what is there."""
    delivery_limit: Whole = Field(default=20, ge=1, le=1000)
    """How many times the broker redelivers a message before it dead-letters it (``x-delivery-limit``)."""
    queue_limits: _Limits = Field(default={})
    """The most messages that may wait for an agent: ``media.transcode=5000, media.package=500``. What would be more is
    refused, and its sender tries again until there is room. The same for every process."""
    outcome_ttl: Lifetime = timedelta(days=7)
    """How long an outcome is known by its idempotency key."""
    run_ttl: Lifetime = timedelta(days=30)
    """How long a live run is kept that nothing touches, not even the coordinator process: it touches each that waits. So long it is
    also known of a run that it has ended."""
    result_ttl: Lifetime = timedelta(days=1)
    """How long a run that has ended, and its result, is kept in Redis; its history stays in the journal."""
    unpublished_after: Wait = timedelta(seconds=10)
    """After how long the coordinator process publishes a run that its starter accepted and did not publish."""
    shards: Whole = Field(default=16, ge=1, le=1024)
    """Into how many hash slots the runs are spread. Never change it while runs are live."""
    max_message_bytes: Whole = Field(default=1_048_576, ge=1024, le=134_217_728)
    """The largest envelope that is written and read, in bytes: what would be larger is refused where it is made. Raise it in every
    process."""
    broker_message_bytes: Whole = Field(default=16_777_216, ge=1024, le=536_870_912)
    """The largest message that RabbitMQ takes (its ``max_message_size``), in bytes. A message is up to twice its envelope, and
    what is to come after it."""
    embedded_concurrency: Whole = Field(default=8, ge=1, le=256)
    """Threads of the embedded worker."""
    embedded_redis: Literal["auto", "server", "imitation"] = "auto"
    """Redis of embedded mode: ``server``, a `redis-server` (7.0 or newer) from ``PATH`` as a child of this process; ``imitation``, in
    the memory of this process; ``auto``, the first where it comes up, else the other, which is slower. In eager mode it is imitated."""
    task_events: bool = True
    """Whether workers send the events that Flower shows. In embedded mode they send none: nobody could see them."""
    remote_control: bool = True
    """Whether workers take the commands of Celery's remote control. Without, they do not listen for any: Flower's pages about a
    worker have nothing of its pool and its queues, and ``celery inspect`` and ``celery control`` get no answer."""
    log_level: str = Field(default="WARNING", pattern="^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")
    """The lowest level that is logged. In a program that makes a Coordinator and has a log of its own: where it is set."""
    log_format: Literal["text", "json"] = "text"
    """What the log of a process looks like: lines of ``text``, or a ``json`` object in each line, with run, flow, step, agent and trace."""
    health_file: str | None = None
    """Where a worker and the coordinator process say how they are, for ``coordinator health``. With it they do not end
    where a person must mend something, but stay, say so, and go on by themselves."""
    metrics: ListenAddress | None = None
    """Where the coordinator process answers Prometheus, ``HOST:PORT``, with ``GET /metrics``. It has no login: let nobody reach it who
    may not know the names of your flows. None: nowhere."""
    telemetry: Literal["otlp"] | None = None
    """``otlp``: workers, the coordinator process, beat and the commands that start runs send spans to a collector, over HTTP. Where it is,
    and all else, OpenTelemetry's own variables say, ``OTEL_EXPORTER_OTLP_ENDPOINT`` first. None: what the application has set up
    is used."""

    console: ConsoleSettings = ConsoleSettings()
    payloads: PayloadSettings = PayloadSettings()
    payments: PaymentsSettings = PaymentsSettings()
    rides: RidesSettings = RidesSettings()
    media: MediaSettings = MediaSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, before what the environment says."""
        return init_settings, _Environment(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: Any) -> Any:
        return _stripped(given)

    @model_validator(mode="after")
    def _servers_go_together(self) -> Self:
        if (self.broker_url is None) != (self.redis_url is None):
            given, missing = ("broker_url", "redis_url") if self.broker_url else ("redis_url", "broker_url")
            raise ValueError(f"{given} is set and {missing} is not: set both, or neither to run embedded")
        return self

    @model_validator(mode="after")
    def _is_kept_while_it_is_known(self) -> Self:
        by_flow = min(self.journal_retention_by_flow.values(), default=None)
        for name, span in (
            ("journal_retention", self.journal_retention),
            ("journal_retention_by_flow", by_flow),
        ):
            if span is not None and span < self.run_ttl:
                raise ValueError(
                    f"{name} is shorter than run_ttl: for so long what comes late of a run has its place there"
                )
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
    def envelope_limits(self) -> Limits:
        """Limits of an envelope, as it is written and read."""
        return Limits(octets=self.max_message_bytes, nodes=_values(self.max_message_bytes))

    @property
    def message_limits(self) -> Limits:
        """Limits of a message: beside its envelope, of ``max_message_bytes`` at most, it has escapes, and what is to come after it."""
        octets = self.max_message_bytes * 2 + 65_536
        return Limits(octets=octets, text_length=self.max_message_bytes, nodes=_values(octets))

    @property
    def prefix(self) -> str:
        """What queue and key names begin with: empty, or the namespace and a dot."""
        return f"{self.namespace}." if self.namespace else ""


def load(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Raises :class:`SettingsError`, in one line without any value, for a malformed setting or an unknown
    ``COORDINATOR_`` variable.
    """
    check_names()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(
            f"the settings are not valid: {faults(error)}",
            "nothing was started",
            f"each setting is read from {PREFIX}<NAME>",
        ) from None
    except MalformedSetting as error:
        raise SettingsError(
            f"the settings are not valid: {printable(_reason(error), 500)}",
            "nothing was started",
            "write strict JSON",
        ) from None


def _reason(error: Exception) -> str:
    """What is wrong, and with which setting; it does not say what was given."""
    cause = error.__cause__
    return f"{error}: {cause}" if cause is not None else str(error)


def _meant(unknown: list[str], known: Iterable[str]) -> str:
    """Which settings are most like those that are none; where to look, where none is like them."""
    names = sorted(known)
    near = {name: get_close_matches(name.upper(), names, 1, _ALIKE) for name in unknown[:_MOST_NAMED]}
    meant = [f"{name} is like {found[0]}" for name, found in near.items() if found]
    return "; ".join([*meant, "docs/settings.md has the names"])


def check_names() -> None:
    """Raise :class:`SettingsError` for a variable that looks like a setting and is none, is there twice, or is not UTF-8."""
    found = [name for name in os.environ if name.upper().startswith(PREFIX)]
    known = frozenset(_names(Settings, PREFIX))
    unknown = sorted(printable(name, 80) for name in found if name.upper() not in known)
    if unknown:
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        raise SettingsError(
            f"unknown setting {', '.join(unknown[:_MOST_NAMED])}{more}",
            "nothing was started",
            _meant(unknown, known),
        )
    twice = sorted(name for name, times in Counter(map(str.upper, found)).items() if times > 1)
    if twice:
        raise SettingsError(
            f"{', '.join(twice)} is set in capital letters and in small ones",
            "nothing was started",
            "unset one of the two",
        )
    for name in sorted(found):
        if not is_utf8(os.environ[name]):
            raise SettingsError(f"{name} is not UTF-8", "nothing was started", "write it in UTF-8")


def _names(settings: type[BaseModel], prefix: str) -> Iterator[str]:
    """The variables of settings; those of a section can be given one by one, and all in one."""
    for name, field in settings.model_fields.items():
        yield prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, f"{prefix}{name.upper()}__")


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
            yield name, _milliseconds(value)
        elif isinstance(value, tuple):
            yield name, ",".join(map(str, value))
        elif isinstance(value, dict):
            yield name, ",".join(f"{key}={_plain(one)}" for key, one in value.items())
        elif isinstance(value, SecretStr):
            yield name, value.get_secret_value()
        elif value is not None:
            yield name, str(value)


def _plain(value: Any) -> Any:
    return _milliseconds(value) if isinstance(value, timedelta) else value


def _milliseconds(span: timedelta) -> str:
    return f"{span / timedelta(milliseconds=1):.6f}ms"


def _values(octets: int) -> int:
    """How many values there may be in so many bytes: all that fit, for each takes two."""
    return max(Limits().nodes, octets // 2 + 1)
