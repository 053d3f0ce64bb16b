"""Publishing: what may be published, what is refused and why, and that what is published stays as it is."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from handoffs import Contract, ContractRef, ExactDecimal, Key, Sensitive, UntrustedText, downcast, upcast
from handoffs.contracts.errors import ContractError, NotPublished
from handoffs.contracts.migration import Step
from handoffs.contracts.registry.publication import MODES
from handoffs.contracts.registry.publishing import Decision, decide, publish
from handoffs.contracts.registry.registry import Registry

NAME = "test.parcel"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: Annotated[str, Field(min_length=3)]


class Tree(BaseModel):
    value: int
    inner: list[Tree] = []


TEXT = (str, ...)
LATER = (str, "")
SECRET = "hunter2hunter2"


def parcel(version: int, **fields: Any) -> type[Contract]:
    """A version of a contract with these fields."""
    made: type[Contract] = create_model(
        "Parcel", __base__=Contract, __cls_kwargs__={"name": NAME, "version": version}, **fields
    )
    return made


def with_steps(contract: type[Contract], *steps: tuple[int, int, Step, str]) -> type[Contract]:
    """The class with migrations: from, to, the step, what it loses."""
    for source, target, step, lossy in steps:
        if target > source:
            upcast(contract, source, target)(step)
        else:
            downcast(contract, source, target, lossy=lossy)(step)
    return contract


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """One that is empty."""
    return Registry(tmp_path)


def published(registry: Registry, *contracts: type[Contract], mode: str = "NONE") -> None:
    """Publish these, whatever they break between themselves."""
    for contract in contracts:
        decision = decide(contract, registry, owner="us", mode=mode)
        assert decision.state == "new", decision.problems
        publish(decision, registry)


def rules(decision: Decision) -> list[str]:
    """What is wrong, in one word each."""
    return [problem.rule for problem in decision.problems]


def test_the_first_version(registry: Registry, tmp_path: Path) -> None:
    """A first version is written as two files, and is then published and unchanged."""
    contract = parcel(1, number=(int, Key()), note=LATER)
    decision = decide(contract, registry, owner="us")
    assert (decision.state, decision.problems) == ("new", ())
    assert [path.relative_to(tmp_path).as_posix() for path in publish(decision, registry)] == [
        "test.parcel/1.json",
        "test.parcel/1.golden.json",
    ]
    assert sorted(path.name for path in (tmp_path / NAME).iterdir()) == ["1.golden.json", "1.json"]
    for found in (registry, Registry(tmp_path)):
        again = decide(contract, found, owner="others", mode="NONE")
        assert (again.state, again.published.owner, again.published.mode) == (
            "published",
            "us",
            "FULL_TRANSITIVE",
        )
        assert publish(again, found) == ()


def test_the_same_contract_gives_the_same_files(tmp_path: Path) -> None:
    """Publishing is deterministic: the same class gives the same bytes."""
    texts = []
    for name in ("one", "two"):
        found = Registry(tmp_path / name)
        files = publish(
            decide(parcel(1, number=(int, Key()), kind=(Literal["a", "b"], ...)), found, owner="us"), found
        )
        texts.append([path.read_bytes() for path in files])
    assert texts[0] == texts[1]


def test_a_docstring_is_no_change(registry: Registry) -> None:
    """What a contract means to people may be said better without a new version."""
    published(registry, parcel(1, x=TEXT))
    contract = parcel(1, x=TEXT)
    contract.__doc__ = "Better said."
    assert decide(contract, registry).state == "published"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"x": (int, ...)}, "/x"), ({}, "/x"), ({"x": TEXT, "y": TEXT}, "/y"), ({"x": LATER}, "/x"),
        ({"x": (str, Field(max_length=9))}, "/x"), ({"x": (str | None, ...)}, "/x"),
    ],
)  # fmt: skip
def test_a_published_version_never_changes(fields: dict[str, Any], path: str, registry: Registry) -> None:
    """Any change of a published version is refused, with what was and what is, and the next number to give it."""
    published(registry, parcel(1, x=TEXT), parcel(2, x=TEXT))
    decision = decide(parcel(1, **fields), registry)
    [problem] = decision.problems
    assert (decision.state, problem.rule) == ("changed", "changed")
    assert path in [change.path for change in problem.changes]
    assert "make it version 3" in problem.remedy
    with pytest.raises(NotPublished, match="never changes"):
        publish(decision, registry)


def test_a_change_of_the_keys_is_a_change(registry: Registry) -> None:
    """Key fields are part of a published version."""
    published(registry, parcel(1, x=TEXT))
    [problem] = decide(parcel(1, x=(str, Key())), registry).problems
    assert "key fields were none and are x" in problem.text


@pytest.mark.parametrize(("there", "version", "said"), [
    ((), 2, "make it version 1"), ((1,), 3, "make it version 2"), ((1, 2), 4, "make it version 3"),
])  # fmt: skip
def test_no_gaps(there: tuple[int, ...], version: int, said: str, registry: Registry) -> None:
    """Versions follow one another, from 1: a gap would be a version that nobody can migrate."""
    published(registry, *(parcel(number, x=TEXT) for number in there))
    decision = decide(parcel(version, x=TEXT), registry, owner="us")
    assert rules(decision) == ["gap"]
    assert said in decision.problems[0].remedy


@pytest.mark.parametrize("owner", ["", " us", "a\nb", "x" * 121])
def test_somebody_owns_it(owner: str, registry: Registry) -> None:
    """A first version needs an owner; later ones have the same unless another is named."""
    assert rules(decide(parcel(1, x=TEXT), registry, owner=owner)) == ["owner"]
    assert decide(parcel(1, x=TEXT), registry).state == "new"  # nobody was asked
    published(registry, parcel(1, x=TEXT))
    assert decide(parcel(2, x=TEXT), registry, owner="").published.owner == "us"
    assert decide(parcel(2, x=TEXT), registry, owner="them").published.owner == "them"


def test_the_mode_is_inherited(registry: Registry) -> None:
    """A version promises what the one before promised, unless it says otherwise; the first one everything."""
    assert decide(parcel(1, x=TEXT), registry, owner="us").published.mode == "FULL_TRANSITIVE"
    published(registry, parcel(1, x=TEXT), mode="FORWARD")
    assert decide(parcel(2, x=TEXT), registry).published.mode == "FORWARD"
    assert decide(parcel(2, x=TEXT), registry, mode="BACKWARD").published.mode == "BACKWARD"
    assert rules(decide(parcel(2, x=TEXT), registry, mode="SOMETIMES")) == ["mode"]


OLD: dict[str, Any] = {"x": TEXT}
ADDS: dict[str, Any] = {"x": TEXT, "y": TEXT}
DROPS: dict[str, Any] = {}
BOTH: dict[str, Any] = {"y": TEXT}
"""As one thinks of them: ADDS a required field cannot read old data; DROPS one cannot be read by old readers."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("new", "breaking"),
    [(OLD, set()), ({**OLD, "y": LATER}, set()), (ADDS, {"backward"}), (DROPS, {"forward"}), (BOTH, {"backward", "forward"})],
)  # fmt: skip
def test_each_mode_promises_its_directions(
    mode: str, new: dict[str, Any], breaking: set[str], registry: Registry
) -> None:
    """BACKWARD: new readers, old data. FORWARD: old readers, new data. FULL: both. NONE: neither."""
    published(registry, parcel(1, **OLD))
    promised = {
        "BACKWARD": {"backward"},
        "FORWARD": {"forward"},
        "FULL": {"backward", "forward"},
        "NONE": set(),
    }
    expected = breaking & promised[mode.removesuffix("_TRANSITIVE")]
    decision = decide(parcel(2, **new), registry, owner="us", mode=mode)
    assert set(rules(decision)) == expected
    assert decision.state == ("breaks" if expected else "new")


