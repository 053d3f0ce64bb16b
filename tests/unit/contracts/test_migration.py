"""Migrations: another version is read, or written, step by step, each checked against what was declared."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import Contract, ContractRef, downcast, upcast
from handoffs.contracts.conformity import Conformity
from handoffs.contracts.errors import ContractError, InvalidData, UnknownVersion
from handoffs.contracts.migration import migrations
from handoffs.contracts.versions import Known, Versions, known, meet, parts


class V1(Contract, name="test.size", version=1):
    inches: int


class V2(Contract, name="test.size", version=2):
    centimetres: int


class V3(Contract, name="test.size", version=3):
    millimetres: int
    exact: bool


@upcast(V2, 1, 2)
@upcast(V3, 1, 2)
def to_centimetres(data: dict[str, Any]) -> dict[str, Any]:
    return {"centimetres": data["inches"] * 3}


@upcast(V3, 2, 3)
def to_millimetres(data: dict[str, Any]) -> dict[str, Any]:
    return {"millimetres": data["centimetres"] * 10, "exact": False}


@downcast(V3, 3, 2, lossy="whether it is exact")
def from_millimetres(data: dict[str, Any]) -> dict[str, Any]:
    return {"centimetres": data["millimetres"] // 10}


@downcast(V3, 2, 1, lossy="what is no whole inch")
def from_centimetres(data: dict[str, Any]) -> dict[str, Any]:
    return {"inches": data["centimetres"] // 3}


ALL = Versions([known(V1), known(V2)])


def ref(version: int, name: str = "test.size") -> ContractRef:
    return ContractRef(name, version)


def published(*contracts: type[Contract]) -> Versions:
    """Versions of which these are published."""
    return Versions([known(contract) for contract in contracts])


class TestReading:
    @given(st.integers(-1000, 1000))
    def test_chain(self, number: int) -> None:
        """Each version is read as the newest, through every step between."""
        assert ALL.read(V3, ref(3), {"millimetres": number, "exact": True}) == V3(
            millimetres=number, exact=True
        )
        assert ALL.read(V3, ref(2), {"centimetres": number}) == V3(millimetres=number * 10, exact=False)
        assert ALL.read(V3, ref(1), {"inches": number}) == V3(millimetres=number * 30, exact=False)
        assert ALL.read(V2, ref(1), {"inches": number}) == V2(centimetres=number * 3)

    def test_readable(self) -> None:
        """A reader knows which versions it reads, its own first, then the newest first."""
        assert ALL.readable(V3) == (3, 2, 1)
        assert ALL.readable(V1) == (1,)

    def test_version_that_nobody_published(self) -> None:
        """A version of which only the migration is known, and not what it looked like, is not read."""
        assert Versions().readable(V3) == (3,)
        with pytest.raises(UnknownVersion, match="publish that version"):
            Versions().read(V3, ref(2), {"centimetres": 1})

    def test_declared_version_is_checked_first(self) -> None:
        """Data that does not fit the version that it declares is refused as that version, before any step."""
        with pytest.raises(InvalidData, match=r"test\.size/1: inches: does not fit type integer"):
            ALL.read(V3, ref(1), {"inches": "3"})
        with pytest.raises(InvalidData, match=r"test\.size/2: centimetres: is missing"):
            ALL.read(V3, ref(2), {"inches": 3})

    def test_values_are_not_shown(self) -> None:
        """What was refused is not in the error."""
        with pytest.raises(InvalidData) as caught:
            ALL.read(V3, ref(1), {"inches": "4111-1111"})
        assert "4111" not in str(caught.value)

    def test_step_sees_only_what_was_declared(self) -> None:
        """A step gets the fields of the declared version and no others."""
        assert ALL.read(V3, ref(1), {"inches": 1, "millimetres": 7, "exact": True}) == V3(
            millimetres=30, exact=False
        )

    @pytest.mark.parametrize("other", [ref(4), ref(1, "test.other")], ids=str)
    def test_unknown_version(self, other: ContractRef) -> None:
        """A version from which no steps lead here is refused, and the error says what is read."""
        with pytest.raises(UnknownVersion, match=r"test\.size/3, test\.size/2, test\.size/1") as caught:
            ALL.read(V3, other, {})
        assert str(other) in str(caught.value)

    def test_reader_of_an_older_version(self) -> None:
        """An older reader does not read a newer version."""
        with pytest.raises(UnknownVersion):
            ALL.read(V1, ref(2), {"centimetres": 1})


class TestWriting:
    @given(st.integers(-1000, 1000), st.booleans())
    def test_chain(self, number: int, exact: bool) -> None:
        """What is written in an older version is that version, through every step between."""
        data = V3(millimetres=number, exact=exact).to_data()
        assert ALL.write(V3, data, 3) == data
        assert ALL.write(V3, data, 2) == {"centimetres": number // 10}
        assert ALL.write(V3, data, 1) == {"inches": number // 10 // 3}

    def test_writable(self) -> None:
        """A writer knows which versions it can write; without a downcast that is its own."""
        assert ALL.writable(V3) == (3, 2, 1)
        assert ALL.writable(V2) == (2,)

    def test_no_way(self) -> None:
        """A version that no downcast leads to, and a newer one, are not written."""
        for version in (1, 3):
            with pytest.raises(UnknownVersion, match="cannot be written"):
                ALL.write(V2, {"centimetres": 1}, version)

    def test_downcast_that_gives_something_else(self) -> None:
        """What a downcast gives is checked as the version that it is for."""
        old, new = declared(1), declared(2)
        downcast(new, 2, 1)(lambda data: {"a": str(data["b"])})
        with pytest.raises(InvalidData, match=r"test\.thing/1: a"):
            published(old).write(new, {"b": 1}, 1)


class TestUnchanged:
    """Between versions without a declared step data goes as it is, where that is proven to be right."""

    class Old(Contract, name="test.note", version=1):
        text: str

    class New(Contract, name="test.note", version=2):
        text: str
        colour: str | None = None

    class Strict(Contract, name="test.note", version=3):
        text: str
        colour: str

    def test_optional_field(self) -> None:
        """An optional field needs no migration, up or down; downwards it is left out."""
        versions = published(self.Old)
        assert versions.read(self.New, ref(1, "test.note"), {"text": "x"}) == self.New(text="x")
        assert versions.write(self.New, {"text": "x", "colour": "red"}, 1) == {"text": "x"}
        assert versions.way(self.New, 1, 2) == ()

    def test_required_field(self) -> None:
        """A required field needs an upcast, and no downcast."""
        versions = published(self.Old, self.New)
        assert versions.readable(self.Strict) == (3,)
        assert versions.writable(self.Strict) == (3, 2, 1)

    def test_whole_stretch(self) -> None:
        """A field that was dropped and came back with another meaning does not leak through the version between."""

        class First(Contract, name="test.note", version=1):
            text: str
            size: str = ""

        class Second(Contract, name="test.note", version=2):
            text: str

        class Third(Contract, name="test.note", version=3):
            text: str
            size: int = 0

        versions = published(First, Second)
        assert versions.readable(Third) == (3, 2, 1)
        assert versions.read(Third, ref(1, "test.note"), {"text": "x", "size": "large"}) == Third(text="x")
        assert versions.write(Third, {"text": "x", "size": 9}, 1) == {"text": "x"}

    def test_gap(self) -> None:
        """Where the version between is not known, nothing is assumed."""
        assert published(self.Old).writable(self.Strict) == (3,)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda data: data["nothing"], "KeyError"),
        (lambda data: 1 / 0, "ZeroDivisionError"),
        (lambda data: None, "NoneType, not an object"),
        (lambda data: {"b": "x"}, "b: Input should be a valid integer"),
        (lambda data: {}, "b: Field required"),
    ],
)
def test_failing_step_is_invalid_data(step: Any, reason: str) -> None:
    """A step that fails, or gives what the next version does not take, refuses the data and says so."""
    old, new = declared(1), declared(2)
    upcast(new, 1, 2)(step)
    with pytest.raises(InvalidData, match=reason):
        published(old).read(new, old.ref(), {"a": 1})


def test_step_cannot_change_its_input() -> None:
    """A step that changes what it is given changes nothing for others."""
    old, new = declared(1), declared(2)

    @upcast(new, 1, 2)
    def greedy(data: dict[str, Any]) -> dict[str, Any]:
        return {"b": data.pop("a")}

    given = {"a": 1}
    for _ in range(2):
        assert published(old).read(new, old.ref(), given).to_data() == {"b": 1}


def declared(version: int, name: str = "test.thing") -> type[Contract]:
    """A version of a contract, with the field ``a`` in version 1 and ``b`` later."""
    field = "a" if version == 1 else "b"
    made: type[Contract] = type(
        f"V{version}", (Contract,), {"__annotations__": {field: int}}, name=name, version=version
    )
    return made


class TestDeclaring:
    @pytest.mark.parametrize("versions", [(1, 3), (2, 1), (2, 2), (0, 1), (3, 4)], ids=str)
    def test_only_adjacent_versions_upwards(self, versions: tuple[int, int]) -> None:
        """An upcast joins a version and the next one, up to the class's own."""
        with pytest.raises(ContractError, match="upcast from"):
            upcast(declared(3), *versions)
        with pytest.raises(ContractError, match="downcast from"):
            downcast(declared(3), *reversed(versions))

    def test_words_say_the_direction(self) -> None:
        """An upcast goes up, and a downcast goes down."""
        with pytest.raises(ContractError, match="goes up"):
            upcast(declared(2), 2, 1)
        with pytest.raises(ContractError, match="goes down"):
            downcast(declared(2), 1, 2)

    def test_one_step_between_two(self) -> None:
        """There is one step between two versions, in each direction."""
        new = declared(2)
        upcast(new, 1, 2)(lambda data: data)
        downcast(new, 2, 1)(lambda data: data)
        with pytest.raises(ContractError, match="two steps"):
            upcast(new, 1, 2)
        with pytest.raises(ContractError, match="two steps"):
            downcast(new, 2, 1)

    def test_what_is_declared(self) -> None:
        """A contract tells its migrations, and what the lossy ones lose."""
        assert sorted(migrations(V3)) == [(1, 2), (2, 1), (2, 3), (3, 2)]
        assert migrations(V3)[3, 2].lossy == "whether it is exact"
        assert str(migrations(V3)[3, 2]) == "downcast test.size 3 -> 2"
        assert migrations(V1) == {}


