"""How each server is made and run from the system's programs, in a folder of its own, on loopback only."""

import os
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.model import Name, ServersUnavailable
from tests.servers.options import postgres_options, redis_options
from tests.servers.ports import free_port
from tests.servers.programs import find, search_path


@dataclass(frozen=True)
class Recipe:
    """One server.

    Attributes
    ----------
    url
        Where it will listen.
    command
        Runs it in the foreground.
    files
        Written into the folder before anything runs: name to text.
    prepare
        Run once to its end before the first start; empty if nothing is to be done.
    companion
        Runs next to it from the first start to the end, through its restarts; empty if there is none.
    environment
        Beyond HOME (the folder), PATH and LANG.
    stop_signal
        Asks for an end in good order.
    """

    url: str
    command: list[str]
    files: Mapping[str, str] = field(default_factory=dict)
    prepare: list[str] = field(default_factory=list)
    companion: list[str] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM


def recipe(name: Name, folder: Path) -> Recipe:
    """The recipe for `name` in `folder`, with ports and a password of its own."""
    make = {"rabbitmq": _rabbitmq, "redis": _redis, "postgres": _postgres}[name]
    return make(folder, free_port(), secrets.token_hex(12))


def base_environment(folder: Path) -> dict[str, str]:
    """What every server gets: nothing of the caller's settings reaches it."""
    return {"HOME": str(folder), "TMPDIR": str(folder), "PATH": search_path(), "LANG": "C.UTF-8"}


def _rabbitmq(folder: Path, port: int, password: str) -> Recipe:
    epmd_port = str(free_port())
    settings = {
        "listeners.tcp.local": f"127.0.0.1:{port}",
        "default_user": "coordinator",
        "default_pass": password,
        "disk_free_limit.absolute": "50MB",
        "vm_memory_high_watermark.absolute": "2GB",
        "raft.wal_max_size_bytes": "67108864",  # what quorum queues have in memory before they write it to segments
    }
    return Recipe(
        url=f"amqp://coordinator:{password}@127.0.0.1:{port}//",
        command=[_found("rabbitmq-server")],
        files={
            "rabbitmq.conf": "".join(f"{key} = {value}\n" for key, value in settings.items()),
            "advanced.config": "[].\n",
            "enabled_plugins": "[].\n",
            "rabbitmq-env.conf": "",
        },
        companion=[_found("epmd"), "-address", "127.0.0.1", "-port", epmd_port],
        environment={
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": epmd_port,
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_NODENAME": f"coordinator-{port}@localhost",
            "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        },
    )


def _redis(folder: Path, port: int, password: str) -> Recipe:
    settings = {"bind": "127.0.0.1", "port": str(port), "dir": str(folder), **redis_options(password)}
    return Recipe(
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        command=[_found("redis-server"), str(folder / "redis.conf")],
        files={"redis.conf": "".join(f'{key} "{value}"\n' for key, value in settings.items())},
    )


def _postgres(folder: Path, port: int, password: str) -> Recipe:
    data = str(folder / "data")
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        **postgres_options(),
    }
    return Recipe(
        url=f"postgresql://coordinator:{password}@127.0.0.1:{port}/postgres",
        command=[
            _found("postgres"),
            "-D",
            data,
            *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
        ],
        files={"password": password},
        prepare=[
            _found("initdb"),
            "--no-sync",
            "--auth=scram-sha-256",
            "--username=coordinator",
            f"--pwfile={folder / 'password'}",
            "--encoding=UTF8",
            "--locale=C",
            f"--pgdata={data}",
        ],
        stop_signal=signal.SIGINT,  # do not wait for clients to leave
    )


def _found(program: str) -> str:
    path = find(program)
    if path is None:
        raise ServersUnavailable(f"servers: {program} is not in {search_path().replace(os.pathsep, ', ')}")
    return path
