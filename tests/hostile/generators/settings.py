"""Settings: variables with names and values of every kind, and URLs that are nearly right."""

from __future__ import annotations

from pathlib import Path
from random import Random

from handoffs.config.settings import PREFIX, Settings
from tests.hostile.generators.texts import damaged, text
from tests.hostile.trial import Try

_SECRET = "hush-5f1c"
_URLS = (
    f"amqp://me:{_SECRET}@rabbit:5672//", f"amqps://me:{_SECRET}@[::1]:5671/team%2Fone", f"amqp://a//;amqp://me:{_SECRET}@b//",
    f"redis://:{_SECRET}@redis:6379/0", f"rediss://:{_SECRET}@r:1/2?ssl_cert_reqs=none", f"redis+cluster://:{_SECRET}@r:6379",
    f"unix://me:{_SECRET}@/run/r.sock?db=3", f"postgresql://u:{_SECRET}@db:5432/j?sslmode=require", f"sqlite:///{_SECRET}.sqlite3?timeout=3",
)  # fmt: skip
_COMMANDS = (("agents",), ("flows", "--json"), ("contracts", "list"), ("schedules", "list"))
_URL_NAMES = ("BROKER_URL", "REDIS_URL", "JOURNAL_URL", "PAYMENTS__LEDGER_URL", "PAYMENTS__GATEWAY_URL")
_SECTIONS = (
    "PAYMENTS__LEDGER_URL",
    "RIDES__ETA_DELAY",
    "MEDIA__EDGES",
    "MEDIA__STAND_IN_SPEED",
    "MEDIA__DURABLE",
    "MEDIA__TRANSCODER",
)


def generate(random: Random, _folder: Path) -> Try:
    """A command that reads the settings, and no server."""
    kind = random.choice(list(_KINDS))
    environment = {
        name.replace("\0", "").replace("=", "") or "x": value.replace("\0", "")
        for name, value in _KINDS[kind](random).items()
    }
    return Try(
        f"settings/{kind}",
        random.choice(_COMMANDS),
        environment,
        refused=True if kind in ("unknown", "nested") else None,
        secret=_SECRET,
    )


def _values(random: Random) -> dict[str, str]:
    names = [*(name.upper() for name in Settings.model_fields), *_SECTIONS]
    return {PREFIX + random.choice(names): text(random) for _ in range(random.randint(1, 3))}


def _urls(random: Random) -> dict[str, str]:
    url = damaged(random, random.choice(_URLS))
    while _SECRET not in url and random.random() < 0.8:
        url = damaged(random, random.choice(_URLS))
    return {PREFIX + random.choice(_URL_NAMES): url}


def _unknown(random: Random) -> dict[str, str]:
    return {f"{PREFIX}{text(random)[:200]}_{random.randrange(1000)}": text(random)[:1000]}


def _nested(random: Random) -> dict[str, str]:
    section = random.choice(("PAYMENTS", "MEDIA", "RIDES", "EAGER", "AGENTS"))
    return {PREFIX + section + random.choice(("__A", "__", "__edges")) * random.choice((2, 3, 10_000)): "x"}


def _json(random: Random) -> dict[str, str]:
    opening, closing = random.choice((("[", "]"), ('{"edges":', "}")))
    deep = random.choice((1, 2, 7, 9, 20_000))
    return {
        PREFIX + random.choice(("PAYMENTS", "MEDIA", "RIDES", "QUEUE_LIMITS", "AGENTS")): opening * deep
        + text(random)[:100]
        + closing * deep
    }


_KINDS = {"values": _values, "urls": _urls, "unknown": _unknown, "nested": _nested, "json": _json}
