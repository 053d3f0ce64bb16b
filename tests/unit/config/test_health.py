"""Health: a process says in one line how it is, and the check finds it out at little cost."""

from __future__ import annotations

import io
import json
import sys
import time
from http.client import BadStatusLine
from pathlib import Path
from typing import Any, get_args
from urllib.error import URLError

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handoffs.config.health
from handoffs.config.health import STALE_AFTER, VARIABLE, Health, HealthFile, State, main
from tests.python import python

STATES: tuple[State, ...] = get_args(State)
MALFORMED = [
    b"",
    b"{",
    b"\xff",
    b"null",
    b"[]",
    b"7",
    b'"ready"',
    b"{}",
    b'{"state": "ready", "text": "at work"}',
    b'{"state": "well", "text": "at work", "at": 1}',
    b'{"state": ["ready"], "text": "at work", "at": 1}',
    b'{"state": "ready", "text": 5, "at": 1}',
    b'{"state": "ready", "text": "at work", "at": "now"}',
    b'{"state": "ready", "text": "at work", "at": null}',
    b'{"state": "ready", "text": "at work", "at": 1' + b"0" * 400 + b"}",
]

_any_text = st.text(st.characters(exclude_categories=()))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_like_health = st.fixed_dictionaries(
    {"state": st.sampled_from(STATES) | _json, "text": _any_text | _json, "at": st.floats() | _json}
)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The health file that the environment names."""
    path = tmp_path / "health.json"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def _write(path: Path, state: str, text: str, at: float) -> None:
    path.write_text(json.dumps({"state": state, "text": text, "at": at}), "utf-8")


def _checked(capsys: pytest.CaptureFixture[str], url: str | None = None) -> tuple[int, str]:
    """The exit status of the check, and the one line that it printed."""
    status = main(url)
    printed = capsys.readouterr()
    assert printed.err == ""
    [line] = printed.out.splitlines()
    return status, line


@pytest.mark.parametrize("state", STATES)
def test_the_check_says_what_the_process_said(
    state: State, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check prints state and text, and its status is 0 for a process that is ready and 1 for every other."""
    HealthFile.of_environment().say(state, "as it is")
    assert _checked(capsys) == (0 if state == "ready" else 1, f"{state}: as it is")


def test_the_last_word_counts(path: Path) -> None:
    """What is said replaces what was said before, and leaves no other file behind."""
    file = HealthFile(str(path))
    file.say("held", "one")
    file.say("ready", "two")
    said = file.read()
    assert (said.state, said.text) == ("ready", "two")
    assert time.time() - 60 < said.at <= time.time()
    assert list(path.parent.iterdir()) == [path]


