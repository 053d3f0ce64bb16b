"""The registry: one file a version; what is malformed is refused by name, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handoffs.contracts.contract import Contract, ContractRef, Key
from handoffs.contracts.errors import InvalidRegistry
from handoffs.contracts.registry.publishing import decide, publish, seal
from handoffs.contracts.registry.registry import MODES, Published, Registry, open_registry
from handoffs.contracts.text import Sensitive

NAME = "test.seat"
ONE = ContractRef(NAME, 1)


class Seat(Contract, name=NAME, version=1):
    """A seat.

    In a row.
    """

    row: str = Key()
    pin: Sensitive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which one version is published."""
    registry = Registry(tmp_path)
    publish(decide(Seat, registry, owner="seats"), registry)
    return tmp_path


def test_what_is_written_is_read(folder: Path) -> None:
    """A version is read as it was published: all that was decided, and one to three golden envelopes."""
    registry = Registry(folder)
    published = registry.get(ONE)
    assert published is not None
    assert published == decide(Seat, Registry(folder / "none"), owner="seats").published
    assert (published.ref, published.owner, published.mode) == (ONE, "seats", "FULL_TRANSITIVE")
    assert (published.keys, published.sensitive) == (("row",), ("/pin",))
    assert published.description == "A seat.\n\nIn a row."
    assert published.generator.startswith("pydantic 2.")
    assert (published.upcast, published.downcast) == (False, None)
    assert published.known().fingerprint == published.fingerprint
    assert 1 <= len(registry.golden(ONE)) <= 3
    assert all(envelope.contract == ONE for envelope in registry.golden(ONE))
    assert (registry.names(), registry.versions(NAME), [*registry]) == ((NAME,), (1,), [published])


def test_what_is_not_there() -> None:
    """A folder that does not exist is empty; an unknown contract has no versions."""
    registry = Registry(Path("/nowhere/at/all"))
    assert (registry.names(), registry.versions(NAME), registry.get(ONE), registry.golden(ONE)) == (
        (),
        (),
        None,
        (),
    )
    assert list(registry) == []


