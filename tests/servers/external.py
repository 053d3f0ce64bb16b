"""Servers that somebody else runs, given by URL."""

import os

from tests.servers.model import Backend, Name, ServersUnavailable

VARIABLES: dict[Name, str] = {
    "rabbitmq": "TEST_BROKER_URL",
    "redis": "TEST_REDIS_URL",
    "postgres": "TEST_POSTGRES_URL",
}


def given_urls() -> dict[Name, str]:
    """What the TEST_..._URL variables say; an empty variable says nothing."""
    return {name: url for name, variable in VARIABLES.items() if (url := os.environ.get(variable))}


class External(Backend):
    """Knows where the servers are, and can do nothing to them."""

    kind = "external"

    def __init__(self, urls: dict[Name, str]) -> None:
        self._urls = urls

    def create(self, name: Name) -> None:
        """Nothing to do."""

    def url(self, name: Name) -> str:
        """As it was given."""
        return self._urls[name]

    def start(self, name: Name) -> None:
        """Refuse."""
        raise self._not_ours(name)

    def stop(self, name: Name) -> None:
        """Refuse."""
        raise self._not_ours(name)

    def kill(self, name: Name) -> None:
        """Refuse."""
        raise self._not_ours(name)

    def freeze(self, name: Name) -> None:
        """Refuse."""
        raise self._not_ours(name)

    def thaw(self, name: Name) -> None:
        """Refuse."""
        raise self._not_ours(name)

    def call(self, name: Name, *command: str) -> None:
        """Refuse."""
        raise self._not_ours(name)

    def is_running(self, name: Name) -> bool:
        """Assume so."""
        return True

    def last_words(self, name: Name) -> str:
        """Its log is not ours to read."""
        return f"see the log of the server that {VARIABLES[name]} names"

    def close(self) -> None:
        """Leave them as they are."""

    def _not_ours(self, name: Name) -> ServersUnavailable:
        return ServersUnavailable(
            f"servers: {name} was given by {VARIABLES[name]} and is not ours to stop or start; unset it for this test"
        )