@pytest.mark.parametrize("mode", MODES)
def test_transitive_modes_look_at_all_versions(mode: str, registry: Registry) -> None:
    """Version 3 goes with 2 but not with 1: only the transitive modes mind."""
    published(registry, parcel(1, a=TEXT), parcel(2, x=TEXT))
    decision = decide(parcel(3, x=TEXT), registry, mode=mode)
    assert bool(decision.problems) == mode.endswith("_TRANSITIVE")
    assert {str(problem.other) for problem in decision.problems} <= {f"{NAME}/1"}


def test_what_is_compatible_step_by_step_must_be_so_as_a_whole(registry: Registry) -> None:
    """Version 2 drops a field and 3 has it back as another type: each step is fine, but data of 1 cannot be read."""
    published(registry, parcel(1, x=(str, ""), a=TEXT), parcel(2, a=TEXT))
    decision = decide(parcel(3, x=(int, 0), a=TEXT), registry, mode="BACKWARD_TRANSITIVE")
    assert rules(decision) == ["backward"]
    assert decision.problems[0].differences[0].path == "/x"


def test_a_refusal_says_it_all(registry: Registry) -> None:
    """It names both versions, the field as it was and is, the difference, a witness without secrets, and what to declare."""
    pin = (Sensitive, Field(examples=[SECRET]))
    published(registry, parcel(1, level=(Literal["low", "high"], ...), pin=pin))
    backward, forward = decide(parcel(2, score=(int, ...), pin=pin), registry, mode="FULL").problems
    assert "test.parcel/2 cannot read what test.parcel/1 wrote" in backward.text
    assert {(change.path, change.was.split(",")[0], change.now.split(",")[0]) for change in backward.changes} == {
        ("/level", 'one of "high"', ""), ("/score", "", "integer"),
    }  # fmt: skip
    assert [difference.path for difference in backward.differences] == ["/score"]
    assert backward.witness == {"level": "high", "pin": "**********"}
    assert "@upcast(Parcel, 1, 2)" in backward.remedy
    assert "@downcast(Parcel, 2, 1)" in forward.remedy
    assert [difference.path for difference in forward.differences] == ["/level"]
    json.dumps([backward.to_json(), forward.to_json()])


