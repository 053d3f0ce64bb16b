"""Settings: each from the environment, typed; whatever is wrong is said in one line, without the value."""

import os
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter

from handoffs.config.addresses import Address
from handoffs.config.console import ConsoleSettings, Role, Token
from handoffs.config.duration import Duration
from handoffs.config.payloads import PayloadSettings
from handoffs.config.reference import MediaSettings, PaymentsSettings, RidesSettings
from handoffs.config.settings import PREFIX, Settings, SettingsError, environment, load

_KEY, _OLDER = "A" * 43 + "=", "-_+/" + "B" * 39 + "="
GOOD: dict[str, tuple[dict[str, str], Any]] = {
    "broker_url": (
        {"BROKER_URL": "amqp://me:hush@rabbit:5672/v", "REDIS_URL": "redis://r"},
        "amqp://me:hush@rabbit:5672/v",
    ),
    "redis_url": ({"BROKER_URL": "amqps://b", "REDIS_URL": "rediss://:hush@r:1/2"}, "rediss://:hush@r:1/2"),
    "journal_url": ({"JOURNAL_URL": "postgresql+psycopg://u:p@h/d"}, "postgresql+psycopg://u:p@h/d"),
    "journal_keys": ({"JOURNAL_KEYS": f"{_KEY}, {_OLDER}"}, (_KEY, _OLDER)),
    "journal_retention": ({"JOURNAL_RETENTION": "90d"}, timedelta(days=90)),
    "journal_retention_by_flow": (
        {"JOURNAL_RETENTION_BY_FLOW": "shop.order=60d, shop.refund = 3650d"},
        {"shop.order": timedelta(days=60), "shop.refund": timedelta(days=3650)},
    ),
    "agents": ({"AGENTS": "one.agents, two ,"}, ("one.agents", "two")),
    "contracts_folder": ({"CONTRACTS_FOLDER": "schemas/published"}, "schemas/published"),
    "contracts_enforced": ({"CONTRACTS_ENFORCED": "false"}, False),
    "namespace": ({"NAMESPACE": "team-1"}, "team-1"),
    "log_format": ({"LOG_FORMAT": "json"}, "json"),
    "metrics": ({"METRICS": "0.0.0.0:9464"}, Address("0.0.0.0", 9464)),
    "telemetry": ({"TELEMETRY": "otlp"}, "otlp"),
    "eager": ({"EAGER": "true"}, True),
    "lease": ({"LEASE": "250ms"}, timedelta(milliseconds=250)),
    "stop_grace": ({"STOP_GRACE": "45s"}, timedelta(seconds=45)),
    "crash_limit": ({"CRASH_LIMIT": "5"}, 5),
    "delivery_limit": ({"DELIVERY_LIMIT": "7"}, 7),
    "queue_limits": ({"QUEUE_LIMITS": "shop.pack=500, shop.ship = 7"}, {"shop.pack": 500, "shop.ship": 7}),
    "server_timeout": ({"SERVER_TIMEOUT": "4s"}, timedelta(seconds=4)),
    "outcome_ttl": ({"OUTCOME_TTL": "2h"}, timedelta(hours=2)),
    "run_ttl": ({"RUN_TTL": "40d"}, timedelta(days=40)),
    "result_ttl": ({"RESULT_TTL": "90"}, timedelta(seconds=90)),
    "unpublished_after": ({"UNPUBLISHED_AFTER": "20s"}, timedelta(seconds=20)),
    "shards": ({"SHARDS": "4"}, 4),
    "max_message_bytes": ({"MAX_MESSAGE_BYTES": "2048"}, 2048),
    "broker_message_bytes": ({"BROKER_MESSAGE_BYTES": "4096"}, 4096),
    "embedded_concurrency": ({"EMBEDDED_CONCURRENCY": "2"}, 2),
    "embedded_redis": ({"EMBEDDED_REDIS": "imitation"}, "imitation"),
    "task_events": ({"TASK_EVENTS": "false"}, False),
    "remote_control": ({"REMOTE_CONTROL": "false"}, False),
    "log_level": ({"LOG_LEVEL": "DEBUG"}, "DEBUG"),
    "health_file": ({"HEALTH_FILE": "/run/health.json"}, "/run/health.json"),
    "payloads": (
        {
            "PAYLOADS__URL": "s3://kept/prefix",
            "PAYLOADS__ENDPOINT": "http://minio:9000/",
            "PAYLOADS__THRESHOLD": "4096",
            "PAYLOADS__RETENTION": "45d",
        },
        PayloadSettings(
            url="s3://kept/prefix",
            endpoint="http://minio:9000",
            threshold=4096,
            retention=timedelta(days=45),
        ),
    ),
    "console": (
        {
            "CONSOLE__TOKENS": f"ann:admin:{'t' * 30}",
            "CONSOLE__PAYLOADS": "admin",
            "CONSOLE__SECRET": "s" * 32,
            "CONSOLE__PUBLIC_URL": "https://console.example/",
            "CONSOLE__FLOWER_URL": "https://flower.example/flower/",
        },
        ConsoleSettings(
            tokens=(Token.read(f"ann:admin:{'t' * 30}"),),
            payloads=Role.ADMIN,
            secret=SecretStr("s" * 32),
            public_url="https://console.example",
            flower_url="https://flower.example/flower",
        ),
    ),
    "payments": (
        {"PAYMENTS__LEDGER_URL": "sqlite:///l", "PAYMENTS__GATEWAY_URL": "sqlite:///g"},
        PaymentsSettings(ledger_url="sqlite:///l", gateway_url="sqlite:///g"),
    ),
    "rides": ({"RIDES__ETA_DELAY": "1500ms"}, RidesSettings(eta_delay=timedelta(milliseconds=1500))),
    "media": (
        {"MEDIA__FOLDER": "/srv/media", "MEDIA__STAND_IN_SIZE": "0.5", "MEDIA__TRANSCODING_LIMIT": "2m"},
        MediaSettings(folder="/srv/media", stand_in_size=0.5, transcoding_limit=timedelta(minutes=2)),
    ),
}
BAD = [
    ("BROKER_URL", "http://hush"),
    ("BROKER_URL", "hush"),
    ("BROKER_URL", "amqp://hush"),
    ("REDIS_URL", "redis://hush"),
    ("REDIS_URL", "http://[hush"),
    ("JOURNAL_URL", "mysql://hush"),
    ("JOURNAL_KEYS", "hush"),
    ("JOURNAL_KEYS", f"{_KEY},hush+hush="),
    ("JOURNAL_KEYS", "hush" * 11),
    ("LOG_FORMAT", "hush"),
    ("METRICS", "hush"),
    ("METRICS", "hush:99999"),
    ("METRICS", ":1234"),
    ("METRICS", "hush:94:64"),
    ("METRICS", "hush:\u0661"),
    ("JOURNAL_RETENTION", "hush"),
    ("JOURNAL_RETENTION", "29d"),
    ("JOURNAL_RETENTION_BY_FLOW", "shop.order"),
    ("JOURNAL_RETENTION_BY_FLOW", "shop.order=hush"),
    ("JOURNAL_RETENTION_BY_FLOW", "shop.order=29d"),
    ("JOURNAL_RETENTION_BY_FLOW", "Hush!=90d"),
    ("NAMESPACE", "Hush!"),
    ("NAMESPACE", "hush" * 20),
    ("EAGER", "hush"),
    ("LEASE", "hush"),
    ("LEASE", "-1s"),
    ("LEASE", "0"),
    ("LEASE", "9" * 400 + "d"),
    ("LEASE", "9" * 20 + "d"),
    ("LEASE", "25h"),
    ("LEASE", "0.5ms"),
    ("LEASE", "\u0661\u0662s"),
    ("LEASE", "nan"),
    ("LEASE", "1e400"),
    ("RUN_TTL", "999999999d"),
    ("RUN_TTL", "inf"),
    ("SHARDS", "1_6"),
    ("SHARDS", "\u0661\u0666"),
    ("SHARDS", "4.0"),
    ("SHARDS", "9" * 5_000),
    ("MEDIA__STAND_IN_SIZE", "nan"),
    ("MEDIA__STAND_IN_SIZE", "1e-1"),
    ("MEDIA__STAND_IN_SPEED", "1_000"),
    ("MEDIA__STAND_IN_SPEED", "1e400"),
    ("MEDIA__A__B__C", "hush"),
    ("MEDIA", "[" * 100_000),
    ("MEDIA", '{"edges": 2, "edges": 3}'),
    ("MEDIA", '{"edges": NaN}'),
    ("MEDIA", r'{"stand_in_speed": "\ud800"}'),
    ("PAYMENTS__LEDGER_URL", "sqlite:////hush.sqlite3?hush=1"),
    ("AGENTS", "hush\udcff"),
    ("CONTRACTS_FOLDER", "\udcff/hush"),
    ("OUTCOME_TTL", "0ms"),
    ("RUN_TTL", "1 year"),
    ("RESULT_TTL", ""),
    ("CRASH_LIMIT", "hush"),
    ("CRASH_LIMIT", "0"),
    ("DELIVERY_LIMIT", "1001"),
    ("QUEUE_LIMITS", "shop.pack"),
    ("QUEUE_LIMITS", "shop.pack=0"),
    ("QUEUE_LIMITS", "Shop Pack=3"),
    ("SHARDS", "1.5"),
    ("MAX_MESSAGE_BYTES", "1023"),
    ("EMBEDDED_CONCURRENCY", "257"),
    ("LOG_LEVEL", "hush"),
    ("PAYMENTS__HUSH", "1"),
    ("PAYMENTS", "hush"),
    ("MEDIA__HUSH", "1"),
    ("MEDIA__TRANSCODER", "hush"),
    ("MEDIA__TRANSCODING_LIMIT", "0s"),
    ("MEDIA__STAND_IN_SPEED", "inf"),
    ("MEDIA__STAND_IN_SIZE", "0"),
    ("MEDIA__EDGES", "65"),
    ("PAYMENTS", '{"hush": 1}'),
]


