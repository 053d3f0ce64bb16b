"""Echo: what an outcome says of the input that it was made for, and of no other."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, get_args

from pydantic import BaseModel

from handoffs.contracts.contract import Contract


def said_back(inputs: type[Contract], outcome: type[Contract], by: Collection[str]) -> list[str]:
    """The fields of ``outcome`` that tell the input it is of, and that the fields ``by`` of the input do not determine.

    These are its key fields; where it has none, those that ``inputs`` has under the same name; and in any case what names the
    input, its key, also deeper in it.
    """
    keys = _wired(outcome, outcome.__keys__)
    common = [] if keys else [name for name in _wired(outcome) if name in _wired(inputs)]
    named = _wired(inputs, inputs.__keys__)
    deeper = [path for path in _paths(outcome) if path.rpartition(".")[2] in named]
    told = dict.fromkeys((*common, *deeper))
    others = [path for path in told if path not in by and path.rpartition(".")[2] not in by]
    return list(dict.fromkeys([*(name for name in keys if name not in by), *others]))


def _wired(model: type[BaseModel], names: Collection[str] | None = None) -> list[str]:
    """The fields of a model, or those of these names, as they are called in messages."""
    fields = model.model_fields
    return [fields[name].alias or name for name in (fields if names is None else names)]


def _paths(model: type[BaseModel], around: tuple[type, ...] = (), prefix: str = "") -> list[str]:
    """The paths of the fields of a model and of the models in it, other than those in themselves."""
    found: list[str] = []
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        found.append(path)
        for inner in _models(info.annotation):
            if inner not in (model, *around):
                found += _paths(inner, (model, *around), f"{path}.")
    return found


def _models(hint: Any) -> list[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    return [model for inner in get_args(hint) for model in _models(inner)]