def test_unknown_fails_closed(registry: Registry) -> None:
    """What is neither proven nor refuted is refused."""
    published(registry, parcel(1, x=TEXT))
    formatted = (str, Field(json_schema_extra={"format": "date"}))
    decision = decide(parcel(2, x=formatted), registry, mode="BACKWARD")
    assert decision.state == "breaks"
    assert "is not sure to read" in decision.problems[0].text
    assert not decision.problems[0].has_witness


def level(data: dict[str, Any]) -> dict[str, Any]:
    return {"level": "high" if data["score"] >= 50 else "low"}


def score(data: dict[str, Any]) -> dict[str, Any]:
    return {"score": {"low": 0, "high": 50}[data["level"]]}


LEVEL = {"level": (Literal["low", "high"], ...)}
SCORE = {"score": (int, Field(ge=0, le=100))}


def test_migrations_keep_the_promise(registry: Registry) -> None:
    """What breaks both directions may be published with a step in each; the file says so."""
    published(registry, parcel(1, **LEVEL), mode="FULL_TRANSITIVE")
    contract = with_steps(parcel(2, **SCORE), (1, 2, score, ""), (2, 1, level, "the exact score"))
    decision = decide(contract, registry)
    assert (decision.state, decision.problems) == ("new", ())
    assert (decision.published.upcast, decision.published.downcast) == (True, "the exact score")
    publish(decision, registry)
    assert decide(contract, registry).state == "published"


def test_a_chain_must_be_complete(registry: Registry) -> None:
    """A step that is missing between older versions is named."""
    published(registry, parcel(1, a=TEXT), parcel(2, **LEVEL))
    contract = with_steps(parcel(3, **SCORE), (2, 3, score, ""), (3, 2, level, "the exact score"))
    problems = decide(contract, registry, mode="FULL_TRANSITIVE").problems
    assert [problem.rule for problem in problems] == ["backward", "forward"]
    assert [
        "@upcast(Parcel, 1, 2)" in problems[0].remedy,
        "@downcast(Parcel, 2, 1)" in problems[1].remedy,
    ] == [True] * 2
    whole = with_steps(
        contract,
        (1, 2, lambda _: {"level": "low"}, ""),
        (2, 1, lambda data: {"a": data["level"]}, "the level"),
    )
    assert decide(whole, registry, mode="FULL_TRANSITIVE").state == "new"


def test_one_direction_is_not_the_other(registry: Registry) -> None:
    """An upcast does not help old readers, a downcast not new ones."""
    published(registry, parcel(1, **LEVEL))
    up = with_steps(parcel(2, **SCORE), (1, 2, score, ""))
    down = with_steps(parcel(2, **SCORE), (2, 1, level, "the exact score"))
    assert rules(decide(up, registry, mode="FULL")) == ["forward"]
    assert rules(decide(down, registry, mode="FULL")) == ["backward"]
    assert decide(up, registry, mode="BACKWARD").state == "new"
    assert decide(down, registry, mode="FORWARD").state == "new"


