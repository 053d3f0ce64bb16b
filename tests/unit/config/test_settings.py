"""Settings: each from the environment, typed; whatever is wrong is said in one line, without the value."""

import os
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from handoffs.config.duration import Duration
from handoffs.config.reference import MediaSettings, PaymentsSettings, RidesSettings
from handoffs.config.settings import PREFIX, Settings, SettingsError, environment, load

GOOD: dict[str, tuple[dict[str, str], Any]] = {
    "broker_url": (
        {"BROKER_URL": "amqp://me:hush@rabbit:5672/v", "REDIS_URL": "redis://r"},
        "amqp://me:hush@rabbit:5672/v",
    ),
    "redis_url": ({"BROKER_URL": "amqps://b", "REDIS_URL": "rediss://:hush@r:1/2"}, "rediss://:hush@r:1/2"),
    "journal_url": ({"JOURNAL_URL": "postgresql+psycopg://u:p@h/d"}, "postgresql+psycopg://u:p@h/d"),
    "agents": ({"AGENTS": "one.agents, two ,"}, ("one.agents", "two")),
    "contracts_folder": ({"CONTRACTS_FOLDER": "schemas/published"}, "schemas/published"),
    "contracts_enforced": ({"CONTRACTS_ENFORCED": "false"}, False),
    "namespace": ({"NAMESPACE": "team-1"}, "team-1"),
    "eager": ({"EAGER": "true"}, True),
    "lease": ({"LEASE": "250ms"}, timedelta(milliseconds=250)),
    "crash_limit": ({"CRASH_LIMIT": "5"}, 5),
    "delivery_limit": ({"DELIVERY_LIMIT": "7"}, 7),
    "queue_limits": ({"QUEUE_LIMITS": "shop.pack=500, shop.ship = 7"}, {"shop.pack": 500, "shop.ship": 7}),
    "outcome_ttl": ({"OUTCOME_TTL": "2h"}, timedelta(hours=2)),
    "run_ttl": ({"RUN_TTL": "40d"}, timedelta(days=40)),
    "result_ttl": ({"RESULT_TTL": "90"}, timedelta(seconds=90)),
    "unpublished_after": ({"UNPUBLISHED_AFTER": "20s"}, timedelta(seconds=20)),
    "shards": ({"SHARDS": "4"}, 4),
    "max_message_bytes": ({"MAX_MESSAGE_BYTES": "2048"}, 2048),
    "embedded_concurrency": ({"EMBEDDED_CONCURRENCY": "2"}, 2),
    "task_events": ({"TASK_EVENTS": "false"}, False),
    "log_level": ({"LOG_LEVEL": "DEBUG"}, "DEBUG"),
    "health_file": ({"HEALTH_FILE": "/run/health.json"}, "/run/health.json"),
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
    ("NAMESPACE", "Hush!"),
    ("NAMESPACE", "hush" * 20),
    ("EAGER", "hush"),
    ("LEASE", "hush"),
    ("LEASE", "-1s"),
    ("LEASE", "0"),
    ("LEASE", "9" * 400 + "d"),
    ("LEASE", "9" * 20 + "d"),
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