class TestMeeting:
    def test_same_class(self) -> None:
        """What one writes the other reads: the same class, by an upcast, or by a downcast."""
        assert meet(V3, V3) == meet(V2, V3) == meet(V3, V2) == ""

    def test_no_way(self) -> None:
        """Without a migration, and between contracts of other names, it does not."""
        assert "no migration leads" in meet(V2, V1)
        assert "another contract" in meet(V2, declared(2))

    def test_same_version_of_two_teams(self) -> None:
        """Two classes of one version meet where the one reads what the other writes."""

        class Renamed(Contract, name="test.size", version=2):
            centimeters: int

        class Wider(Contract, name="test.size", version=2):
            centimetres: int
            unit: str = "cm"

        assert "centimeters" in meet(V2, Renamed)
        assert meet(V2, Wider) == ""


def test_parts() -> None:
    """The contracts in the fields of a contract are found, at any depth."""

    class Join(Contract, name="test.join", version=1):
        one: V1
        many: dict[str, list[V2 | None]]

    assert sorted(str(part.ref()) for part in parts(Join)) == ["test.size/1", "test.size/2"]
    versions = Versions()
    versions.know(Join)
    assert isinstance(versions.get(V2.ref()), Known)


def test_the_number_of_a_version_costs_nothing() -> None:
    """A class of a version that is a date is looked at as fast as any other."""

    class Dated(Contract, name="test.dated", version=20_250_101):
        word: str

    versions = Versions()
    assert versions.readable(Dated) == versions.writable(Dated) == (20_250_101,)


