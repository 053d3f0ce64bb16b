"""The Lua scripts have their fields, keys and arguments by name."""

import re
from pathlib import Path

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from redis import Redis

from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.fields import Field, Kind, SetKind

LUA = Path(scripts.__file__).parent / "lua"
FILES = sorted(LUA.rglob("*.lua"))
SCRIPTS = sorted(file.stem for file in LUA.glob("*.lua") if file.stem != "prelude")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_script_is_read_in_one_sitting(file: Path) -> None:
    """No file has more than 120 lines, and each says first what it does."""
    lines = file.read_text("utf-8").splitlines()
    assert len(lines) <= 120
    assert lines[0].startswith("-- ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_kinds_of_fields_are_named(file: Path) -> None:
    """No script writes the letter of a kind itself: it has the name from fields.py, which explains it."""
    assert not re.findall(r"'[a-z]:'", file.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_arguments_are_named(file: Path) -> None:
    """No script counts its keys or arguments; that is done once, before each."""
    if file.stem != "prelude":
        assert not re.findall(r"\b(KEYS|ARGV)\[", file.read_text("utf-8"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_is_given(name: str) -> None:
    """The comment that a script begins with names the keys and arguments that it uses, and no others."""
    script = scripts.script(name)
    used = [{int(at) for at in re.findall(rf"{what}\[(\d+)\]", script.text)} for what in ("KEYS", "ARGV")]
    assert used == [set(range(1, len(names) + 1)) for names in (script.keys, script.arguments)]


def test_a_script_has_what_it_uses_of_the_prelude() -> None:
    """What a function of the prelude uses itself is there as well, before it; what the script does not use is not."""
    text = scripts.script("wait").text
    assert text.index("function words(") < text.index("function is_any_spent(")
    assert text.index("function is_spent(") < text.index("function is_any_spent(")
    assert "function tell(" not in text


def test_every_kind_is_used() -> None:
    """What the legend explains is there: in a script, or for people alone."""
    texts = "".join(file.read_text("utf-8") for file in FILES)
    unused = {kind.name for kind in (*Kind, *SetKind) if not re.search(rf"\b{kind.name}\b", texts)}
    assert unused <= {"ITEM"}  # which Python alone reads and writes


def test_every_field_is_used() -> None:
    """The same of the fields that a run has once."""
    texts = "".join(file.read_text("utf-8") for file in FILES)
    assert not {field for field in Field if f"'{field}'" not in texts}


def test_kinds_are_told_apart() -> None:
    """No two kinds begin alike, and none begins as a field that a run has once."""
    assert all(len(kind) == 2 for kind in Kind)
    assert len({kind[0] for kind in Kind}) == len(Kind)
    assert not [field for field in Field if field[:2] in set(Kind)]


def test_a_call_gives_what_the_script_takes(redis_server: Redis) -> None:
    """A call with fewer or other names is a mistake of ours, and is not sent."""
    with pytest.raises(TypeError, match=r"let_go\.lua is not given 'step'"):
        scripts.run(redis_server, Call("let_go", {"run": "run"}, {"fence": 1, "digest": "d"}))
    with pytest.raises(TypeError, match=r"note\.lua takes"):
        scripts.run(redis_server, Call("note", {"history": "h", "run": "r"}, {"entry": "e", "ttl": 1}))


class TestTogether:
    """What several ask for at the same time leaves in one round trip, and each has its own answer."""

    def test_answers(self, redis_server: Redis) -> None:
        """In the order in which they asked, each call of each; scripts that the server does not know are given to it."""
        stay = Call("stay", {"kept": "a"}, {"ttl": 100_000})
        redis_server.script_flush()
        first, second, none = scripts.run_together(
            redis_server, [[Command("SET", "a", "1"), stay], [Command("GET", "a")], []]
        )
        assert (first[0], second, none) == (True, ["1"], [])  # type: ignore[index]
        assert redis_server.pttl("a") > 0

    @pytest.mark.parametrize(
        "bad", [("SET", "a", "\ud800"), ("LPUSH", "text", "1"), ("NO-SUCH-COMMAND", "a")]
    )
    def test_one_is_refused(self, redis_server: Redis, bad: tuple[str, ...]) -> None:
        """The error is that of the one who asked for it: the others have what they asked for, once."""
        redis_server.set("text", "x")
        before, refused, after = scripts.run_together(
            redis_server, [[Command("INCR", "n")], [Command(*bad)], [Command("INCR", "n")]]
        )
        assert (before, after) == ([1], [2])
        assert isinstance(refused, Refused)
        with pytest.raises(Refused):
            scripts.run(redis_server, Command(*bad))

    def test_the_server_is_away(self) -> None:
        """Everybody is told so, each with an error of their own."""
        server = FakeServer()
        server.connected = False
        away = FakeStrictRedis(server=server)
        first, second = scripts.run_together(away, [[Command("GET", "a")], [Command("GET", "b")]])
        assert isinstance(first, ServerError)
        assert isinstance(second, ServerError)
        assert first is not second
