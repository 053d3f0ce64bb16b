"""Published files: a folder of published contracts in which something was changed by hand, or is no file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from handoffs.contracts.registry.publication import Published
from tests.hostile.generators.texts import damaged, text
from tests.hostile.trial import Try

_OURS = Path(str(files("handoffs.contracts") / "published"))
_NAME = "shop.published"
_COMMANDS = (("check",), ("contracts", "check"), ("contracts", "publish", "--dry-run"), ("check", "--json"))


def generate(random: Random, folder: Path) -> Try:
    """A command that looks through the folder. It must be refused where the kind leaves nothing that could be right."""
    published = folder / "published"
    place = published / _NAME
    place.mkdir(parents=True)
    source = random.choice(sorted(_OURS.iterdir()))
    version, golden = (
        json.loads(
            (source / name)
            .read_text("utf-8")
            .replace(f'"{source.name}"', f'"{_NAME}"')
            .replace(f"/{source.name}/", f"/{_NAME}/")
            .replace(f":{source.name}:", f":{_NAME}:")
        )
        for name in ("1.json", "1.golden.json")
    )
    del version["digest"], version["golden"]
    if (
        random.random() < 0.3
    ):  # otherwise it is of before there were digests, and what is changed is looked at
        version = Published.from_json(version).sealed(golden).to_json()
    (place / "1.json").write_text(json.dumps(version), "utf-8")
    (place / "1.golden.json").write_text(json.dumps(golden), "utf-8")
    kind = random.choice(list(_KINDS))
    _KINDS[kind](random, place)
    environment = {"COORDINATOR_CONTRACTS_FOLDER": str(published)}
    return Try(
        f"published-files/{kind}", random.choice(_COMMANDS), environment, refused=_REFUSED.get(kind, True)
    )


def _octets(random: Random, place: Path) -> None:
    path = place / random.choice(("1.json", "1.golden.json"))
    good = path.read_bytes()
    at = random.randrange(len(good))
    path.write_bytes(
        random.choice(
            (
                b"",
                b"\xff\xfe",
                b"\0",
                b"{",
                b"null",
                b"[]",
                b"[" * 100_000,
                b'{"a":' * 3_000,
                good[:at],
                good + good,
                b" " * 20_000_000,
            )
        )
    )


def _signs(random: Random, place: Path) -> None:
    path = place / random.choice(("1.json", "1.golden.json"))
    path.write_text(damaged(random, path.read_text("utf-8")), "utf-8", "surrogateescape")


def _values(random: Random, place: Path) -> None:
    """Another value somewhere inside."""
    path = place / random.choice(("1.json", "1.golden.json"))
    value = json.loads(path.read_text("utf-8"))
    for _ in range(random.randint(1, 3)):
        _change(random, value)
    path.write_text(json.dumps(value), "utf-8")


def _change(random: Random, value: Any) -> None:
    while isinstance(value, (dict, list)) and value:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = random.choice(keys)
        inner = value[key]
        if not isinstance(inner, (dict, list)) or not inner or random.random() < 0.3:
            value[key] = _another(random)
            return
        value = inner


def _another(random: Random) -> Any:
    deep: Any = 1
    for _ in range(100):
        deep = {"anyOf": [deep]}
    return random.choice(
        (
            None, True, 0, -1, 1.5, 1e308, 10**400, [], {}, [[]], {"": {}}, [1, 1], "", "x", "[/x]\x1b[2J\n", text(random)[:200].encode("utf-8", "replace").decode(),
            {"$ref": "#/$defs/none"}, {"$ref": "http://nowhere.invalid/x"}, {"$ref": "#"}, {"type": "string", "pattern": "(a+)+$"}, {"pattern": "["},
            {"enum": []}, {"type": []}, {"type": "no"}, {"minimum": "1"}, {"multipleOf": 0}, {"required": [1]}, {"properties": []}, deep,
        )
    )  # fmt: skip


def _folders(_random: Random, place: Path) -> None:
    (place / "1.json").unlink()
    (place / "1.json").mkdir()


def _loops(_random: Random, place: Path) -> None:
    (place / "1.json").unlink()
    (place / "1.json").symlink_to("1.json")


def _pipes(_random: Random, place: Path) -> None:
    (place / "1.json").unlink()
    os.mkfifo(place / "1.json")


def _devices(_random: Random, place: Path) -> None:
    (place / "2.json").symlink_to("/dev/zero")


def _names(random: Random, place: Path) -> None:
    name = random.choice(
        (
            "0.json",
            "01.json",
            "\u0661.json",
            "1.JSON",
            "x\ny.json",
            "\x1b[2J",
            "[red]",
            "1.json~",
            "9999999999.json",
            "\udcff",
            "1.golden.golden.json",
        )
    )
    (place / name).write_text("{}")


def _contracts(random: Random, place: Path) -> None:
    name = random.choice(("Shop", "shop..x", "[red]", "\x1b[2J", "a\nb", "\udcff", "x" * 200))
    if random.random() < 0.5:
        (place.parent / name).mkdir()
    else:
        (place.parent / name).write_text("x")


def _missing(_random: Random, place: Path) -> None:
    (place / "1.golden.json").unlink()


def _elsewhere(_random: Random, place: Path) -> None:
    shutil.copytree(place, place.parent / "shop.other")


def _nothing(_random: Random, _place: Path) -> None:
    """It is as it was published."""


_KINDS: dict[str, Callable[[Random, Path], None]] = {
    "nothing": _nothing,
    "octets": _octets, "signs": _signs, "values": _values, "folders": _folders, "loops": _loops, "pipes": _pipes, "devices": _devices, "names": _names,
    "contracts": _contracts, "missing": _missing, "elsewhere": _elsewhere,
}  # fmt: skip
_REFUSED = {"nothing": False, "octets": None, "signs": None, "values": None}
