"""`coordinator contracts check, publish, list, show` and `diff` of versions: what people and programs see."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.cli import main
from handoffs.coordinator.render.console import out as console

SECRET = "4111111111111111"
HEAD = """
from typing import Any, Literal
from pydantic import Field
from handoffs import Contract, Key, Sensitive, downcast, upcast
from handoffs import Flow, agent
"""
ORDER = """
class Order(Contract, name="shop.order", version=1):
    '''What somebody wants.'''
    order: str = Key(examples=["o-1"])
    card: Sensitive = Field(examples=["4111111111111111"])
"""
PRICED_1 = """
class Priced(Contract, name="shop.priced", version=1):
    '''What it costs.'''
    order: str = Key(examples=["o-1"])
    size: Literal["small", "large"]
"""
PRICED_2 = """
class Priced(Contract, name="shop.priced", version=2):
    '''What it costs.'''
    order: str = Key(examples=["o-1"])
    price: int = Field(ge=0, le=100)
"""
STEPS = """
@upcast(Priced, 1, 2)
def up(data: dict[str, Any]) -> dict[str, Any]:
    return {"order": data["order"], "price": {"small": 10, "large": 90}[data["size"]]}

@downcast(Priced, 2, 1, lossy="the exact price")
def down(data: dict[str, Any]) -> dict[str, Any]:
    return {"order": data["order"], "size": "large" if data["price"] > 50 else "small"}
"""
AGENTS = """
class Joined(Contract, name="shop.joined", version=1):
    left: Priced
    right: Priced

@agent("shop.price")
def price(order: Order) -> Priced: ...

@agent("shop.join")
def join(joined: Joined) -> Order: ...

flow = Flow("shop.flow", price)
"""
OLD, BROKEN, NEW = (HEAD + ORDER + part + AGENTS for part in (PRICED_1, PRICED_2, PRICED_2 + STEPS))
_NUMBERS = itertools.count()

Command = Callable[..., tuple[Any, str, str]]


@pytest.fixture
def contracts(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command with the agents of a module's text, in a folder of its own; gives status, output and complaints."""
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.chdir(tmp_path)

    def command(text: str, *arguments: str) -> tuple[Any, str, str]:
        name = f"shop_{next(_NUMBERS)}"
        Path(f"{name}.py").write_text(text, "utf-8")
        monkeypatch.setenv("COORDINATOR_AGENTS", name)
        monkeypatch.syspath_prepend(str(tmp_path))
        status: Any = 0
        try:
            main(["contracts", *arguments])
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def states(text: str) -> dict[str, str]:
    """The states in what was printed as JSON, by version."""
    return {f"{row['contract']}/{row['version']}": row["state"] for row in json.loads(text)}


def test_from_nothing_to_published(contracts: Command) -> None:
    """check is red until everything is published, the contracts in fields of a join included; then it is green."""
    status, out, _ = contracts(OLD, "check", "--json")
    assert status == 1
    assert states(out) == dict.fromkeys(["shop.joined/1", "shop.order/1", "shop.priced/1"], "not published")
    status, out, _ = contracts(OLD, "publish", "--owner", "shop")
    assert (status, out.count(" published ")) == (0, 3)
    assert "contracts/published/shop.order/1.json and 1.golden.json" in out
    status, out, err = contracts(OLD, "check")
    assert (status, err) == (0, "")
    assert "owner shop, FULL_TRANSITIVE" in out
    assert contracts(OLD, "publish")[0] == 0
    assert set(states(contracts(OLD, "publish", "--json")[1]).values()) == {"unchanged"}