def _mutates(data: dict[str, Any]) -> dict[str, Any]:
    data["inner"]["x"] = 1
    return data


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda data: {"score": {"low": 0}[data["level"]]}, "KeyError"),
        (lambda data: {"score": -5}, "score"),
        (lambda data: {"score": "7"}, "score"),
        (lambda data: {"grade": 1}, "score"),
        (lambda data: None, "NoneType"),
        (lambda data: {"score": {1, 2}}, "JSON"),
        (lambda data: {"score": float("nan")}, "JSON"),
    ],
)
def test_an_upcast_that_fails(step: Any, said: str, registry: Registry) -> None:
    """A step that fails, or gives what its target does not read, is refused with the step and the instance."""
    published(registry, parcel(1, **LEVEL))
    [problem] = decide(with_steps(parcel(2, **SCORE), (1, 2, step, "")), registry, mode="BACKWARD").problems
    assert problem.rule == "migration"
    assert "upcast test.parcel 1 -> 2" in problem.text
    assert said in problem.text
    assert problem.witness["level"] in ("low", "high")


def test_a_downcast_that_fails(registry: Registry) -> None:
    """What a downcast gives is checked against what was published, without a class."""
    published(registry, parcel(1, **LEVEL))
    contract = with_steps(parcel(2, **SCORE), (1, 2, score, ""), (2, 1, lambda _: {"level": "huge"}, "all"))
    [problem] = decide(contract, registry).problems
    assert (
        "downcast test.parcel 2 -> 1 gives what test.parcel/1 does not read: /level: does not fit"
        in problem.text
    )
    assert set(problem.witness) == {"score"}


def test_a_step_is_pure(registry: Registry) -> None:
    """A step that changes the data which it is given is refused."""
    inner = {"inner": (dict[str, int], ...)}
    published(registry, parcel(1, **inner))
    [problem] = decide(with_steps(parcel(2, **inner), (1, 2, _mutates, "")), registry).problems
    assert "changes the data" in problem.text


def test_an_instance_shows_no_secret(registry: Registry) -> None:
    """The instance of a failing step has its sensitive values masked."""
    pin = (Sensitive, Field(examples=[SECRET]))
    published(registry, parcel(1, pin=pin))
    [problem] = decide(with_steps(parcel(2, pin=pin), (1, 2, lambda _: {}, "")), registry).problems
    assert problem.witness == {"pin": "**********"}
    assert SECRET not in json.dumps(problem.to_json())


@pytest.mark.parametrize(("lossy", "state"), [("", "refused"), ("the exact score", "new")])
def test_what_is_lost_must_be_said(lossy: str, state: str, registry: Registry) -> None:
    """A downcast that loses something says what; otherwise it is refused, with an instance that does not come back."""
    published(registry, parcel(1, **LEVEL))
    decision = decide(with_steps(parcel(2, **SCORE), (1, 2, score, ""), (2, 1, level, lossy)), registry)
    assert decision.state == state
    for problem in decision.problems:
        assert "loses something" in problem.text
        assert level(score(level(problem.witness))) == level(problem.witness)
        assert score(level(problem.witness)) != problem.witness


def test_what_is_lost_on_the_way_up_is_lost_too(registry: Registry) -> None:
    """Data of the old version that goes up and down again must come back, unless the downcast is lossy."""
    published(registry, parcel(1, x=TEXT, note=TEXT))
    steps = [(1, 2, lambda data: {"y": data["x"]}, ""), (2, 1, lambda data: {"x": data["y"], "note": ""}, "")]
    [problem] = decide(with_steps(parcel(2, y=TEXT), *steps), registry).problems
    assert "what was version 1 does not come back" in problem.text
    assert problem.witness["note"] != ""


def test_a_rename_loses_nothing(registry: Registry) -> None:
    """A step that only renames needs no word on what is lost, and a field which has a default may be new."""
    published(registry, parcel(1, x=TEXT))
    steps = [(1, 2, lambda data: {"y": data["x"]}, ""), (2, 1, lambda data: {"x": data["y"]}, "")]
    assert decide(with_steps(parcel(2, y=TEXT), *steps), registry).state == "new"


def test_a_step_that_is_gone(registry: Registry) -> None:
    """A migration that was published must stay in the code: messages that need it may be on their way."""
    published(registry, parcel(1, **LEVEL))
    published(registry, with_steps(parcel(2, **SCORE), (1, 2, score, ""), (2, 1, level, "some")), mode="FULL")
    decision = decide(with_steps(parcel(2, **SCORE), (1, 2, score, "")), registry)
    assert "migration" in rules(decision)
    assert "the downcast test.parcel 2 -> 1 was published and is not in the code" in decision.problems[0].text
    assert decide(parcel(2, **SCORE), registry).state == "breaks"


