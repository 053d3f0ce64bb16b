"""URLs of servers, as settings have them: all that stands in one is understood, or it is refused. Nothing that is said of one has a part of
it: there are passwords in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, unquote_to_bytes, urlsplit

from pydantic import AfterValidator

_SPECIAL = "in a user, a password or a name, write other signs than letters and digits as % and their octets"
_MOST_DATABASES = 2**31 - 1
_TLS = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
        "ssl_keyfile_password",
    }
)
_SQLITE = frozenset({"cache", "immutable", "mode", "nolock", "timeout", "uri", "vfs"})
_OPTIONS = {
    "ssl_cert_reqs": "required|optional|none",
    "ssl_check_hostname": "true|false|yes|no|1|0",
    "timeout": "[0-9]{1,6}([.][0-9]{1,3})?",
    "uri": "true|false",
}
"""What an option may be, where that is not any text."""


def _broker(url: str) -> str:
    for one in url.split(";"):
        parts = _split(one.strip(), ("amqp", "amqps", "pyamqp"))
        _options(one, parts, frozenset())
    return url


def _redis(url: str) -> str:
    parts = _split(url, ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix"))
    secure = parts.scheme.startswith("rediss")
    database = {"db"} if parts.scheme in ("redis", "rediss", "unix") else set()
    options = _options(url, parts, frozenset(database | (_TLS if secure else set())))
    if parts.scheme == "unix":
        if parts.hostname or len(parts.path) < 2:
            raise ValueError("it names no socket: write unix:///run/redis.sock")
        numbers = []
    else:
        numbers = [parts.path.removeprefix("/")] if parts.path not in ("", "/") else []
    numbers += [options["db"]] if "db" in options else []
    if any(not re.fullmatch("[0-9]{1,10}", number) or int(number) > _MOST_DATABASES for number in numbers):
        raise ValueError("its database is no number: write redis://host:6379/0")
    if len({int(number) for number in numbers}) > 1:
        raise ValueError("it names two databases")
    if parts.scheme.endswith("+cluster") and any(int(number) for number in numbers):
        raise ValueError("a Redis Cluster has no database but 0")
    return url


def _database(url: str) -> str:
    parts = _split(url, ("sqlite", "postgresql", "postgresql+psycopg"))
    if parts.scheme == "sqlite":
        if parts.netloc:
            raise ValueError(
                "a file has no host: write sqlite:///folder/file, or sqlite:////folder/file from the root"
            )
        _options(url, parts, _SQLITE)
    else:
        _options(url, parts, None)  # those of libpq, which knows them
    return url


BrokerUrl = Annotated[str, AfterValidator(_broker)]
"""``amqp://``, ``amqps://`` or ``pyamqp://``; several are separated by semicolons."""
RedisUrl = Annotated[str, AfterValidator(_redis)]
"""``redis://``, ``rediss://``, both with ``+cluster``, or ``unix://``."""
DatabaseUrl = Annotated[str, AfterValidator(_database)]
"""``sqlite://``, ``postgresql://`` or ``postgresql+psycopg://``."""


def _split(url: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL, each of which can be read. Raises :class:`ValueError` that says what is wrong, not with what."""
    if not url.isprintable() or " " in url:
        raise ValueError("it has a blank or a sign in it that is not shown")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"it is no URL; {_SPECIAL}") from None
    if parts.scheme not in schemes or not url[len(parts.scheme) :].startswith("://"):
        raise ValueError(f"it must begin with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"its port is no number from 1 to 65535; {_SPECIAL}")
    if "#" in url:
        raise ValueError("it has a #: write %23")
    for part in (parts.username, parts.password, parts.hostname, parts.path):
        _check_octets(part or "")
    return parts


def _check_octets(part: str) -> None:
    if re.search("%(?![0-9A-Fa-f]{2})", part):
        raise ValueError("it has a % without two hexadecimal digits after it: write %25")
    try:
        octets = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise ValueError("what is written with % in it is not UTF-8") from None
    if "\0" in octets:
        raise ValueError("it has a %00 in it")


def _options(url: str, parts: SplitResult, known: frozenset[str] | None) -> Mapping[str, str]:
    """What stands after the ``?``; ``known`` are the names that mean something, None: somebody else knows."""
    _check_octets(parts.query.replace("+", "%20"))
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if "?" in url else []
    except ValueError:
        given = []
    if "?" in url and not given:
        raise ValueError("what stands after its ? is no option=value")
    named = dict(given)
    if len(named) != len(given):
        raise ValueError("it has an option twice")
    odd = [name for name in named if known is not None and name not in known]
    if odd:
        which = f"it can have {', '.join(sorted(known))}" if known else "it can have none"
        raise ValueError(f"it has an option that is not known, or is not for this kind; {which}")
    for name, value in named.items():
        if known is not None and not re.fullmatch(_OPTIONS.get(name, ".+"), value):
            form = (
                f": it is one of {_OPTIONS[name].replace('|', ', ')}" if "|" in _OPTIONS.get(name, "") else ""
            )
            raise ValueError(f"its option {name} is malformed{form}")
    return named