@pytest.mark.parametrize("command", [("check",), ("check", "--json"), ("publish", "--dry-run")])
@pytest.mark.parametrize(
    ("agents", "said"),
    [
        (None, "COORDINATOR_AGENTS is not set: these are the contracts of the reference system payments"),
        (" ", "COORDINATOR_AGENTS names no module"),
    ],
)
def test_whose_contracts_they_are(
    agents: str | None,
    said: str,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no module is named, one line on standard error says that nobody's own contracts were looked at; the status is what it is."""
    monkeypatch.delenv("COORDINATOR_AGENTS", raising=False)
    if agents is not None:
        monkeypatch.setenv("COORDINATOR_AGENTS", agents)
    main(["contracts", *command])  # it would end the program with any status but 0
    printed = capsys.readouterr()
    assert ("payments." in printed.out) == (agents is None)
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert "set it to your modules" in printed.err


def test_all_or_nothing(contracts: Command) -> None:
    """Where one of several contracts is refused, nothing is written: the others are withheld. Then they are published together."""
    contracts(OLD, "publish", "shop.priced", "--owner", "shop")
    status, out, _ = contracts(BROKEN, "publish", "--owner", "shop", "--json")
    assert status == 1
    assert states(out) == {"shop.joined/1": "withheld", "shop.order/1": "withheld", "shop.priced/2": "breaks"}
    assert sorted(path.name for path in Path("contracts/published").iterdir()) == ["shop.priced"]
    status, out, _ = contracts(NEW, "publish", "--owner", "shop", "--json")
    assert status == 0, out
    assert set(states(out).values()) == {"published"}


def test_files_of_an_earlier_release(contracts: Command) -> None:
    """check says which have no digest, and accepts them; publish seals them once; a change by hand stops every command then."""
    contracts(OLD, "publish", "--owner", "shop")
    path = Path("contracts/published/shop.order/1.json")
    value = json.loads(path.read_text())
    path.write_text(
        json.dumps({name: inner for name, inner in value.items() if name not in ("digest", "golden")})
    )
    status, out, _ = contracts(OLD, "check")
    assert (status, out.count("without a digest")) == (0, 1)
    assert "would be sealed" in contracts(OLD, "publish", "--dry-run")[1]
    assert states(contracts(OLD, "publish", "--json")[1])["shop.order/1"] == "sealed"
    assert json.loads(path.read_text()) == value
    for name, changed in (("mode", "NONE"), ("owner", "another"), ("sensitive", ["/order_id"])):
        path.write_text(json.dumps({**value, name: changed}))
        status, _, err = contracts(OLD, "check")
        assert status == 1
        assert "shop.order/1.json: its digest is not that of what it says" in err


@pytest.mark.parametrize("file", ["1.json", "1.golden.json"])
def test_the_check_of_an_installation_reads_what_is_published(
    contracts: Command, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    """`coordinator check` names a published file that was changed by hand, golden envelopes included, also where no server is set."""
    contracts(OLD, "publish", "--owner", "shop")
    main(["check"])
    assert "each as it was published" in capsys.readouterr().out
    path = Path("contracts/published/shop.order", file)
    path.write_text(path.read_text("utf-8").replace("shop", "shed", 1), "utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["check"])
    assert ended.value.code == 1
    assert f"shop.order/{file}" in capsys.readouterr().err


def test_what_breaks_is_seen_at_a_glance(contracts: Command) -> None:
    """The field, what was and what is, who writes and reads it, a witness, and the remedy; and nothing is written."""
    contracts(OLD, "publish", "--owner", "shop")
    for command in (("check",), ("publish",)):
        status, out, _ = contracts(BROKEN, *command)
        assert status == 1
        for said in (
            "shop.priced/2 cannot read what shop.priced/1 wrote",
            "shop.priced/1, not upgraded yet, cannot read what shop.priced/2 writes",
            '/size one of "large", "small", required -',
            "/price - integer, from 0, to 100, required",
            "written by shop.price (in shop.flow)",
            "read by shop.join",
            'witness:  {"order":"","size":"large"}',
            "declare @upcast(Priced, 1, 2)",
            "declare @downcast(Priced, 2, 1)",
        ):
            assert said in out or said in " ".join(out.split())
    assert not Path("contracts/published/shop.priced/2.json").exists()


def test_for_programs(contracts: Command) -> None:
    """With --json there are the same things, and nothing else."""
    contracts(OLD, "publish", "--owner", "shop")
    [joined, order, priced] = json.loads(contracts(BROKEN, "check", "--json")[1])
    assert (joined["state"], order["state"], priced["state"]) == ("changed", "published", "breaks")
    assert priced["producers"] == ["shop.price (in shop.flow)"]
    assert priced["consumers"] == ["shop.join"]
    backward, forward = priced["problems"]
    assert (backward["rule"], forward["rule"]) == ("backward", "forward")
    assert backward["witness"] == {"order": "", "size": "large"}
    assert backward["changes"][0] == {"path": "/size", "was": 'one of "large", "small", required', "now": ""}


def test_a_migration_makes_it_right(contracts: Command) -> None:
    """With both steps declared the new version is published; its file says what is lost."""
    contracts(OLD, "publish", "--owner", "shop")
    status, out, _ = contracts(NEW, "publish", "shop.priced", "--dry-run", "--json")
    assert (status, states(out)) == (0, {"shop.priced/2": "would be published"})
    assert not Path("contracts/published/shop.priced/2.json").exists()
    assert contracts(NEW, "publish", "shop.priced/2")[0] == 0
    status, out, _ = contracts(NEW, "show", "shop.priced")
    assert status == 0
    for said in (
        "shop.priced/2",
        "/price",
        "from 0, to 100",
        "key",
        "downcast; lost: the exact price",
        "What it costs.",
    ):
        assert said in out
    shown = json.loads(contracts(NEW, "show", "shop.priced/1", "--json")[1])
    assert (shown["version"], [version["version"] for version in shown["versions"]]) == (1, [1, 2])


def test_a_step_that_loses_in_silence(contracts: Command) -> None:
    """A downcast that loses something and does not say so is refused with the instance."""
    contracts(OLD, "publish", "--owner", "shop")
    status, out, _ = contracts(NEW.replace(', lossy="the exact price"', ""), "publish", "shop.priced")
    assert status == 1
    assert "loses something" in out
    assert "instance: " in out


def test_a_changed_version(contracts: Command) -> None:
    """A published version that is another in the code: what was, what is, and the next number."""
    contracts(OLD, "publish", "--owner", "shop")
    status, out, _ = contracts(OLD.replace('"small", "large"', '"small", "large", "huge"'), "check")
    assert status == 1
    assert "shop.priced/1 is published, and the code says otherwise" in out
    assert '"huge", "large", "small"' in out
    assert "make it version 2" in out


def test_no_secret_is_shown(contracts: Command) -> None:
    """Whatever is printed, no example of a sensitive field is."""
    contracts(OLD, "publish", "--owner", "shop")
    text = NEW.replace(
        "    price: int", "    card: Sensitive = Field(examples=['4111111111111111'])\n    price: int"
    )
    text = text.replace("version=1):\n    '''What somebody wants.'''", "version=2):\n    more: int")
    for command in ("check", "publish"):
        for option in ([], ["--json"]):
            assert SECRET not in "".join(map(str, contracts(text, command, *option)))


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("publish", "shop.nothing"), 2, "no loaded agent has a contract 'shop.nothing'"),
        (("publish", "--mode", "SOMETIMES"), 2, "SOMETIMES"),
        (("show", "shop.nothing"), 1, "is not published"),
        (("show", "shop.order/9"), 1, "is not published; there is: shop.order/1"),
        (("show", "\x1b[31m"), 1, "is not published"),
        (("diff", "shop.order/1", "shop.order/7"), 2, "is not published; there is: shop.order/1"),
        (("diff", "shop.order/1", "nothing.json"), 2, "cannot be read"),
    ],
)
def test_mistakes_are_one_line(
    arguments: tuple[str, ...], status: int, said: str, contracts: Command
) -> None:
    """A name that does not exist ends in a line that says what there is."""
    contracts(OLD, "publish", "--owner", "shop")
    found, out, err = contracts(OLD, *arguments)
    assert (found, out) == (status, "")
    assert said in err
    assert "\x1b" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("raised", ["SystemExit(0)", "SystemExit(card)", "KeyboardInterrupt", "Panic(card)"])