ODD = {
    "broker_url": [
        "amqp://me:hush@rabbit:abc//", "amqp://me:hush@rabbit:99999//", "amqp://me:hush@rabbit:0//", "amqp://me:hush@rabbit:-1//",
        "amqp://me:hush@rabbit:\u0661//", "amqp://me:hu?sh@rabbit//", "amqp://me:hu#sh@rabbit//", "amqp://me:hu/sh@rabbit//",
        "amqp://me:hush@[::1//", "amqp://me:hush@::1//", "amqp://me:%ff@rabbit//", "amqp://me:%f@rabbit//", "amqp://me:100%@rabbit//",
        "amqp://me:hush@rabbit/%ff", "amqp://me:hush@rabbit//?heartbeat=nan", "amqp://me:hush@rabbit//?ssl_cert_reqs=nonsense",
        "amqp://me:hush@rabbit//?", "amqp://me:hush@rabbit//;http://hush", "amqp://me:hush@rabbit//;", "amqp:me:hush", "amqp:/hush",
        "amqp://me:hu sh@rabbit//", "amqp://me:hush@rabbit/\x1b[2J", "amqp://me:hush@rabbit/\u202e", "amqp://me:hush@rabbit/%00",
    ],
    "redis_url": [
        "redis://:hush@redis/abc", "redis://:hush@redis/0/1", "redis://:hush@redis/-1", "redis://:hush@redis/1_0", "redis://:hush@redis/\u0661",
        "redis://:hush@redis/99999999999", "redis://:hush@redis:abc/0", "redis://:hush@redis:99999/0", "redis://:hush@redis?hush=1",
        "redis://:hush@redis?db=abc", "redis://:hush@redis/1?db=2", "redis://:hush@redis?db=1&db=1", "redis://:hush@redis?db",
        "redis://:hush@redis?ssl_cert_reqs=none", "rediss://:hush@redis?ssl_cert_reqs=nonsense", "rediss://:hush@redis?ssl_check_hostname=maybe",
        "rediss://:hush@redis?socket_timeout=nan", "rediss://:hush@redis?ssl_ca_certs=", "rediss://:hush@redis?ssl_ca_certs=%ff",
        "redis+sentinel://:hush@sentinel/main", "sentinel://hush", "redis+cluster://:hush@redis/1", "redis+cluster://:hush@redis?db=1",
        "unix://hush.sock", "unix:///", "unix:///run/hush.sock?db=abc", "unix:///run/hush.sock?ssl_ca_certs=x", "redis://[hush]/0",
        "redis://:%ff@redis/0",
    ],
    "journal_url": [
        "postgresql://u:hush@db:abc/j", "postgresql://u:hush@db:99999/j", "postgresql://u:%ff@db/j", "sqlite://hush/j", "sqlite:///j?hush=1",
        "sqlite:///j?timeout=nan", "sqlite:///hush%", "mysql://u:hush@db/j", "postgresql+asyncpg://u:hush@db/j", "postgresql://u:hush@a:1,b:2/j",
        "postgresql://u:hush@db/j?hush",
    ],
}  # fmt: skip
"""URLs of which a part would be dropped, or fail only later."""
FINE = {
    "broker_url": ["amqp://h", "amqp://[::1]:5672//", "amqps://me:%2F%C3%A9@h:5671/team%2Fone", "amqp://a//; amqp://b//", "pyamqp://h/v"],
    "redis_url": ["redis://[::1]:6379/15", "redis://h/", "rediss://:s@h:6380/0?ssl_cert_reqs=none&ssl_check_hostname=false",
        "rediss+cluster://h?ssl_ca_certs=/etc/ca.pem", "unix:///run/redis.sock?db=3", "unix://me:s@/run/redis.sock", "redis://h?db=7"],
    "journal_url": ["sqlite://", "sqlite:///j", "sqlite:////srv/j?timeout=30", "postgresql://u:p%40@h:5432/j?sslmode=require"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from outside the test."""
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    """With nothing set, everything runs in this process."""
    settings = load()
    assert settings.embedded
    assert settings.prefix == ""


def test_every_setting_is_tried() -> None:
    """The table above has every setting."""
    assert GOOD.keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", GOOD)
def test_read_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is read from the variable of its name, in any case, and differs from the default then."""
    given, expected = GOOD[name]
    for variable, value in given.items():
        monkeypatch.setenv(PREFIX + variable, value)
    settings = load()
    assert getattr(settings, name) == expected
    assert getattr(settings, name) != Settings.model_fields[name].get_default()


@pytest.mark.parametrize(("variable", "value"), BAD)
def test_malformed(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A malformed value is one line that names the setting and does not show the value."""
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(SettingsError) as caught:
        load()
    text = str(caught.value)
    assert "\n" not in text
    assert variable.partition("__")[0].lower() in text.lower()
    assert len(value) < 4 or value not in text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ODD)
def test_what_stands_in_a_url_is_understood_or_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port, a database, an option or an octet that would be dropped, or fail only at the first use, is refused at once, in one
    line that names the setting and has nothing of the value."""
    monkeypatch.setenv(PREFIX + "BROKER_URL", "amqp://h")
    monkeypatch.setenv(PREFIX + "REDIS_URL", "redis://h")
    for url in ODD[name]:
        monkeypatch.setenv(PREFIX + name.upper(), url)
        with pytest.raises(SettingsError, match=f"{name}: ") as caught:
            load()
        assert "\n" not in str(caught.value)
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", FINE)
def test_urls_that_are_understood(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv6, sockets, clusters, TLS and percent signs are URLs like others, and what connects can read them."""
    monkeypatch.setenv(PREFIX + "BROKER_URL", "amqp://h")
    monkeypatch.setenv(PREFIX + "REDIS_URL", "redis://h")
    for url in FINE[name]:
        monkeypatch.setenv(PREFIX + name.upper(), url)
        assert getattr(load(), name) == url


def test_one_setting_in_two_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is set in capital letters and in small ones is refused: only one of them would count."""
    monkeypatch.setenv("COORDINATOR_EAGER", "true")
    monkeypatch.setenv("coordinator_eager", "false")
    with pytest.raises(SettingsError, match="capital letters"):
        load()


def test_names_that_nobody_should_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of variables are shown with escapes, and not thousands of them."""
    for number in range(50):
        monkeypatch.setenv(f"COORDINATOR_\x1b[2J\n\udcff{number}", "x")
    with pytest.raises(SettingsError, match="and 45 more") as caught:
        load()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["COORDINATOR_BROKER", "coordinator_lese", "COORDINATOR_", "COORDINATOR_PAYMENT__X"]
)
def test_unknown_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that looks like a setting and is none is refused by its name: it would be ignored otherwise."""
    monkeypatch.setenv(name, "hush")
    with pytest.raises(SettingsError, match=f"unknown setting {name};") as caught:
        load()
    assert "hush" not in str(caught.value)


def test_other_variables_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables without our prefix are left alone."""
    monkeypatch.setenv("BROKER_URL", "amqp://x")
    assert load().embedded


def test_servers_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broker and Redis are set both or neither."""
    monkeypatch.setenv("COORDINATOR_REDIS_URL", "redis://r")
    with pytest.raises(SettingsError, match="redis_url is set and broker_url is not"):
        load()
    monkeypatch.setenv("COORDINATOR_BROKER_URL", "amqp://b")
    assert not load().embedded


def test_overrides_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program gives goes before the environment, and is checked like it."""
    monkeypatch.setenv("COORDINATOR_SHARDS", "4")
    assert load(shards=2, lease="2s").lease == timedelta(seconds=2)
    assert load(shards=2).shards == 2
    with pytest.raises(SettingsError):
        load(nonsense=1)


def test_prefix() -> None:
    """A namespace and a dot begin every name."""
    assert load(namespace="team").prefix == "team."


durations: TypeAdapter[timedelta] = TypeAdapter(Duration)


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m", "h", "d", ""]), st.sampled_from(["", " "]))
def test_durations(number: int, unit: str, space: str) -> None:
    """A duration is a number and a unit, seconds by default."""
    name = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "": "seconds"}[
        unit
    ]
    read = durations.validate_python(f"{space}{number}{space}{unit}")
    assert abs(read - timedelta(**{name: number})) <= timedelta(microseconds=1000 if number > 10**5 else 1)


@given(st.timedeltas(min_value=timedelta(microseconds=1)))
def test_timedelta_is_taken_as_it_is(value: timedelta) -> None:
    """A timedelta is a duration already."""
    assert durations.validate_python(value) == value


@pytest.mark.parametrize("name", GOOD)
def test_another_process_gets_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that settings are written into gives the same settings."""
    for variable, value in GOOD[name][0].items():
        monkeypatch.setenv(PREFIX + variable, value)
    monkeypatch.setenv("PATH", "/bin")
    settings = load()
    written = environment(settings)
    assert written["PATH"] == "/bin"
    for variable, value in written.items():
        monkeypatch.setenv(variable, value)
    assert load() == settings


def test_the_journal_has_a_place_by_default() -> None:
    """Where no URL is set, the journal is a file in the working directory."""
    assert Settings(journal_url="sqlite:///other").journal == "sqlite:///other"
    assert Settings().journal == "sqlite:///coordinator-journal.sqlite3"


def test_limits_of_messages_follow_their_largest_size() -> None:
    """A text may be as long as a message; around it there is room for escapes and headers."""
    limits = Settings(max_message_bytes=4096).message_limits
    assert (limits.octets, limits.text_length) == (4096 * 2 + 65_536, 4096)


def test_a_file_of_variables_with_crlf(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CR that such a file leaves at the end of each variable is no part of a setting, of whatever type, at any depth."""
    given = {"LOG_LEVEL": "INFO", "EAGER": "true", "LEASE": "15s", "SHARDS": "4", "AGENTS": "a,b", "NAMESPACE": "n",
             "QUEUE_LIMITS": "a.b=5", "MEDIA__TRANSCODER": "auto", "MEDIA__DURABLE": "false"}  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(PREFIX + name, f"{value}\r")
    found = load()
    assert (found.log_level, found.eager, found.lease, found.shards) == (
        "INFO",
        True,
        timedelta(seconds=15),
        4,
    )
    assert (found.agents, found.namespace, found.queue_limits) == (("a", "b"), "n", {"a.b": 5})
    assert (found.media.transcoder, found.media.durable) == ("auto", False)