def test_a_ready_process_that_fell_silent_is_stuck(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process that was ready and has said nothing for longer than it may is stuck: the check says so and fails."""
    _write(path, "ready", "at work", time.time() - STALE_AFTER - 10)
    assert _checked(capsys) == (1, "stuck: it has said nothing for 40 s; last: at work")
    _write(path, "ready", "at work", time.time() - STALE_AFTER + 10)
    assert _checked(capsys) == (0, "ready: at work")


def test_a_held_process_does_not_become_stuck(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What holds a process is still what the check says when it was said long ago."""
    _write(path, "held", "no servers", time.time() - 10_000)
    assert _checked(capsys) == (1, "held: no servers")


def test_nothing_said_yet(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process that has not said anything is starting."""
    assert _checked(capsys) == (1, "starting: it has said nothing yet")


def test_no_file_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the variable nothing is written, and the check says which variable is missing."""
    monkeypatch.delenv(VARIABLE, raising=False)
    HealthFile.of_environment().say("ready", "at work")
    assert _checked(capsys) == (1, f"starting: {VARIABLE} is not set, so nothing is known")
    assert HealthFile.of_environment({VARIABLE: ""}).path is None


@pytest.mark.parametrize("content", MALFORMED)
def test_a_malformed_file(content: bytes, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that nobody of ours wrote is named in one line, and never passes for a process that is ready."""
    path.write_bytes(content)
    status, line = _checked(capsys)
    assert status == 1
    assert line.startswith(f"starting: {path} ")


@pytest.mark.parametrize("name", ["", "no/such/folder/health.json", ".", "/", "..", "a\0b"])
def test_a_path_that_cannot_be_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that cannot be written stops nobody who says something, and is no process that is ready."""
    monkeypatch.chdir(tmp_path)
    file = HealthFile(name)
    file.say("ready", "at work")
    assert not file.read().ready


def test_a_folder_in_its_place(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder where the file should be is told by the check, and stops nobody who says something."""
    path.mkdir()
    HealthFile.of_environment().say("ready", "at work")
    status, line = _checked(capsys)
    assert status == 1
    assert "cannot be read" in line


@given(state=st.sampled_from(STATES), text=_any_text)
def test_any_text_comes_back_as_one_line(
    tmp_path_factory: pytest.TempPathFactory, state: State, text: str
) -> None:
    """Whatever is said comes back as one line that can be printed, and plain words come back as they are."""
    file = HealthFile(str(tmp_path_factory.getbasetemp() / "one-line.json"))
    file.say(state, text)
    line = file.read().text
    assert not line or line.isprintable()
    assert str(file.read()) == f"{state}: {line}".strip()
    str(file.read()).encode("utf-8")
    if text.isprintable():
        assert line == " ".join(text.split())


def test_a_text_forges_nothing() -> None:
    """Line breaks and what a terminal would obey are no part of a line."""
    assert str(Health("held", "a\r\nready: b\u2028\x1b[31m\u202e", 0)) == r"held: a ready: b \x1b[31m\u202e"


@given(content=st.binary() | (_like_health | _json).map(lambda value: json.dumps(value).encode()))
def test_any_file_is_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever the file holds, the check has one line to say."""
    path = tmp_path_factory.getbasetemp() / "any-file.json"
    path.write_bytes(content)
    found = HealthFile(str(path)).read()
    assert found.state in STATES
    assert len(str(found).splitlines()) == 1
    assert isinstance(found.ready, bool)


class _Answer(io.BytesIO):
    status = 200


class _Opener:
    """Stands in for the way to the process: gives an answer, or raises one."""

    asked: list[str]

    def __init__(self, answer: Any) -> None:
        self.asked = []
        self._answer = answer

    def open(self, url: str, timeout: float) -> Any:
        assert 0 < timeout < 5, "no longer than the check itself may take"
        self.asked.append(url)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def _answers(monkeypatch: pytest.MonkeyPatch, answer: Any) -> _Opener:
    opener = _Opener(answer)
    monkeypatch.setattr(handoffs.config.health, "build_opener", lambda *_: opener)
    return opener


def test_a_web_process_is_ready_when_it_answers(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a URL, a process that says nothing in its file is ready when the URL answers."""
    opener = _answers(monkeypatch, _Answer())
    assert _checked(capsys, "http://127.0.0.1:5555/health") == (0, "ready: answers 200")
    assert opener.asked == ["http://127.0.0.1:5555/health"]


@pytest.mark.parametrize(
    "error",
    [URLError("refused"), TimeoutError("timed out"), BadStatusLine("SSH-2.0\n"), ConnectionResetError()],
    ids=lambda error: type(error).__name__,
)
def test_a_web_process_that_does_not_answer(
    error: Exception, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong when the URL is asked is one line with the URL, and status 1."""
    _answers(monkeypatch, error)
    status, line = _checked(capsys, "http://127.0.0.1:5555/")
    assert status == 1
    assert line.startswith("starting: http://127.0.0.1:5555/ does not answer: ")


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://host:port/", "http://[", "no://scheme"])
def test_a_url_that_is_none(url: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that cannot be asked is said in one line."""
    status, line = _checked(capsys, url)
    assert status == 1
    assert "does not answer" in line


@pytest.mark.parametrize("state", [state for state in STATES if state != "starting"])
def test_the_file_comes_before_the_url(
    state: State, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A web process that says in its file what holds it is not asked by its URL."""
    opener = _answers(monkeypatch, _Answer())
    HealthFile.of_environment().say(state, "as it is")
    assert _checked(capsys, "http://127.0.0.1:5555/")[1] == f"{state}: as it is"
    assert opener.asked == []


def test_the_command_is_the_check(path: Path) -> None:
    """``python -m handoffs.config.health`` prints the line and ends with the status."""
    HealthFile(str(path)).say("ready", "at work")
    ready = python("-m", "handoffs.config.health", **{VARIABLE: str(path)})
    assert (ready.returncode, ready.stdout, ready.stderr) == (0, "ready: at work\n", "")
    unknown = python("-m", "handoffs.config.health")
    assert (unknown.returncode, unknown.stderr) == (1, "")


def test_the_check_is_cheap() -> None:
    """The check imports the standard library, and of ours nothing but its own module: it runs every few seconds."""
    script = "import sys; before = set(sys.modules); import handoffs.config.health; print(*set(sys.modules) - before)"
    done = python("-c", script)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    ours = {name for name in imported if name.partition(".")[0] == "handoffs"}
    assert ours == {"handoffs", "handoffs.config", "handoffs.config.health"}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == {"handoffs"}