def test_the_first_folder_wins(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A version in two folders is the first one's; the versions of both are there."""
    other = tmp_path_factory.mktemp("other")
    registry = Registry(other)
    publish(decide(Seat, registry, owner="others"), registry)
    for order, owner in (((folder, other), "seats"), ((other, folder), "others")):
        found = Registry(*order).get(ONE)
        assert found is not None
        assert found.owner == owner


def test_nothing_is_read_before_it_is_asked_for(folder: Path) -> None:
    """A malformed file stops those who ask for it, and nobody else."""
    (folder / NAME / "2.json").write_text("{")
    registry = Registry(folder)
    assert registry.versions(NAME) == (1, 2)
    assert registry.get(ONE) is not None
    with pytest.raises(InvalidRegistry):
        registry.get(ContractRef(NAME, 2))


def test_the_package_brings_its_own() -> None:
    """The contracts of the reference systems are known wherever the command runs, and once where it runs at home."""
    elsewhere = open_registry(Path("/nowhere"))
    assert "payments.fraud-scored" in elsewhere.names()
    assert len(elsewhere.folders) == 2
    assert len(open_registry(elsewhere.folders[0]).folders) == 1


def _without(word: str) -> Callable[[dict[str, Any]], Any]:
    return lambda value: {name: inner for name, inner in value.items() if name != word}


def _with(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: {**value, **changed}


MALFORMED: dict[str, Callable[[dict[str, Any]], Any]] = {
    **{f"no {word}": _without(word) for word in (
        "contract", "version", "fingerprint", "owner", "mode", "keys", "sensitive", "upcast", "downcast", "description",
        "generator", "writes", "reads",
    )},
    "a list": lambda value: [value],
    "null": lambda _: None,
    "unknown member": _with(more=1),
    "another contract": _with(contract="test.stool"),
    "malformed contract": _with(contract="Seat"),
    "another version": _with(version=2),
    "version of text": _with(version="1"),
    "version true": _with(version=True),
    "version 0": _with(version=0),
    "fingerprint of others": _with(fingerprint="sha256:" + "0" * 64),
    "fingerprint malformed": _with(fingerprint="md5:00"),
    "no owner's name": _with(owner=""),
    "owner a number": _with(owner=1),
    "unknown mode": _with(mode="SOMETIMES"),
    "mode a list": _with(mode=[]),
    "keys a text": _with(keys="row"),
    "keys of numbers": _with(keys=[1]),
    "keys twice": _with(keys=["row", "row"]),
    "other keys": _with(keys=["pin"]),
    "sensitive no paths": _with(sensitive=["pin"]),
    "upcast a text": _with(upcast="yes"),
    "downcast true": _with(downcast=True),
    "downcast of what": _with(downcast={"lossy": 1}),
    "writes a list": _with(writes=[]),
    "reads no schema": _with(reads={"type": "text"}),
    "writes changed": lambda value: {**value, "writes": {**value["writes"], "maxProperties": 1}},
    "a reference to nowhere": _with(reads={"$ref": "#/$defs/d9"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_version(fault: str, folder: Path) -> None:
    """Whatever member is missing, of another type, or not what it was: one line that names the file."""
    path = folder / NAME / "1.json"
    path.write_text(json.dumps(MALFORMED[fault](json.loads(path.read_text()))))
    with pytest.raises(InvalidRegistry, match=r"test\.seat/1\.json: ") as caught:
        Registry(folder).get(ONE)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": NaN}', '{"a": 1, "a": 1}', "\ud800", "[" * 5000, '{"contract": "\\ud800"}']
)
def test_no_strict_json(text: str, folder: Path) -> None:
    """Text that is no strict JSON is refused, in a version and in golden envelopes."""
    for name, ask in (("1.json", Registry.get), ("1.golden.json", Registry.golden)):
        (folder / NAME / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(InvalidRegistry, match=name):
            ask(Registry(folder), ONE)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        lambda _: {},
        lambda found: found * 4,
        lambda found: [{**found[0], "dataschema": "urn:contract:test.seat:2"}],
        lambda found: [{**found[0], "specversion": "0.3"}],
        lambda _: [1],
        lambda found: [{name: value for name, value in found[0].items() if name != "data"}],
    ],
)
def test_malformed_golden_envelopes(change: Callable[[Any], Any], folder: Path) -> None:
    """Golden envelopes are one to three envelopes of that version."""
    path = folder / NAME / "1.golden.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InvalidRegistry, match=r"1\.golden\.json: "):
        Registry(folder).golden(ONE)


def test_files_as_other_systems_write_them(folder: Path) -> None:
    """A byte order mark and CRLF, as editors and version control put them there, change nothing; UTF-16 is named."""
    as_it_was = Registry(folder)
    wanted, golden = as_it_was.get(ONE), as_it_was.golden(ONE)
    for path in (folder / NAME).iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    found = Registry(folder)
    assert (found.get(ONE), found.golden(ONE)) == (wanted, golden)
    path = folder / NAME / "1.json"
    path.write_bytes(path.read_text("utf-8-sig").encode("utf-16"))
    with pytest.raises(InvalidRegistry, match=r"1\.json: the file is UTF-16"):
        Registry(folder).get(ONE)


def test_golden_envelopes_are_missing(folder: Path) -> None:
    """A version without its golden envelopes is refused when they are asked for."""
    (folder / NAME / "1.golden.json").unlink()
    with pytest.raises(InvalidRegistry, match=r"1\.golden\.json: it cannot be read"):
        Registry(folder).golden(ONE)


@pytest.mark.parametrize(
    "name", ["test.seat/01.json", "test.seat/one.json", "test.seat/0.json", "test.seat/notes.md", "Seat/1.json",
             "loose.json", "test.seat/3.json/x", "test.seat/1.golden.jsonl"],
)  # fmt: skip
def test_what_does_not_belong_there(name: str, folder: Path) -> None:
    """A file or folder that is not called as it should is named: it may be a version that nobody would see."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    with pytest.raises(InvalidRegistry, match="move it out"):
        Registry(folder).names()


def test_hidden_files_are_passed_over(folder: Path) -> None:
    """What begins with a dot is none of ours; nor are golden envelopes that a crash left without their version."""
    (folder / ".DS_Store").write_text("")
    (folder / NAME / ".1.new").write_text("")
    (folder / NAME / "2.golden.json").write_text("[")
    assert Registry(folder).versions(NAME) == (1,)


def test_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the system does not let us read is one line."""

    def refuse(path: Path, _most: int) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    registry = Registry(folder)
    assert registry.names() == (NAME,)
    monkeypatch.setattr("handoffs.contracts.registry.registry.read", refuse)
    with pytest.raises(InvalidRegistry, match="cannot be read: Permission denied"):
        registry.get(ONE)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """A file in place of the folder is one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRegistry, match="cannot be read"):
        Registry(tmp_path / "file").names()


@pytest.mark.parametrize("mode", MODES)
def test_file_form(mode: str, folder: Path) -> None:
    """What a version writes of itself is what it reads, in each mode and with each kind of downcast."""
    value = json.loads((folder / NAME / "1.json").read_text())
    for downcast in (None, {"lossy": ""}, {"lossy": "the pin"}):
        given = {**value, "mode": mode, "upcast": True, "downcast": downcast}
        assert Published.from_json(given).to_json() == given


CHANGED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "owner": _with(owner="somebody else"),
    "mode": _with(mode="NONE"),
    "sensitive": _with(sensitive=[]),
    "description": _with(description="Another."),
    "generator": _with(generator="by hand"),
    "upcast": _with(upcast=True),
    "downcast": _with(downcast={"lossy": ""}),
    "golden": _with(golden="sha256:" + "0" * 64),
    "digest": _with(digest="sha256:" + "0" * 64),
    "without its digest": _without("digest"),
}


@pytest.mark.parametrize("fault", CHANGED)
def test_a_change_by_hand_is_noticed(fault: str, folder: Path) -> None:
    """Whatever part of a published file was changed by hand, it is refused by name; the same content in another layout is not."""
    path = folder / NAME / "1.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(value.items()))))
    assert Registry(folder).get(ONE) is not None
    path.write_text(json.dumps(CHANGED[fault](value)))
    with pytest.raises(InvalidRegistry, match=r"test\.seat/1\.json: its digest is not that of what it says"):
        Registry(folder).get(ONE)


def test_golden_envelopes_that_were_changed_are_noticed(folder: Path) -> None:
    """Another golden envelope than those with which a version was published is refused by name."""
    path = folder / NAME / "1.golden.json"
    envelopes = json.loads(path.read_text())
    envelopes[0]["data"]["row"] = "Z"
    path.write_text(json.dumps(envelopes))
    with pytest.raises(
        InvalidRegistry, match=r"1\.golden\.json: they are not those with which test\.seat/1 was published"
    ):
        Registry(folder).golden(ONE)


def test_files_of_before_there_were_digests(folder: Path) -> None:
    """A version that an earlier release published is accepted as it is, and sealed once; from then on a change is noticed."""
    path = folder / NAME / "1.json"
    value = json.loads(path.read_text())
    earlier = {name: inner for name, inner in value.items() if name not in ("digest", "golden")}
    path.write_text(json.dumps(earlier))
    registry = Registry(folder)
    found = decide(Seat, registry)
    assert (found.state, found.published.digest, found.published.to_json()) == ("published", "", earlier)
    assert seal(found, registry) == path
    assert json.loads(path.read_text()) == value
    again = Registry(folder)
    assert seal(decide(Seat, again), again) is None


def test_each_of_our_own_is_sealed() -> None:
    """The contracts that come with the package have their digests."""
    assert all(published.digest and published.golden for published in open_registry(Path("/nowhere")))