def test_code_that_raises_whatever(raised: str, contracts: Command) -> None:
    """A contract whose code raises, while it is tried, what is no refusal of a value ends the command in one line that names it and
    what was raised, with a status of its own, and nothing is published. What the error says may quote a secret, and is not shown."""
    code = f"""
from pydantic import SecretStr, field_validator
class Panic(BaseException): ...

class Wild(Contract, name="shop.wild", version=1):
    card: Sensitive = Field(examples=["4111111111111111"])

    @field_validator("card")
    @classmethod
    def _wild(cls, card: SecretStr) -> SecretStr:
        card = card.get_secret_value()
        raise {raised}

@agent("shop.wild")
def wild(given: Wild) -> Order: ...
"""
    kind = raised.partition("(")[0]
    status, printed, told = contracts(OLD + code, "publish", "--owner", "shop")
    assert (status, printed) == (1, "")
    assert f"shop.wild/1 could not be tried: {kind} was raised (shop_" in told
    assert "nothing was published; let its validators raise ValueError" in told
    assert told.count("\n") == 1
    assert SECRET not in told
    assert not list(Path.cwd().rglob("*.json"))
    status, printed, told = contracts(OLD + code, "check")
    assert (status, printed) == (1, "")
    assert f"shop.wild/1 could not be tried: {kind} was raised" in told