def test_keys_stay(registry: Registry) -> None:
    """The same work has the same idempotency key in every version."""
    published(registry, parcel(1, x=(str, Key()), y=TEXT))
    assert decide(parcel(2, x=(str, Key()), y=TEXT, z=LATER), registry).state == "new"
    for fields in (
        {"x": TEXT, "y": TEXT},
        {"x": (str, Key()), "y": (str, Key())},
        {"x": TEXT, "y": (str, Key())},
    ):
        assert rules(decide(parcel(2, **fields), registry, mode="NONE")) == ["keys"]


@pytest.mark.parametrize(
    ("hint", "path"),
    [(Decimal, "/x"), (list[Decimal], "/x/*"), (Decimal | None, "/x"), (dict[str, Decimal], "/x/*")],
)
def test_no_plain_decimal(hint: Any, path: str, registry: Registry) -> None:
    """A Decimal that travels as a number is refused by name; an exact one is not."""
    [problem] = decide(parcel(1, x=(hint, Field(examples=[[]]))), registry).problems[:1]
    assert problem.rule == "decimal"
    assert problem.text.startswith(f"{path} is a plain Decimal")
    assert "ExactDecimal" in problem.remedy
    assert decide(parcel(1, x=(ExactDecimal, ...)), registry).state == "new"


class Even(Contract, name="test.even", version=1):
    """Its validator is seen in no schema."""

    number: int = Field(ge=0)

    @field_validator("number")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 1000 != 998:
            raise ValueError("no")
        return number


def test_golden_envelopes_need_an_example(registry: Registry) -> None:
    """Where no sample passes the validators, an example is asked for; where an example is given, it must pass."""
    [problem] = decide(Even, registry).problems
    assert problem.rule == "golden"
    assert "examples" in problem.remedy

    def named(**extra: Any) -> type[Contract]:
        return create_model(
            "Even", __base__=Even, __cls_kwargs__={"name": "test.even", "version": 1}, **extra
        )

    assert decide(named(number=(int, Field(ge=0, examples=[1998]))), registry).golden[0].data == {
        "number": 1998
    }


@pytest.mark.parametrize(
    ("examples", "golden", "wrong"),
    [
        ([{"number": 998}, {"number": 1998}], 2, 0), ([{"number": 998}] * 5, 3, 0), ([{"number": 1}, {}], 0, 2), ([], 0, 1),
        ("nonsense", 0, 1),
    ],
)  # fmt: skip
def test_examples_of_the_whole(examples: Any, golden: int, wrong: int, registry: Registry) -> None:
    """Up to three examples of a contract become its golden envelopes; one that is not valid is refused."""

    class Exampled(Even, name="test.even", version=1):
        model_config = ConfigDict(json_schema_extra={"examples": examples})

    decision = decide(Exampled, registry)
    assert (len(decision.golden), rules(decision)) == (golden, ["golden"] * wrong)
    assert all(envelope.contract == ContractRef("test.even", 1) for envelope in decision.golden)


def test_golden_envelopes_are_read_back(registry: Registry, tmp_path: Path) -> None:
    """A golden envelope that the class of today refuses is named: a validator became stricter, which no schema shows."""
    published(registry, parcel(1, number=(int, Field(ge=0))))

    class Stricter(Contract, name=NAME, version=1):
        number: int = Field(ge=0)
        _check = field_validator("number")(Even._even.__func__)  # type: ignore[attr-defined]

    Stricter.__name__ = "Parcel"
    decision = decide(Stricter, registry)
    assert (decision.state, rules(decision)[0]) == ("refused", "golden")
    assert "golden envelope 1 of test.parcel/1 is not read" in decision.problems[0].text


def test_golden_envelopes_go_through_migrations(registry: Registry) -> None:
    """Those of older versions are read as the newest, by their upcasts."""
    published(registry, parcel(1, **LEVEL))
    contract = with_steps(parcel(2, **SCORE), (1, 2, score, ""), (2, 1, level, "some"))
    published(registry, contract, mode="FULL")
    assert decide(contract, registry).state == "published"
    wrong = with_steps(parcel(2, **SCORE), (1, 2, lambda _: {"score": 101}, ""), (2, 1, level, "some"))
    assert rules(decide(wrong, registry)) == ["migration"]