@pytest.mark.parametrize("pattern", ["^(a+)+$", r"^(?!^[-+.]*$)[+-]?a*\w*\.?\w*$"])
def test_a_pattern_takes_no_longer_than_its_text(pattern: str) -> None:
    """A long text of an older version is refused at once, whatever the pattern; a good one passes."""
    schema = {"type": "object", "properties": {"word": {"type": "string", "pattern": pattern}}}
    conformity = Conformity("test.word/1", schema, schema)
    assert conformity.checked({"word": "aaa"}) == {"word": "aaa"}
    with pytest.raises(InvalidData, match="word: does not fit pattern"):
        conformity.checked({"word": "a" * 5000 + "!"})


def test_many_items_take_no_longer_than_one_after_another() -> None:
    """Whether an item comes twice is known of thousands at once; 1 is 1.0 and is not true."""
    schema = {"type": "object", "properties": {"items": {"type": "array", "uniqueItems": True}}}
    conformity = Conformity("test.items/1", schema, schema)
    conformity.checked({"items": [*({"number": number} for number in range(5000)), 1, True]})
    with pytest.raises(InvalidData, match="items: does not fit uniqueItems"):
        conformity.checked({"items": [1, 1.0]})


def test_a_pattern_that_nobody_can_read() -> None:
    """What is not understood here is refused, and ends in no other error."""
    schema = {"type": "object", "properties": {"word": {"type": "string", "pattern": "^(?<a>"}}}
    with pytest.raises(InvalidData, match="word: does not fit pattern"):
        Conformity("test.word/1", schema, schema).checked({"word": "aaa"})


def test_what_messages_say_is_not_remembered() -> None:
    """However many versions are named in messages that nobody can read, no more is known than before."""
    asked: list[ContractRef] = []

    class Now(Contract, name="test.now", version=2):
        word: str

    versions = Versions(lookup=asked.append)
    for version in range(3, 50):
        with pytest.raises(UnknownVersion):
            versions.read(Now, ContractRef("test.now", version), {"word": ""})
        with pytest.raises(UnknownVersion):
            versions.read(Now, ContractRef("test.other", version), {"word": ""})
    assert {ref.version for ref in asked} <= {1, 2}
