"""Settings: what the doctor says of this process: its settings, secrets, modules, contracts and packages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from handoffs.config.installed import installed
from handoffs.config.settings import Settings, SettingsError, check_names, key_bytes
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.versions import known
from handoffs.coordinator.flow.lineage import contracts_of
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.flow.twins import refuse_twins
from handoffs.coordinator.observe.doctor.check import Check, failed, of_error, ok, warning

_PYTHON = (3, 11)
_HERE = frozenset({"localhost", "127.0.0.1", "::1", ""})
_WEAK = frozenset(
    {
        "guest",
        "password",
        "admin",
        "secret",
        "changeme",
        "coordinator",
        "postgres",
        "rabbitmq",
        "redis",
        "test",
    }
)
_FEWEST_OCTETS = 8
"""A key that is made of less different octets was not drawn at random."""
_MOST = 5


def settings_checks(settings: Settings) -> Iterator[Check]:
    """What there is to say of settings and packages."""
    yield _names()
    yield _mode(settings)
    yield from _secrets(settings)
    yield _keys(settings.journal_keys)
    if settings.metrics is not None and find_spec("prometheus_client") is None:
        yield failed(
            "settings",
            "metrics",
            "COORDINATOR_METRICS is set, and prometheus-client is not installed",
            "pip install 'handoffs[metrics]', or unset it",
        )
    versions = installed()
    if sys.version_info < _PYTHON:
        yield failed("settings", "python", f"{versions['python']} is too old", "install Python 3.11 or newer")
    else:
        yield ok(
            "settings",
            "python",
            f"{versions['python']}; "
            + ", ".join(f"{name} {one}" for name, one in versions.items() if one and name != "python"),
        )


def settings_refused(error: CoordinationError) -> Check:
    """That the settings are none."""
    return of_error("settings", "variables", error, "docs/settings.md has the names")


def _names() -> Check:
    try:
        check_names()
    except SettingsError as error:
        return settings_refused(error)
    return ok("settings", "variables", "each COORDINATOR_ variable is a setting")


def _mode(settings: Settings) -> Check:
    if settings.eager:
        return ok("settings", "mode", "eager: each step runs in its caller, and nothing is kept")
    if settings.embedded:
        return ok(
            "settings",
            "mode",
            "embedded: broker, Redis, workers and coordinator process are in this process, and end with it",
        )
    return ok(
        "settings",
        "mode",
        "a client of servers" + (f", namespace {settings.namespace}" if settings.namespace else ""),
    )


def _secrets(settings: Settings) -> Iterator[Check]:
    weak = [
        f"{name}: {fault}"
        for name, url in (("COORDINATOR_BROKER_URL", settings.broker_url), ("COORDINATOR_REDIS_URL", settings.redis_url), ("COORDINATOR_JOURNAL_URL", settings.journal_url))
        for one in (url or "").split(";")
        if (fault := weakness(one))
    ]  # fmt: skip
    if weak:
        yield warning(
            "settings",
            "secrets",
            "; ".join(dict.fromkeys(weak)),
            "give each server a user of its own, and a password that was drawn at random",
        )
    elif not settings.embedded:
        yield ok("settings", "secrets", "no URL has a password that everybody knows")


def weakness(url: str) -> str:
    """What is wrong with the user and the password of a URL of a server; empty where nothing is, or it is on this host, or a file."""
    parts = urlsplit(url.strip())
    if parts.scheme in ("", "sqlite", "unix") or (parts.hostname or "") in _HERE:
        return ""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not password:
        return "it has no password"
    if password.lower() in _WEAK or password == user:
        return "everybody knows its password"
    return ""


def _keys(keys: Sequence[str]) -> Check:
    weak = [number for number, key in enumerate(keys, 1) if len(set(key_bytes(key))) < _FEWEST_OCTETS]
    if weak:
        return failed(
            "settings",
            "journal keys",
            f"key {', '.join(map(str, weak))} was not drawn at random",
            "openssl rand -base64 32, as the first; then coordinator dead-letters reseal",
        )
    return ok("settings", "journal keys", f"{len(keys)} of them" if keys else "none is set")


def module_checks(load: Callable[[], Definitions], registry: Registry) -> Iterator[Check]:
    """What there is to say of the modules of agents and of their contracts."""
    try:
        definitions = load()
        contracts = contracts_of(definitions)
        refuse_twins(contracts)
    except CoordinationError as error:
        yield of_error(
            "settings", "modules", error, "name modules that can be imported in COORDINATOR_AGENTS"
        )
        return
    yield ok(
        "settings",
        "modules",
        f"{len(definitions.agents)} agents, {len(definitions.flows)} flows, {len(definitions.schedules)} schedules",
    )
    faults = [str(fault) for fault in registry.faults()]
    if faults:
        more = f"; and {len(faults) - _MOST} more" if len(faults) > _MOST else ""
        yield failed(
            "settings",
            "published contracts",
            "; ".join(faults[:_MOST]) + more,
            "restore the files from the version control: coordinator contracts check",
        )
        return
    changed = changed_contracts(contracts, registry)
    if changed:
        yield failed(
            "settings",
            "published contracts",
            f"the code has another {', '.join(changed)} than was published",
            "publish a new version: coordinator contracts check",
        )
    else:
        yield ok("settings", "published contracts", f"{len(list(registry))}, each as it was published")


def limit_checks(definitions: Definitions) -> Iterator[Check]:
    """That nothing ends the steps of agents with a time limit, where agents work in this process."""
    limited = sorted(name for name, agent in definitions.agents.items() if agent.time_limit is not None)
    if limited:
        more = f" and {len(limited) - _MOST} more" if len(limited) > _MOST else ""
        yield warning(
            "workers",
            "time limits",
            f"{', '.join(limited[:_MOST])}{more}: a time limit is set, and in this process nothing ends a step that takes longer",
            "run these agents with coordinator worker --pool prefork, on a broker and a Redis "
            "(COORDINATOR_BROKER_URL, COORDINATOR_REDIS_URL)",
        )


def changed_contracts(contracts: Sequence[type[Contract]], registry: Registry) -> list[str]:
    """Those of these contracts that were published otherwise than the code has them, as ``name/version``."""
    return [str(one.ref()) for one in contracts if _is_changed(one, registry)]


def _is_changed(contract: type[Contract], registry: Registry) -> bool:
    published = registry.get(contract.ref())
    return published is not None and published.fingerprint != known(contract).fingerprint
