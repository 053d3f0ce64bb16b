"""The rules of the house, as far as a program can check them: what a newcomer may rely on in every module of the package.

A function that is long, or takes many parameters, for a reason has the reason in its docstring, in a line that begins with
``Long because`` or ``Many parameters because``. An import inside a function has its reason in a comment, on its line or the
one before.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

import handoffs

ROOT = Path(handoffs.__file__).parent
ROOMS = ("contracts", "config", "coordinator", "tasks")
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS = 400, 50, 6
NO_NOUNS = frozenset({"common", "helpers", "misc", "util", "utils"})
REASON = re.compile(r"#\s*(?!noqa)\S.*|#\s*noqa:\s*[A-Z0-9, ]+?\s+\S.*")

Function = ast.FunctionDef | ast.AsyncFunctionDef

TO_BE_MENDED: dict[str, frozenset[str]] = {}
"""What breaks a rule still, by rule. It can only shrink: a mended offender that is listed fails the test, too."""


@cache
def modules() -> dict[str, str]:
    """The source of each module, by its path in the package."""
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in sorted(found)}


@cache
def trees() -> dict[str, ast.Module]:
    """The syntax tree of each module, by its path in the package."""
    return {path: ast.parse(source) for path, source in modules().items()}


def functions() -> Iterator[tuple[str, Function]]:
    """Each function and method: ``path:Class.name``, and its definition."""

    def within(node: ast.AST, name: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | Function):
                inner = f"{name}.{child.name}" if name else child.name
                if isinstance(child, Function):
                    yield inner, child
                yield from within(child, inner)
            else:
                yield from within(child, name)

    for path, tree in trees().items():
        yield from ((f"{path}:{name}", function) for name, function in within(tree, ""))


def circles() -> Iterator[str]:
    """Modules that lead to one another by their imports, those for type checkers included."""
    graph = grimp.build_graph("handoffs", exclude_type_checking_imports=False, cache_dir=None)
    above = {module: graph.find_upstream_modules(module) for module in graph.modules}
    for module in sorted(graph.modules):
        circle = sorted({module} | {other for other in above[module] if module in above[other]})
        if len(circle) > 1 and circle[0] == module:
            yield " <-> ".join(name.removeprefix("handoffs.") for name in circle)


def long_modules() -> Iterator[str]:
    """Modules of more than 400 lines."""
    yield from (path for path, source in modules().items() if len(source.splitlines()) > MOST_LINES)


def long_functions() -> Iterator[str]:
    """Functions of more than 50 lines beside their docstring, without a reason."""
    for name, function in functions():
        first = function.body[0]
        own = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0
        lines = (function.end_lineno or function.lineno) - function.lineno + 1 - own
        if lines > MOST_LINES_OF_A_FUNCTION and not reasoned(function, "Long because"):
            yield name


def wide_functions() -> Iterator[str]:
    """Functions of more than six parameters, ``self`` not counted, without a reason."""
    for name, function in functions():
        parameters = function.args
        given = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
        count = sum(parameter.arg not in ("self", "cls") for parameter in given)
        if count > MOST_PARAMETERS and not reasoned(function, "Many parameters because"):
            yield name


def reasoned(function: Function, words: str) -> bool:
    """Whether a line of the docstring gives a reason."""
    lines = (ast.get_docstring(function) or "").splitlines()
    return any(line.strip().startswith(words) and len(line.strip()) > len(words) for line in lines)


def nameless_modules() -> Iterator[str]:
    """Modules and folders that are named after no noun of their own."""
    yield from (path for path in modules() if NO_NOUNS & set(Path(path).with_suffix("").parts))


def unreasoned_imports() -> Iterator[str]:
    """Imports inside functions that do not say why they are there."""
    for name, function in functions():
        lines = modules()[name.partition(":")[0]].splitlines()
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                near = [lines[node.lineno - 1], lines[(node.end_lineno or node.lineno) - 1]]
                before = lines[node.lineno - 2].strip()
                if not any(map(REASON.search, [*near, before if before.startswith("#") else ""])):
                    yield name


def silent_modules() -> Iterator[str]:
    """Modules without a docstring."""
    yield from (path for path, tree in trees().items() if not ast.get_docstring(tree))


RULES: dict[str, Callable[[], Iterator[str]]] = {
    "no module leads to itself by imports": circles,
    "a module has at most 400 lines": long_modules,
    "a function has at most 50 lines, or a reason": long_functions,
    "a function has at most six parameters, or a reason": wide_functions,
    "a module is named after a noun": nameless_modules,
    "an import inside a function has a reason": unreasoned_imports,
    "a module says what it is": silent_modules,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_its_rules(rule: str) -> None:
    """Each module keeps the rule, but for those that are listed as still to be mended; and those do break it."""
    found, listed = frozenset(RULES[rule]()), TO_BE_MENDED.get(rule, frozenset())
    assert not found - listed, f"{rule}: mend {sorted(found - listed)}"
    assert not listed - found, f"{rule}: delete from TO_BE_MENDED {sorted(listed - found)}"


def test_only_rules_have_offenders() -> None:
    """Each entry of the list is under one of the rules."""
    assert TO_BE_MENDED.keys() <= RULES.keys()