def test_no_owner(contracts: Command) -> None:
    """Without an owner a first version is refused, and the option is named."""
    status, out, _ = contracts(OLD, "publish")
    assert status == 1
    assert "--owner TEAM" in out
    assert not Path("contracts").exists()


@pytest.mark.parametrize("command", [("check",), ("publish",), ("list",), ("show", "shop.order")])
def test_a_malformed_file_is_one_line(command: tuple[str, ...], contracts: Command) -> None:
    """A file that somebody edited stops every command with one line that names it."""
    contracts(OLD, "publish", "--owner", "shop")
    path = Path("contracts/published/shop.order/1.json")
    path.write_text(path.read_text().replace('"string"', '"integer"'))
    status, out, err = contracts(OLD, *command)
    assert (status, out) == (1, "")
    assert "shop.order/1.json: its fingerprint is not that of its schemas and keys" in err
    assert err.count("\n") == 1


def test_the_folder_is_a_setting(contracts: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """COORDINATOR_CONTRACTS_FOLDER says where; the contracts of the package are listed beside."""
    monkeypatch.setenv("COORDINATOR_CONTRACTS_FOLDER", "elsewhere")
    contracts(OLD, "publish", "--owner", "shop", "--mode", "BACKWARD")
    assert Path("elsewhere/shop.order/1.json").exists()
    listed = {row["contract"]: row for row in json.loads(contracts(OLD, "list", "--json")[1])}
    assert listed["shop.order"] == {
        "contract": "shop.order", "versions": [1], "owner": "shop", "mode": "BACKWARD", "keys": ["order"],
    }  # fmt: skip
    assert listed["payments.fraud-scored"]["versions"] == [1, 2]
    assert "payments.fraud-scored" in contracts(OLD, "list")[1]


def test_diff_of_published_versions(contracts: Command) -> None:
    """Two published versions are compared as files are, and the fields that differ stand below."""
    status, out, _ = contracts(
        OLD, "diff", "payments.fraud-scored/1", "payments.fraud-scored/2", "--mode", "full"
    )
    assert status == 1
    for said in (
        "payments.fraud-scored/2 -> payments.fraud-scored/1: incompatible",
        "/risk_level",
        "witness: ",
    ):
        assert said in out
    status, out, _ = contracts(OLD, "diff", "payments.fraud-scored/2", "payments.fraud-scored/2", "--json")
    assert (status, json.loads(out)["verdict"]) == (0, "compatible")


SECRETIVE = OLD.replace(
    "    card: Sensitive", "    pin: Secret[int] = Field(examples=[Secret(1)])\n    card: Sensitive"
).replace("import Field", "import Field, Secret", 1)
LESS = SECRETIVE.replace("Secret[int] = Field(examples=[Secret(1)])", "int = Field(examples=[1])")
"""The schema is the same: a mark refuses no instance, and is in no fingerprint."""


def _unseal(**members: Any) -> None:
    path = Path("contracts/published/shop.order/1.json")
    kept = {
        word: value
        for word, value in json.loads(path.read_text()).items()
        if word not in ("digest", "golden")
    }
    path.write_text(json.dumps({**kept, **members}))


def test_a_mark_that_the_code_has_lost(contracts: Command) -> None:
    """A field that was published as sensitive and is not in the code is refused by `check`, sealed or not: it would be shown."""
    contracts(SECRETIVE, "publish", "--owner", "shop")
    assert contracts(SECRETIVE, "check")[0] == 0
    for _ in ("sealed", "not sealed"):
        status, out, _ = contracts(LESS, "check")
        assert status == 1
        assert "/pin of shop.order/1 was published as sensitive" in out
        _unseal()


def test_a_mark_that_was_taken_out_of_an_unsealed_file(contracts: Command) -> None:
    """Whoever takes digests and marks out of a published file is found out by `check`, and `publish` does not seal it."""
    contracts(SECRETIVE, "publish", "--owner", "shop")
    _unseal(sensitive=["/card"])
    for command in ("check", "publish"):
        status, out, _ = contracts(SECRETIVE, command)
        assert status == 1
        assert "/pin of shop.order/1 is sensitive in the code and not in the published file" in out
    assert "digest" not in json.loads(Path("contracts/published/shop.order/1.json").read_text())


def test_a_mark_that_the_code_has_more(contracts: Command) -> None:
    """What the code marks beyond what was published is told, and not refused: nothing is shown, but others go by what is published."""
    contracts(LESS, "publish", "--owner", "shop")
    status, out, _ = contracts(SECRETIVE, "check")
    assert status == 0
    assert "sensitive only in the code: /pin" in out


def test_each_malformed_file_is_told_once(contracts: Command) -> None:
    """`check` and `publish` tell of each file that is malformed in a line, and rely on none."""
    contracts(OLD, "publish", "--owner", "shop")
    folder = Path("contracts/published")
    (folder / "shop.order" / "1.json").write_text("{" * 1000)
    (folder / "shop.priced" / "1.golden.json").write_text("[]")
    (folder / "\x1b[2J\n[red]").mkdir()
    (folder / "shop.joined" / "2.json").mkdir()
    for command in ("check", "publish"):
        status, out, err = contracts(OLD, command)
        assert (status, out) == (1, "")
        assert len(err.splitlines()) == 4
        assert err.replace("\n", "").isprintable()


def test_the_check_of_an_installation_sees_what_the_code_has_made_of_it(
    contracts: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loaded contract that is another than the published one is a fault of the installation, and is named."""
    contracts(OLD, "publish", "--owner", "shop")
    contracts(OLD.replace('"small", "large"', '"small", "large", "huge"'), "check")
    with pytest.raises(SystemExit) as end:
        main(["check"])
    printed = capsys.readouterr()
    assert end.value.code == 1
    assert "each as it was published" not in printed.out
    assert re.search(
        r"the code has another shop\.\S+/1.* than was published: coordinator contracts check", printed.err
    )
