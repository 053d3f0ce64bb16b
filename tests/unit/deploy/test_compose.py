"""docker-compose.yml and .env.example, as text: nothing in them is secret, and nothing is open to other machines."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from handoffs.coordinator.flow.loading import load_modules
from tests.stack import ROOT, load

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
    """Every password, cookie or token in the compose file is a variable that must be set, or that may be empty."""
    secrets = re.findall(r"^ *(?:environment: \{)?([A-Z][A-Z_]+): (.+)$", COMPOSE, re.MULTILINE)
    found = [(name, value) for name, value in secrets if SECRET.search(name)]
    assert len(found) > 5
    for name, value in found:
        literal = re.sub(r"\$\{[A-Z_]+(:\?[^}]*|:-)?\}", "", value)
        assert literal.strip(' "}') in {"", "coordinator:", "coordinator:admin:,"}, (
            name
        )  # a name is no secret
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


def _services() -> dict[str, str]:
    """The text of each service."""
    listed = COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0]
    parts = re.split(r"^  ([a-z][a-z0-9-]*):\n", listed, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _fleets(system: str) -> dict[str, list[str]]:
    """The agents of each service that works for a reference system."""
    commands = {
        name: re.search(r"command: \[coordinator, worker, ([^\]]+)\]", text)
        for name, text in _services().items()
    }
    words = {name: found[1].split(", ") for name, found in commands.items() if found}
    agents = {name: [word for word in said if "." in word] for name, said in words.items()}
    return {name: found for name, found in agents.items() if found[0].startswith(f"{system}.")}


@pytest.mark.parametrize("system", ["payments", "media", "rides"])
def test_every_agent_has_a_service(system: str) -> None:
    """Each agent of a reference system has one service that runs a worker of it; all but those that stand in for others have
    it for themselves."""
    fleets = _fleets(system)
    working = [agent for agents in fleets.values() for agent in agents]
    assert sorted(working) == sorted(load_modules([f"handoffs.tasks.{system}"]).agents)
    assert [name for name, agents in fleets.items() if len(agents) > 1] == (
        ["stand-ins"] if system == "rides" else []
    )
    assert tuple(fleets) == load()._FLEETS[system], "`make demo-up` looks whether they are there"


def test_payments_has_no_profile() -> None:
    """`make up` alone starts payments and nothing of the other systems, which are profiles."""
    profiles = {name: re.findall(r"profiles: \[(\w+)\]", text) for name, text in _services().items()}
    for system in ("media", "rides"):
        assert {name for name, found in profiles.items() if found == [system]} == _fleets(system).keys()
    assert {tuple(profiles[name]) for name in _fleets("payments")} == {()}
    assert {name for name, found in profiles.items() if found == ["cluster"]} == {"rabbitmq-2", "rabbitmq-3"}


def test_who_has_which_volume() -> None:
    """What an agent of media keeps for itself, no other sees; the store is mounted where it is written or read, and to be read
    only where it is only read."""
    volumes = {
        name: set(re.findall(r'"(media-[a-z]+):(/[^:"]+)((?::ro)?)"', text))
        for name, text in _services().items()
    }
    store = "/srv/media/objects"
    assert {name: found for name, found in volumes.items() if found} == {
        "transcode": {("media-transcode", "/srv/media", ""), ("media-objects", store, "")},
        "drm": {("media-drm", "/srv/media", ""), ("media-objects", store, "")},
        "cdn": {("media-cdn", "/srv/media", ""), ("media-objects", store, ":ro")},
        "index": {("media-index", "/srv/media", "")},
        "shelf": {("media-shelf", "/srv/media", ""), ("media-objects", store, "")},
        "upload": {("media-objects", store, "")},
    }


def test_the_coordinator_process_knows_every_system() -> None:
    """The coordinator process, beat and Flower load the agents of all systems, whichever run."""
    assert (
        f"x-systems: &systems {','.join(f'handoffs.tasks.{system}' for system in load()._FLEETS)}\n"
        in COMPOSE
    )
    for name in ("coordinator", "beat", "flower"):
        assert "COORDINATOR_AGENTS: *systems" in _services()[name]


def test_ports_are_for_this_host_only() -> None:
    """Every port is published on loopback, under a number that the example lets a person choose."""
    published = list(_published())
    assert len(published) >= 5
    for entry in published:
        found = re.fullmatch(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}:(\d+)", entry)
        assert found is not None, entry
        name, default, inside = found.groups()
        assert EXAMPLE[name] == default == inside
    assert len(re.findall(r"(?<!//)127\.0\.0\.1:\$", COMPOSE)) == len(
        published
    )  # what stands in a URL publishes nothing
    assert "network_mode" not in COMPOSE
    assert "published:" not in COMPOSE
