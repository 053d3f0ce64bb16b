"""docker-compose.yml and .env.example, as text: nothing in them is secret, and nothing is open to other machines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.payments.flow import payment
from tests.stack import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
SECRET = re.compile(r"PASS|PASSWORD|COOKIE|SECRET|TOKEN|AUTH|(^|_)KEY")


def _published() -> Iterator[str]:
    """Each entry under a key ``ports``, in both ways of writing a list."""
    lines = COMPOSE.splitlines()
    for number, line in enumerate(lines):
        found = re.match(r"( *)ports:\s*(.*)", line)
        if found is None:
            continue
        if found[2]:
            yield from re.findall(r'[^\[\],\s"]+', found[2].partition(" #")[0])
            continue
        for entry in lines[number + 1 :]:
            item = re.match(r" +- +(.*)", entry)
            if item is None:
                break
            yield item[1].strip('"')


def test_no_secret_is_written_down() -> None:
    """Every password, cookie or token in the compose file is a variable that must be set."""
    secrets = re.findall(r"^ *(?:environment: \{)?([A-Z][A-Z_]+): (.+)$", COMPOSE, re.MULTILINE)
    found = [(name, value) for name, value in secrets if SECRET.search(name)]
    assert len(found) > 5
    for name, value in found:
        literal = re.sub(r"\$\{[A-Z_]+(:\?[^}]*)?\}", "", value)
        assert literal.strip(' "}') in {"", "coordinator:"}, name  # a user's name is no secret
    assert re.findall(r"requirepass (?!\$\{)", COMPOSE) == []


def test_no_secret_is_in_the_example() -> None:
    """In the example every secret is empty: `make up` makes one."""
    secrets = {name: value for name, value in EXAMPLE.items() if SECRET.search(name)}
    assert len(secrets) > 5
    assert set(secrets.values()) == {""}


def test_no_url_has_a_password_of_its_own() -> None:
    """A URL takes its password from a variable, in the compose file and in the example."""
    passwords = re.findall(
        r"://[^:/@\s]*:((?:\$\{[^}]*\}|[^@/\s])*)@", "\n".join([COMPOSE, *EXAMPLE.values()])
    )
    assert len(passwords) >= 10
    assert [password for password in passwords if not re.fullmatch(r"\$\{\w+(:\?[^}]*)?\}", password)] == []


def test_every_variable_that_must_be_set_is_in_the_example() -> None:
    """What the stack cannot start without is in the example, so that `make up` provides it."""
    needed = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    used = set(re.findall(r"\$\{(\w+)\}", COMPOSE))
    assert needed
    assert used <= needed, "what is used must be demanded somewhere"
    assert needed <= EXAMPLE.keys()


def test_the_example_is_used() -> None:
    """Every variable of the example is used by the compose file, or is a setting of the clients on this host."""
    used = set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert {name for name in EXAMPLE if not name.startswith("COORDINATOR_")} <= used


def test_every_agent_has_a_service() -> None:
    """Each agent of the payments flow has a service that runs a worker of it, and of it alone."""
    commands = re.findall(r"command: \[coordinator, worker, ([^\]]+)\]", COMPOSE)
    assert sorted(command.split(",")[0] for command in commands) == sorted(payment.agents())


def test_ports_are_for_this_host_only() -> None:
    """Every port is published on loopback, under a number that the example lets a person choose."""
    published = list(_published())
    assert len(published) >= 5
    for entry in published:
        found = re.fullmatch(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}:(\d+)", entry)
        assert found is not None, entry
        name, default, inside = found.groups()
        assert EXAMPLE[name] == default == inside
    assert COMPOSE.count("127.0.0.1:$") == len(published)
    assert "network_mode" not in COMPOSE
    assert "published:" not in COMPOSE