def test_an_older_class_beside_a_newer_version(registry: Registry) -> None:
    """Code of version 1 is in order while version 2 is published: so it is during a deploy, and after a rollback."""
    published(registry, parcel(1, **LEVEL))
    published(registry, with_steps(parcel(2, **SCORE), (1, 2, score, ""), (2, 1, level, "some")), mode="FULL")
    assert decide(parcel(1, **LEVEL), registry).state == "published"


def test_two_at_once(registry: Registry, tmp_path: Path) -> None:
    """Of two that publish one version at the same time, one is told that the other was first; nothing is overwritten."""
    first, second = Registry(tmp_path), Registry(tmp_path)
    decisions = [
        decide(parcel(1, x=hint), found, owner="us") for hint, found in ((TEXT, first), ((int, ...), second))
    ]
    files = publish(decisions[0], first)
    before = [path.read_bytes() for path in files]
    with pytest.raises(NotPublished, match="by somebody else"):
        publish(decisions[1], second)
    assert [path.read_bytes() for path in files] == before
    assert sorted(path.name for path in (tmp_path / NAME).iterdir()) == ["1.golden.json", "1.json"]


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be written, one line says so, no version is there, and it may be published later."""
    registry = Registry(tmp_path)
    decision = decide(parcel(1, x=TEXT), registry, owner="us")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotPublished, match="cannot be written"):
        publish(decision, Registry(tmp_path / "file"))
    (tmp_path / "file").unlink()

    replace, done = Path.replace, list[str]()

    def full(path: Path, target: Path) -> Path:
        done.append(target.name)
        if len(done) == 2:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(NotPublished, match="No space left"):
        publish(decision, registry)
    assert done == ["1.golden.json", "1.json"]
    assert Registry(tmp_path).versions(NAME) == ()
    monkeypatch.undo()
    publish(decision, registry)
    assert sorted(path.name for path in (tmp_path / NAME).iterdir()) == ["1.golden.json", "1.json"]


def test_it_reads_what_it_writes(registry: Registry) -> None:
    """A contract that has one name for a field when it writes and another when it reads is refused."""
    aliased = parcel(1, x=(int, Field(validation_alias="in", serialization_alias="out")))
    [problem] = decide(aliased, registry).problems
    assert "does not read what it writes itself" in problem.text


def test_what_has_no_schema(registry: Registry) -> None:
    """A field of a type that JSON cannot say is a typed error that names the contract."""
    with pytest.raises(ContractError, match=r"test\.parcel/1 has no JSON Schema"):
        decide(parcel(1, x=(type, ...)), registry)


def test_the_order_of_keys_does_not_matter(registry: Registry) -> None:
    """Key fields are a set."""
    published(registry, parcel(1, x=(str, Key()), y=(str, Key())))
    assert decide(parcel(2, y=(str, Key()), x=(str, Key())), registry).state == "new"


@pytest.mark.parametrize(
    "fields",
    [
        {"when": (datetime, ...), "day": (date, ...), "id": (UUID, ...)},
        {"tree": (Tree, ...), "more": (Tree | None, None)},
        {"pet": (Annotated[Cat | Dog, Field(discriminator="kind")], ...), "pets": (list[Cat | Dog], ...)},
        {"any": (Any, ...), "map": (dict[int, str], ...), "set": (set[int], ...), "pair": (tuple[int, str], ...)},
        {"text": (UntrustedText, ...), "pins": (list[Sensitive], ...), "pin": (Sensitive | None, None)},
        {"ratio": (Annotated[float, Field(gt=0, lt=1)], ...), "sevens": (Annotated[int, Field(multiple_of=7, gt=100)], ...)},
        {"wide": (list[Annotated[int, Field(ge=0, le=5)]], Field(min_length=3, max_length=4)), "raw": (bytes, ...)},
        {"al": (int, Field(alias="Some-Name"))},
        {},
    ],
)  # fmt: skip
def test_contracts_of_every_kind(fields: dict[str, Any], registry: Registry, tmp_path: Path) -> None:
    """Whatever a contract is made of, it gets golden envelopes by itself, and is then published and in order."""
    published(registry, parcel(1, **fields))
    decision = decide(parcel(1, **fields), Registry(tmp_path))
    assert (decision.state, decision.problems) == ("published", ())
    assert decision.golden
