"""The trial: what older versions wrote is given to the new class before anything of it is written; several are published together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr, field_validator, model_validator

from handoffs import Contract, ContractRef, Key, upcast
from handoffs.contracts.errors import NotPublished
from handoffs.contracts.registry.publishing import Decision, decide, publish, publish_all
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.text import luhn

NAME = "trial.parcel"
GOOD, OTHER_GOOD = "4111111111111111", "5500005555555559"


def refusing(bad: Callable[[Any], bool]) -> dict[str, Any]:
    """A validator of ``number``, as a class has it."""

    def judge(cls: Any, number: Any) -> Any:
        if bad(number):
            raise ValueError("it is refused")
        return number

    return {"judge": field_validator("number")(classmethod(judge))}


def parcel(version: int, hint: Any = int, default: Any = ..., **more: Any) -> type[Contract]:
    """A version of a contract with a key and a number."""
    fields = {
        "__annotations__": {"order": str, "number": hint},
        "order": Key(examples=["o-1"]),
        "__module__": __name__,
    }
    if default is not ...:
        fields["number"] = default
    made: type[Contract] = type("Parcel", (Contract,), {**fields, **more}, name=NAME, version=version)
    return made


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def published(registry: Registry, contract: type[Contract], mode: str = "") -> Decision:
    decision = decide(contract, registry, owner="us", mode=mode)
    publish(decision, registry)
    return decision


MODES = ("BACKWARD", "FULL", "BACKWARD_TRANSITIVE", "FULL_TRANSITIVE")


@pytest.mark.parametrize("mode", MODES)
def test_a_new_validator_that_refuses_old_data(mode: str, registry: Registry, tmp_path: Path) -> None:
    """A validator that refuses what an older version's golden envelopes have is refused before anything is written: the envelope and
    the field are named."""
    first = published(registry, parcel(1), mode)
    golden = {envelope.data["number"] for envelope in first.golden}
    decision = decide(parcel(2, **refusing(lambda number: number in golden)), registry)
    assert decision.state == "refused"
    assert {problem.rule for problem in decision.problems} == {"golden"}
    assert len(decision.problems) == len(golden)
    assert f"golden envelope 1 of {NAME}/1 is not read" in decision.problems[0].text
    assert "number: Value error, it is refused" in decision.problems[0].text
    with pytest.raises(NotPublished, match="golden envelope 1"):
        publish(decision, registry)
    assert Registry(tmp_path).versions(NAME) == (1,)


def test_what_only_a_sample_shows(registry: Registry) -> None:
    """So is one that refuses only what no golden envelope has, an end of a range: with the instance. Without a promise to read older
    data nobody asks; with examples of what was written they are what is tried."""
    published(registry, parcel(1))
    small = refusing(lambda number: abs(number) > 10**9)
    decision = decide(parcel(2, **small), registry)
    [problem] = decision.problems
    assert f"a sample of {NAME}/1 is not read" in problem.text
    assert "number" in problem.text
    assert abs(problem.witness["number"]) > 10**9
    for mode in ("NONE", "FORWARD", "FORWARD_TRANSITIVE"):
        assert decide(parcel(2, **small), registry, mode=mode).state == "new"
    assert decide(parcel(2, default=Field(examples=[5, 7]), **small), registry).state == "new"


def test_the_same_validator_as_before(registry: Registry) -> None:
    """A validator that was there before, with examples of what it takes, refuses nothing."""
    card = {
        "hint": str,
        "default": Field(examples=[GOOD, OTHER_GOOD]),
        **refusing(lambda number: not luhn(number) or not number),
    }
    published(registry, parcel(1, **card))
    assert decide(parcel(2, **card), registry).state == "new"


def test_each_older_version_is_tried(registry: Registry) -> None:
    """Not only the one before: whatever the class says it can read, through migrations too."""
    for version in (1, 2):
        published(registry, parcel(version, int if version == 1 else str), "NONE")
    third = parcel(3, str, **refusing(lambda number: number.startswith("old")))
    upcast(third, 1, 2)(lambda data: {**data, "number": f"old {data['number']}"})
    decision = decide(third, registry, mode="BACKWARD")
    assert {problem.other for problem in decision.problems} == {ContractRef(NAME, 1)}
    assert "golden envelope 1" in decision.problems[0].text


def test_a_validator_of_the_whole(registry: Registry) -> None:
    """A validator of the whole that refuses old data is found too, and a secret is not shown."""
    published(registry, parcel(1, SecretStr))

    def judge(self: Any) -> Any:
        raise ValueError(f"{self.number.get_secret_value()} is refused")

    decision = decide(parcel(2, SecretStr, judge=model_validator(mode="after")(judge)), registry)
    assert decision.state == "refused"
    assert all("refused" not in problem.text for problem in decision.problems if problem.other is not None)


def test_several_are_published_together_or_not_at_all(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of several is refused, is there already, or cannot be written, none is there; what was there before stays."""

    class Other(Contract, name="trial.other", version=1):
        order: str = Key()

    published(registry, parcel(1))
    second, other = decide(parcel(2), registry), decide(Other, registry, owner="us")
    refused = decide(parcel(2, **refusing(lambda _: True)), registry)
    before = sorted(tmp_path.rglob("*.json"))
    with pytest.raises(NotPublished):
        publish_all((other, refused), registry)
    assert sorted(tmp_path.rglob("*.json")) == before
    for number in range(1, 5):
        replace, done = Path.replace, list[str]()

        def full(
            path: Path, target: Path, *, number: int = number, replace: Any = replace, done: Any = done
        ) -> Path:
            done.append(target.name)
            if len(done) == number:
                raise OSError(28, "No space left on device")
            return replace(path, target)  # type: ignore[no-any-return]

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", full)
            with pytest.raises(NotPublished, match="No space left"):
                publish_all((second, other), registry)
        assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == before
    publish(other, Registry(tmp_path))
    with pytest.raises(NotPublished, match=r"trial\.other/1 was published by somebody else"):
        publish_all((second, other), registry)
    assert Registry(tmp_path).versions(NAME) == (1,)
    assert [len(files) for files in publish_all((second, decide(Other, Registry(tmp_path))), registry)] == [
        2,
        0,
    ]
    assert Registry(tmp_path).versions(NAME) == (1, 2)


def test_a_validator_behind_a_migration(registry: Registry) -> None:
    """What a migration makes of old data is tried on the class too: the envelope, the field and the instance are named."""
    published(registry, parcel(1, str), "NONE")
    second = parcel(2, int, **refusing(lambda number: number < 0))
    upcast(second, 1, 2)(lambda data: {**data, "number": -1})
    decision = decide(second, registry, mode="BACKWARD")
    [problem] = decision.problems
    assert (problem.rule, problem.other) == ("migration", ContractRef(NAME, 1))
    assert "number: Value error, it is refused" in problem.text
    assert f"golden envelope 1 of {NAME}/1" in problem.text
    assert problem.witness == registry.golden(ContractRef(NAME, 1))[0].data
