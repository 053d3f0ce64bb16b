"""What people get wrong is told in one line: no traceback, nothing that a terminal would obey, and a status that is not zero."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.cli import main
from tests.stack import ROOT

GOOD = "from handoffs.tasks.payments import *\n"
MODULES = {
    "ends": ("import sys; sys.exit(0)", "ended the program on import, with status 0"),
    "ends_with_text": ("import sys; sys.exit('[/x] \\x1b[31m')", "ended the program on import"),
    "skips": ("class Skipped(BaseException): pass\nraise Skipped('[/x]')", "Skipped: [/x]"),
    "leaves": ("raise GeneratorExit", "GeneratorExit"),
    "fails": ("raise ValueError('\\x1b[2J\\n[/red]')", "ValueError: \\u001b[2J"),
    "cannot_say": (
        "class Odd(Exception):\n    def __str__(self): raise TypeError\nraise Odd",
        "Odd: (it cannot say what: TypeError)",
    ),
    "no_python": ("def f(:", "SyntaxError"),
    "no_text": ("\udcff", "SyntaxError"),
    "loops": ("def f(): f()\nf()", "RecursionError"),
    "circle": ("from circle import missing", "circular import"),
    "empty": ("", "declares no agent and no flow"),
    "is_no_module": ("import sys; sys.modules[__name__] = 5", "declares no agent and no flow"),
}
"""Modules that cannot be loaded, and what is said of each."""
HOSTILE = [
    "[/x]",
    "[red]",
    "\x1b[2J",
    "a\rb",
    "\u202e",
    "\x85",
    ":smile:",
    "9" * 400,
    "\udcff",
    "%s{0}",
    "/..",
    "-",
    "@/",
    "@",
]
"""What people could give for an id, a name or a note."""


class Ran:
    """How a command ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    def refused(self) -> str:
        """The one line that it was refused with."""
        assert self.status not in (0, None), self.out
        assert "Traceback" not in self.err
        assert len(self.err.splitlines()) == 1, self.err
        assert self.err.strip().isprintable(), repr(self.err)
        assert "COORDINATOR_LOG_LEVEL=DEBUG" not in self.err, self.err  # what nobody thought of
        return self.err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line in this process."""

    def command(*arguments: str, **variables: str) -> Ran:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        status: Any = 0
        try:
            main(arguments)
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return command


def _program(*arguments: str, shell: str = "", **variables: str) -> Ran:
    """The command line as a program; ``shell`` is what comes after it."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **variables}
    line = ["sh", "-c", f'"$0" -m handoffs.coordinator "$@" {shell}', sys.executable, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=60, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_cannot_be_loaded(name: str, run: Any, modules: Path) -> None:
    """Whatever a module does when it is imported, `check` says that it is not in order: it does not end with the status that a
    module ends the program with."""
    source, said = MODULES[name]
    (modules / f"{name}.py").write_bytes(source.encode("utf-8", "surrogateescape"))
    assert said in run("check", COORDINATOR_AGENTS=name).refused()


@pytest.mark.parametrize("name", ["..", ".one", "a/b", "[/x]", "no such", "\udcff", "\x1b[2J", "9" * 300])
def test_a_name_that_is_no_module(name: str, run: Any) -> None:
    """A name that cannot be a module's is refused like one that is not there."""
    run("check", COORDINATOR_AGENTS=name).refused()


def test_a_module_that_waits_for_what_is_not_there_yet(run: Any, modules: Path) -> None:
    """A proxy in a module, which fails where it is looked at, keeps nobody from its agents."""
    proxy = "class Proxy:\n    @property\n    def __class__(self): raise RuntimeError('outside')\nproxy = Proxy()\n"
    (modules / "proxied.py").write_text(GOOD + proxy)
    assert run("check", COORDINATOR_AGENTS="proxied").status == 0


@pytest.mark.parametrize(
    "source",
    [
        "print('loading')",
        "import sys, io; sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout = None",
        "import sys; sys.stderr.close()",
        "import sys; sys.stdout = sys.stderr = object()",
    ],
)
def test_a_module_that_prints(source: str, modules: Path) -> None:
    """What modules print, and what they do to standard output, is not in a command's result: `--json` gives JSON."""
    (modules / "printing.py").write_text(f"{GOOD}{source}\n")
    done = _program(
        "check", "--json", COORDINATOR_AGENTS="printing", PYTHONPATH=f"{ROOT}:{ROOT / 'src'}:{modules}"
    )
    assert done.status == 0, done.err
    assert "servers" in [row["what"] for row in json.loads(done.out)]
    assert "Traceback" not in done.err


def test_a_module_that_is_interrupted(run: Any, modules: Path) -> None:
    """Ctrl-C while a module is imported ends the command with 130 and one line."""
    (modules / "interrupted.py").write_text("raise KeyboardInterrupt")
    done = run("check", COORDINATOR_AGENTS="interrupted")
    assert done.status == 130
    assert done.err == "coordinator: stopped\n"


@pytest.mark.parametrize("raised", ["SystemExit(0)", "GeneratorExit", "Panic('why')"])
def test_a_validator_that_ends_the_program(raised: str, run: Any, modules: Path) -> None:
    """What a validator raises ends a command in one line that says what and where, and never with status 0."""
    kind = raised.partition("(")[0]
    name = f"ending_{kind.lower()}"
    (modules / f"{name}.py").write_text(f"""
from pydantic import field_validator
from handoffs import Contract, Flow, agent
class Panic(BaseException): ...
class Order(Contract, name="ending.order", version=1):
    n: int
    @field_validator("n")
    @classmethod
    def _ends(cls, n: int) -> int:
        raise {raised}
@agent("ending.order")
def order(given: Order) -> Order: ...
flow = Flow("ending.order", order)
""")
    done = run("start", "ending.order", "--payload", '{"n": 1}', COORDINATOR_AGENTS=name)
    assert (done.status, len(done.err.splitlines())) == (1, 1), done.err
    assert f"{kind}: " in done.err
    assert f"({name}.py, line 10)" in done.err


@pytest.mark.parametrize(
    "wait", ["", "import time; print('here', flush=True); time.sleep(60)"], ids=["early", "late"]
)
def test_ctrl_c(wait: str, modules: Path) -> None:
    """Ctrl-C ends a command with 130 and one line, as early as it comes."""
    (modules / "slow.py").write_text(f"import sys; sys.stdout = sys.__stdout__\n{wait}\n")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}:{modules}",
        "COORDINATOR_AGENTS": "slow",
    }
    early = "import sys, handoffs.coordinator.cli as cli\nprint('here', flush=True)\ncli.main(['check'])"
    process = subprocess.Popen(
        [sys.executable, "-c", early],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    for _ in range(2 if wait else 1):
        assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if wait or process.returncode == 130:  # else it was there before the command was
        assert (process.returncode, err) == (130, "coordinator: stopped\n")


@pytest.mark.parametrize(
    "command",
    [
        ("start", "{}", "--payload", "{}"),
        ("start", "payments.payment", "--input", "{}"),
        ("start", "payments.payment", "--payload", "{}"),
        ("start", "payments.payment", "--payload", "{{}}", "--at", "{}"),
        ("start", "payments.payment", "--payload", "{{}}", "--timeout", "{}"),
        ("runs", "show", "{}"),
        ("runs", "list", "--limit", "{}"),
        ("dead-letters", "list", "--limit", "{}"),
        ("events", "emit", "{}", "--payload", "{{}}"),
        ("flows", "show", "{}"),
        ("contracts", "show", "{}"),
        ("contracts", "diff", "{}", "{}"),
        ("contracts", "manifest", "{}"),
        ("actions", "list", "--since", "{}"),
        ("demo", "{}"),
        ("demo", "payments", "--seconds", "{}"),
        ("{}",),
        ("runs", "{}"),
        ("check", "{}"),
        ("check", "--{}"),
    ],
    ids=" ".join,
)
def test_text_from_people(command: tuple[str, ...], run: Any) -> None:
    """Whatever people give for a name, a number, a time or a file is refused in one line that shows it escaped."""
    for text in HOSTILE:
        run(
            *(part.replace("{{}}", "\0").replace("{}", text).replace("\0", "{}") for part in command)
        ).refused()


@pytest.mark.parametrize(
    "command",
    [
        ("start", "payments.payment", "--payload", "{}", "--timeout"),
        ("events", "emit", "x", "--payload", "{}", "--timeout"),
        ("demo", "rides", "--seconds"),
        ("demo", "rides", "--rate"),
        ("demo", "media", "--titles"),
        ("runs", "list", "--limit"),
        ("dead-letters", "list", "--limit"),
        ("events", "forget", "--all", "--days"),
        ("actions", "list", "--before"),
        ("worker", "payments.fraud", "--concurrency"),
        ("flower", "--port"),
    ],
    ids=" ".join,
)
def test_numbers(command: tuple[str, ...], run: Any) -> None:
    """A number is in the digits 0 to 9, and within what it can be used for."""
    for given in ("nan", "inf", "-inf", "1e400", "1_000", "-1", "\u0661\u0662", " 1", "0x10", "9" * 40, ""):
        assert command[-1] in run(*command, given).refused()


FILES: Mapping[str, bytes] = {
    "octets": b"\xff\xfe\xfa",
    "wide": '{"a": 1}'.encode("utf-16"),
    "empty": b"",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", [*FILES, "folder", "missing", "loop", "[/x]\n\x1b[2J"])
@pytest.mark.parametrize(
    "command",
    [
        ("start", "payments.payment", "--payload", "@{}"),
        ("start", "payments.payment", "--input", "{}"),
        ("contracts", "diff", "{}", "{}"),
        ("contracts", "can-i-deploy", "payments.fraud", "--manifest", "{}"),
    ],
    ids=" ".join,
)
def test_files(command: tuple[str, ...], name: str, run: Any, tmp_path: Path) -> None:
    """A file that cannot be used is refused in one line, whatever it is and is called."""
    servers = {"COORDINATOR_BROKER_URL": "amqp://127.0.0.1:1", "COORDINATOR_REDIS_URL": "redis://127.0.0.1:1"}
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name == "loop":
        path.symlink_to(path)
    elif name in FILES:
        path.write_bytes(FILES[name])
    done = run(*(part.format(path) for part in command), **(servers if "can-i-deploy" in command else {}))
    if not (name in ("deep", "octets") and "--input" in command):  # its lines are refused, one by one
        done.refused()
    assert done.status


@pytest.mark.parametrize("command", [("flows",), ("--help",), ("flows", "--json")], ids=" ".join)
def test_a_full_disk(command: tuple[str, ...]) -> None:
    """Output that cannot be written is told, and ends the command with a status."""
    assert "No space left on device" in _program(*command, shell="> /dev/full").refused()


def test_streams_that_are_closed() -> None:
    """A command whose standard streams are closed does what it is asked for, and ends with the same status."""
    assert _program("flows", shell=">&-").status == 0
    assert _program("flows", shell=">&- 2>&- <&-").status == 0
    assert _program("no-such-command", shell=">&- 2>&-").status == 2
    assert _program("no-such-command", shell="2> /dev/full").status == 2


def test_a_reader_that_has_seen_enough() -> None:
    """Where the output is a pipe that is closed early, nothing is said of it."""
    done = _program("flows", "--json", shell="| head -c 1")
    assert (done.status, done.out, done.err) == (0, "[", "")


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii:strict", "COLUMNS": "20"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"COLUMNS": "\u00b2", "LINES": "9" * 5000},
        {"COLUMNS": "99999999999"},
        {"COLUMNS": "1", "NO_COLOR": "1", "TERM": "dumb"},
    ],
    ids=" ".join,
)
def test_terminals(variables: dict[str, str], modules: Path) -> None:
    """Tables, trees and JSON are printed whatever the terminal can show."""
    for command in (("map",), ("contracts", "show", "payments.payment-submitted", "--json")):
        done = _program(*command, **variables)
        assert (done.status, done.err) == (0, "")
    done = _program("flows", "show", "\u00e9[/x]\u202e", **variables)
    assert "\u202e" not in done.refused()


def test_a_working_directory_that_is_gone(modules: Path) -> None:
    """A command that is started in a folder that was deleted says what is there all the same."""
    gone = modules / "gone"
    gone.mkdir()
    line = f'cd {gone}; rmdir {gone}; "$0" -m handoffs.coordinator flows'
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(
        ["sh", "-c", line, sys.executable],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
