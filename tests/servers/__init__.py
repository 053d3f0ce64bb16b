"""Real RabbitMQ, Redis and PostgreSQL servers for the tests: in Docker, from the system's programs, or given by URL."""

from tests.servers.choice import open_servers
from tests.servers.control import Control
from tests.servers.model import Servers, ServersUnavailable
from tests.servers.sharing import Sharing

__all__ = ["Control", "Servers", "ServersUnavailable", "Sharing", "open_servers"]
