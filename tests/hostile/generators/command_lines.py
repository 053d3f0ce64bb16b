"""Command lines: every command and option that there is, with texts of every kind; without servers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import click

from handoffs.coordinator.cli.command_line import cli
from tests.hostile.generators.texts import damaged, text
from tests.hostile.trial import Try

_STAY = frozenset({"worker", "serve", "beat", "flower", "demo"})
"""They stay, or take their time, where they are given what is right."""
_PAYMENT = (
    '{"payment_id": "p-1", "amount": "12.50", "currency": "EUR", "card_number": "4000000000000002", "debtor": "c-1", "creditor": "m-1",'
    ' "country": "DE", "submitted_at": "2026-01-05T10:05:02Z"}'
)
_GOOD = (
    "payments.payment",
    "payments.fraud",
    "payments.payment-submitted",
    "payments.payment-submitted/1",
    _PAYMENT,
    "1",
    "0.5",
    "+90m",
)
_FILE_NAMES = ("file", "[x]", "\x1b[2J", "a\nb", "caf\u00e9")


def generate(random: Random, folder: Path) -> Try:
    """One of the commands, with arguments and options that are right, nearly right, or neither."""
    path, command = random.choice(_commands())
    arguments = list(path)
    for parameter in command.params:
        if isinstance(parameter, click.Argument) or random.random() < 0.4:
            arguments += _given(random, parameter, folder)
    if random.random() < 0.1:
        arguments.insert(random.randrange(len(arguments) + 1), text(random))
    if path[:1] == ("map",):
        arguments = [part for part in arguments if part != "--watch"]
    return Try(f"command-lines/{'-'.join(path)}", tuple(arguments), lines=8)


@cache
def _commands() -> list[tuple[tuple[str, ...], click.Command]]:
    return [(path, command) for path, command in _walked((), cli) if path and path[0] not in _STAY]


def _walked(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _walked((*path, name), inner)


def _given(random: Random, parameter: click.Parameter, folder: Path) -> list[str]:
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [parameter.opts[0]]
    value = _value(random, parameter, folder)
    if isinstance(parameter, click.Argument):
        return [value]
    return [f"{parameter.opts[0]}={value}"] if random.random() < 0.3 else [parameter.opts[0], value]


def _value(random: Random, parameter: click.Parameter, folder: Path) -> str:
    if isinstance(parameter.type, click.Path) or random.random() < 0.2:
        mark = "" if isinstance(parameter.type, click.Path) else "@"
        return mark + str(_file(random, folder))
    if random.random() < 0.3:
        return random.choice(_GOOD)
    return damaged(random, random.choice(_GOOD)) if random.random() < 0.3 else text(random)


def _file(random: Random, folder: Path) -> Path:
    """A path of every kind."""
    path = folder / f"{random.choice(_FILE_NAMES)}-{random.getrandbits(32)}"
    kind = random.randrange(7)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.symlink_to(path)
    elif kind == 2:
        return Path("/dev/zero")
    elif kind == 3:
        path.write_bytes(random.randbytes(random.randrange(200)))
    elif kind == 4:
        path.write_text(damaged(random, _PAYMENT), "utf-8", "surrogateescape")
    elif kind == 5:
        path.write_text(_PAYMENT)
        path.chmod(0)
    return path
