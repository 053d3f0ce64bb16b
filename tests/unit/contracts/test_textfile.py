"""Text files: whichever program wrote the lines, they are the same lines, with the same numbers."""

import codecs
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts import textfile
from handoffs.contracts.errors import InvalidJson, TooLarge
from handoffs.contracts.textfile import lines, read, unmarked

_said = st.one_of(
    st.just(""), st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=2).map(json.dumps)
)


@given(
    said=st.lists(_said, max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from([b"", codecs.BOM_UTF8, codecs.BOM_UTF8 * 2]),
    around=st.sampled_from(["", " ", "\t "]),
    last=st.booleans(),
)
def test_lines_are_the_same_whoever_wrote_them(
    said: list[str], end: str, mark: bytes, around: str, last: bool
) -> None:
    """Marks, line ends, blanks around, empty lines and a last line without an end change neither a line nor its number."""
    text = (
        mark + end.join(f"{around}{line}{around}" for line in said).encode() + (end if last else "").encode()
    )
    while said and not said[-1]:
        del said[-1]
    assert lines(text) == [line.encode() for line in said]


def test_files_that_were_put_together() -> None:
    """A byte order mark in front of a later line is taken away too."""
    assert lines(b"\xef\xbb\xbf1\r\n\xef\xbb\xbf2\n\xef\xbb\xbf\n3") == [b"1", b"2", b"", b"3"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_another_encoding_is_named(encoding: str) -> None:
    """UTF-16 and UTF-32 are refused with what to do, with a mark and without, and are no lines of rubbish."""
    for taken in (unmarked, lines):
        with pytest.raises(InvalidJson, match=r"UTF-16 or UTF-32, not UTF-8.*save it as UTF-8"):
            taken('{"number":"1"}\n'.encode(encoding))


def test_a_text_that_only_looks_marked_is_kept() -> None:
    """A mark inside of a text, and other white space than blanks, belong to what is said."""
    assert unmarked(b'"\xef\xbb\xbf"') == b'"\xef\xbb\xbf"'
    assert lines(b'"a\xe2\x80\xa8b"\x0c\n"\xc2\x85"') == [b'"a\xe2\x80\xa8b"\x0c', b'"\xc2\x85"']


class TestWhatHasNoEnd:
    """A name that a person gives may be of anything: it is read, or it is said why not, in bounded time and memory."""

    @pytest.fixture
    def pipe(self, tmp_path: Path) -> Path:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        return path

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(textfile, "_SILENCE", 0.3)

    @pytest.mark.parametrize("octets", [0, 1, 70_000, 100_000])
    def test_a_file(self, tmp_path: Path, octets: int) -> None:
        """It is read whole, up to the limit."""
        (tmp_path / "file").write_bytes(b"x" * octets)
        assert read(tmp_path / "file", 100_000) == b"x" * octets

    def test_more_than_the_limit(self, tmp_path: Path) -> None:
        """It is not read."""
        (tmp_path / "file").write_bytes(b"x" * 11)
        with pytest.raises(TooLarge, match="more than 10 bytes"):
            read(tmp_path / "file", 10)

    def test_a_pipe(self, pipe: Path) -> None:
        """What another program writes is read until it ends, however it comes in parts."""
        with written(pipe, [b"[1", b"," * 200_000, b"2]"]):
            assert read(pipe, 1_000_000) == b"[1" + b"," * 200_000 + b"2]"

    def test_a_pipe_without_end(self, pipe: Path) -> None:
        """It ends at the limit."""
        with written(pipe, (b"{}\n" * 10_000 for _ in iter(int, 1))), pytest.raises(TooLarge):
            read(pipe, 1_000_000)

    @pytest.mark.parametrize("said", [None, b"{"])
    def test_a_pipe_that_falls_silent(self, pipe: Path, said: bytes | None) -> None:
        """Nobody waits for it for ever: neither where nobody writes, nor where somebody has begun to."""
        writer = os.open(pipe, os.O_RDWR) if said else -1
        if said:
            os.write(writer, said)
        with pytest.raises(OSError, match="nothing came out of it"):
            read(pipe, 1_000)
        if said:
            os.close(writer)

    def test_a_pipe_that_never_ends(self, pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Drop by drop it would take for ever as well."""
        monkeypatch.setattr(textfile, "_LONGEST", 0.2)
        with written(pipe, (b" " for _ in iter(int, 1))), pytest.raises(OSError, match="no end"):
            read(pipe, 1_000_000_000)

    @pytest.mark.parametrize("name", ["/dev/zero", "/dev/random", "/dev/null", "/dev/full"])
    def test_a_device(self, name: str) -> None:
        """It is none of the files that people mean."""
        with pytest.raises(OSError, match="device"):
            read(Path(name), 1_000_000)

    def test_what_is_no_file(self, tmp_path: Path) -> None:
        """The system says why."""
        for name in (str(tmp_path), str(tmp_path / "none"), "a\0b", "x" * 5_000):
            with pytest.raises(OSError) as raised:  # noqa: PT011 - whichever the system has for it
                read(Path(name), 1_000)
            assert raised.value.strerror

    @pytest.mark.parametrize("end", [b"\n", b"\r"])
    def test_lines_without_number(self, end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        """Millions of empty lines would be millions of objects."""
        monkeypatch.setattr(textfile, "_MOST_LINES", 1_000)
        assert lines(b"{}" + end * 999) == [b"{}"]
        with pytest.raises(TooLarge, match="1000 lines"):
            lines(b"{}" + end * 1_001)


@contextmanager
def written(pipe: Path, parts: Iterable[bytes]) -> Iterator[None]:
    """Another thread writes into the pipe meanwhile, until it is read no more."""

    def write() -> None:
        with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            for part in parts:
                file.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    yield
    writer.join(10)
    assert not writer.is_alive()
