"""Writes docs/api.md, the reference of all that ``handoffs`` exports, from signatures and docstrings: ``python deploy/api.py``.

It is committed; a test says where it is not current. Nothing in it comes from elsewhere: to change it, change a docstring.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any, ForwardRef

from pydantic import BaseModel

import handoffs

FILE = Path(__file__).resolve().parent.parent / "docs" / "api.md"

GROUPS: dict[str, tuple[str, ...]] = {
    "Contracts": ("Contract", "Key", "Searchable", "ContractRef", "ExactDecimal", "upcast", "downcast", "Envelope"),
    "Text from outside": ("UntrustedText", "Hygiene", "Sensitive", "render_for_prompt"),
    "Agents": ("agent", "Agent", "Context", "Retry", "lifespan"),
    "Flows": (
        "Flow", "parallel", "choice", "when", "go_on", "field", "each", "repeat", "delay", "wait_for", "budget",
        "cached", "constant", "Spending", "compensate", "retrying", "emit",
    ),
    "Events": ("on", "gather", "Event"),
    "Runs": ("Coordinator", "Run", "Usage", "schedule", "Schedule"),
    "What happened": ("History", "HistoryEntry", "EntryKind", "Letters", "Letter", "FailureKind", "ExportedCase"),
    "Errors": ("CoordinationError", "Transient", "Permanent", "NotOne"),
}  # fmt: skip
"""All public names, each in one group, in the order of the page."""

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|exc|data):`(?:([^`<]+?) <[\w.]+>|~?([\w.]+))`")
_HEAD = """# API reference

All that `from handoffs import ...` gives, made from the docstrings by `make api`. How it is used: [first-project.md](first-project.md),
[flows.md](flows.md), [events.md](events.md), [contracts.md](contracts.md), [text.md](text.md); settings: [settings.md](settings.md).
"""


def page() -> str:
    """The whole page, in Markdown."""
    anchors = _anchors()
    contents = [
        f"- {group}: " + ", ".join(f"[{name}](#{anchors[name]})" for name in names)
        for group, names in GROUPS.items()
    ]
    parts = [_HEAD, "\n".join(contents)]
    for group, names in GROUPS.items():
        parts.append(f"## {group}")
        for name in names:
            parts += _entry(name)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _anchors() -> dict[str, str]:
    """The anchor of each name, as GitHub makes it of the headings: in lower case, with a number where it was there before."""
    found: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for group, names in GROUPS.items():
        for heading in (group, *names):
            plain = heading.lower().replace(" ", "-")
            found[heading] = f"{plain}-{seen[plain]}" if seen[plain] else plain
            seen[plain] += 1
    return found


def _entry(name: str) -> Iterator[str]:
    """What is said of one public name: its signature, its docstring, and what can be done with it."""
    value = getattr(handoffs, name)
    yield f"### {name}"
    if callable(value) and not _is_model(value) and not _is_alias(value):
        yield f"    {name}{_signature(value)}"
    yield prose(_docstring(name, value))
    if inspect.isclass(value):
        for member, found in sorted(_members(value).items()):
            yield f"**`{name}.{member}{_signature(found) if callable(found) else ''}`**"
            yield prose(inspect.getdoc(found) or "")


def _is_model(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseModel)


def _is_alias(value: object) -> bool:
    return not (inspect.isclass(value) or inspect.isroutine(value))


def _signature(value: Any) -> str:
    """As it is written: annotations as in the source."""
    found = inspect.signature(value)
    plain = [
        parameter.replace(annotation=_annotation(parameter.annotation), default=_default(parameter.default))
        for parameter in found.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    returned = found.return_annotation
    shown = str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    ends = (
        ""
        if inspect.isclass(value) or returned is inspect.Signature.empty
        else f" -> {_annotation(returned)!r}"
    )
    return shown + ends


class _Written:
    """What :mod:`inspect` prints as it is written in the source, and not as the object that it became."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _annotation(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return value
    if isinstance(value, ForwardRef):
        return _Written(value.__forward_arg__)
    return _Written(value if isinstance(value, str) else inspect.formatannotation(value))


def _default(value: Any) -> Any:
    """A default as it is written: classes by their names, and without the place in the memory that some say."""
    if value is inspect.Parameter.empty:
        return value
    text = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", repr(value))
    return _Written("..." if " at 0x" in text else text)


def _members(value: type) -> dict[str, Any]:
    """The methods and properties of a class that it, or a base of ours, declares with a docstring."""
    found: dict[str, Any] = {}
    for base in reversed(value.__mro__):
        if not base.__module__.startswith("handoffs."):
            continue
        for name, member in vars(base).items():
            plain = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            known = inspect.isfunction(plain) or isinstance(plain, property)
            if known and not name.startswith("_") and inspect.getdoc(plain) and plain.__doc__:
                found[name] = plain
    return found


def _docstring(name: str, value: Any) -> str:
    """The docstring of what has one of its own, or else what stands below the assignment of the name.

    Nothing is taken from the type of an alias: what Python says of that differs from release to release.
    """
    if not _is_alias(value):
        return inspect.getdoc(value) or ""
    if type(value).__module__.startswith("handoffs."):
        return _below(name, handoffs._WHERE[name]) or inspect.getdoc(type(value)) or ""
    return _below(name, handoffs._WHERE[name])


def _below(name: str, module: str) -> str:
    """The string that stands below the assignment of a name, in the module or in the one that it takes the name from."""
    body = ast.parse(inspect.getsource(sys.modules[module])).body
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and name in [alias.name for alias in statement.names]:
            return _below(name, str(statement.module))
    for statement, following in pairwise(body):
        names = [target.id for target in getattr(statement, "targets", []) if isinstance(target, ast.Name)]
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names.append(statement.target.id)
        if name in names and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            return inspect.cleandoc(str(following.value.value))
    return ""


def prose(docstring: str) -> str:
    """A docstring as Markdown: names without their roles, code between single backticks, examples and lists as Markdown has them."""
    text = _ROLE.sub(lambda found: f"`{found[1] or found[2].rpartition('.')[2]}`", docstring)
    text = text.replace("``", "`")
    blocks = re.split(r"\n\s*\n", text)
    return "\n\n".join(_block(block) for block in blocks if block.strip() != "::")


def _block(block: str) -> str:
    if block.startswith("    "):  # an example
        return "\n".join(f"    {line}".rstrip() for line in dedent(block).splitlines())
    if re.search(r"^\w[^\n]*\n {4}", block):  # a list of terms, each with what it means below it
        return re.sub(r"^(\w[^\n]*)\n {4}", r"- `\1`: ", block, flags=re.MULTILINE).replace("\n    ", "\n  ")
    return re.sub(r"::$", ":", block)


if __name__ == "__main__":
    FILE.write_text(page(), "utf-8")
