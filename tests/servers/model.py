"""What the servers are to a test, and what a way of running them must offer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    from tests.servers.control import Control

Name = Literal["rabbitmq", "redis", "postgres"]
NAMES: tuple[Name, ...] = get_args(Name)


class ServersUnavailable(Exception):
    """Raised when the servers cannot be had; the message is one line that says what to do about it."""


@dataclass(frozen=True)
class Servers:
    """Three running servers, the same for the whole test session.

    Attributes
    ----------
    broker_url, redis_url, postgres_url
        With user and password; `postgresql://` suits both psycopg and SQLAlchemy.
    kind
        "docker", "system", "external", or two of them joined by "+".
    versions
        For people to read: "rabbitmq 3.10.8 redis 7.0.15 postgres 15.18".
    control
        Stops, kills, starts and restarts them.
    """

    broker_url: str
    redis_url: str
    postgres_url: str
    kind: str
    versions: str
    control: "Control"


class Backend(Protocol):
    """One way of running servers. Each method takes a name that the backend was made for."""

    kind: str

    def create(self, name: Name) -> None:
        """Make the server's data and start it for the first time; do not wait until it is ready."""

    def url(self, name: Name) -> str:
        """Where it listens, from before it is created until the end: the port never changes."""

    def start(self, name: Name) -> None:
        """Start it again on the data that it left; do not wait until it is ready."""

    def stop(self, name: Name) -> None:
        """Ask it to end in good order and wait until it has."""

    def kill(self, name: Name) -> None:
        """End it at once, as by SIGKILL, and wait until it is gone."""

    def freeze(self, name: Name) -> None:
        """Stop its processes as SIGSTOP does: it takes connections, and answers nothing."""

    def thaw(self, name: Name) -> None:
        """Let them go on."""

    def call(self, name: Name, *command: str) -> None:
        """Run one of the server's own programs beside it, and wait until it has ended well."""

    def is_running(self, name: Name) -> bool:
        """Whether its process is alive, ready or not."""

    def last_words(self, name: Name) -> str:
        """The end of its log, for an error message."""

    def close(self) -> None:
        """End all of them and delete their data. May be called at any time, and twice."""
