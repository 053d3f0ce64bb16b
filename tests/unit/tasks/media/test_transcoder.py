"""Transcoders: what ffmpeg is told and what its failures are called, with a program that stands for it; and the stand-in."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from handoffs.config.reference import MediaSettings
from handoffs.contracts.reference.media import RenditionOrdered
from handoffs.coordinator.errors import Permanent, Transient
from handoffs.tasks.media import clip
from handoffs.tasks.media.ffmpeg import (
    EncoderMissing,
    Ffmpeg,
    TranscoderMissing,
    TranscodingFailed,
    TranscodingTimeout,
    UnreadableSource,
)
from handoffs.tasks.media.ladder import ladder
from handoffs.tasks.media.store import Store
from handoffs.tasks.media.systems import Systems
from handoffs.tasks.media.transcoder import (
    FfmpegTranscoder,
    StandInTranscoder,
    UnknownForm,
    arguments,
    chosen,
    noise,
)
from handoffs.tasks.media.work import order_renditions
from tests.unit.tasks.media.titles import title
from tests.waiting import wait_until

Program = Callable[..., Ffmpeg]
ORDERS = order_renditions(title(ladder="full"))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Makes an ffmpeg of a few lines of Python; ``target`` is the path that it is to write."""

    def make(lines: str, limit: timedelta = timedelta(seconds=20)) -> Ffmpeg:
        path = tmp_path / "ffmpeg"
        start = "import os, subprocess, sys, time\nfrom pathlib import Path\n"
        there = "target = Path(sys.argv[-1].removeprefix('file:'))\n"
        path.write_text(f"#!{sys.executable}\n{start}{there}{lines}\n")
        path.chmod(0o755)
        return Ffmpeg(str(path), limit=limit)

    return make


def order(codec: str) -> RenditionOrdered:
    """The highest rendition of that codec."""
    return [found for found in ORDERS if found.codec == codec][-1]


def failing(program: Program, words: str, code: int = 1) -> Ffmpeg:
    """An ffmpeg that says something and fails."""
    return program(f"sys.stderr.write({words!r})\nsys.exit({code})")


def test_ffmpeg_writes_the_rendition(program: Program, tmp_path: Path) -> None:
    """What ffmpeg writes is the rendition; it is told where the source is, and gets nothing of this process."""
    ffmpeg = program(
        "target.write_text(repr((sys.argv, sorted(os.environ), sys.stdin.read(), os.getpgid(0))))"
    )
    taken = FfmpegTranscoder(ffmpeg, threads=3).transcode(
        order("h264"), tmp_path / "source", tmp_path / "out"
    )
    said, environment, heard, group = eval((tmp_path / "out").read_text())
    assert taken > 0
    assert said[said.index("-i") + 1] == f"file:{tmp_path}/source"
    assert said[said.index("-threads") + 1] == "3"
    assert {*environment} <= {"LC_ALL", "LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
    assert heard == ""
    assert group != os.getpgid(0)


@pytest.mark.parametrize("found", ORDERS, ids=lambda found: found.rendition)
def test_arguments(found: RenditionOrdered) -> None:
    """For each rung ffmpeg may read only files in films' containers, and writes one stream of that codec and size."""
    said = arguments(found, Path("/s"), 1)
    before, after = said[: said.index("-i")], said[said.index("-i") :]
    assert before[before.index("-protocol_whitelist") + 1] == "file"
    assert {"hls", "concat", "image2"}.isdisjoint(before[before.index("-format_whitelist") + 1].split(","))
    assert after.count("-map") == 1
    encoders = {
        "h264": "libx264",
        "hevc": "libx265",
        "vp9": "libvpx-vp9",
        "aac": "aac",
        "opus": "libopus",
        "jpeg": "mjpeg",
    }
    assert encoders[found.codec] in after
    if found.width:
        assert any(f"scale={found.width}:{found.height}" in word for word in after)
    if found.bitrate_kbps:
        assert f"{found.bitrate_kbps}k" in after
    assert all(word.isprintable() for word in said)


def test_forms_that_the_ladder_does_not_name() -> None:
    """An order that no contract would let through is refused all the same."""
    for wrong in ({"bitrate_kbps": None}, {"width": None}, {"codec": "raw"}):
        with pytest.raises(UnknownForm):
            arguments(order("h264").model_copy(update=wrong), Path("/s"), 1)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("source: Invalid data found when processing input", UnreadableSource),
        ("[mov] moov atom not found\nsource: something", UnreadableSource),
        ("Stream map '0:v:0' matches no streams.", UnreadableSource),
        ("[hls] Format not on whitelist 'mov,mp4'", UnreadableSource),
        ("Unknown encoder 'libx265'", EncoderMissing),
        ("av_interleaved_write_frame(): No space left on device", TranscodingFailed),
        ("Invalid data found when processing input\nCannot allocate memory", TranscodingFailed),
        ("Conversion failed!", TranscodingFailed),
        ("", TranscodingFailed),
    ],
)  # fmt: skip
def test_failures(program: Program, words: str, error: type[Exception], tmp_path: Path) -> None:
    """What cannot get better is permanent, and what may is transient, by what ffmpeg says."""
    with pytest.raises(error):
        failing(program, words).run([], tmp_path / "out")


def test_kinds_of_failures() -> None:
    """Sources and encoders are permanent failures; time, space and signals are not."""
    assert all(
        issubclass(error, Permanent) for error in (UnreadableSource, EncoderMissing, TranscoderMissing)
    )
    assert all(issubclass(error, Transient) for error in (TranscodingFailed, TranscodingTimeout))


def test_words_are_shown_safely(program: Program, tmp_path: Path) -> None:
    """The last line that ffmpeg says is shown, short, and without what a terminal would obey."""
    with pytest.raises(TranscodingFailed) as caught:
        failing(program, f"first\n\x1b[31mlast {'x' * 9_000}\n\n").run([], tmp_path / "out")
    shown = str(caught.value)
    assert "ended with 1" in shown
    assert "\x1b" not in shown
    assert "first" not in shown
    assert len(shown) < 600


def test_names_of_files_are_not_shown(program: Program, tmp_path: Path) -> None:
    """What ffmpeg says of its files is shown without their names, in which there are ids of titles."""
    ffmpeg = program("sys.exit(sys.argv[sys.argv.index('-i') + 1] + ': no, ' + str(target) + ': no')")
    with pytest.raises(TranscodingFailed, match=r"\(a file\): no, \(a file\): no") as caught:
        FfmpegTranscoder(ffmpeg).transcode(order("aac"), tmp_path / "t-1", tmp_path / "out")
    assert str(tmp_path) not in str(caught.value)


def test_words_are_bounded(program: Program, tmp_path: Path) -> None:
    """An ffmpeg that says more than a pipe holds is read to the end, and its last words count."""
    lines = "sys.stderr.write('x' * 5_000_000 + '\\nUnknown encoder')\nsys.exit(1)"
    with pytest.raises(EncoderMissing):
        program(lines).run([], tmp_path / "out")


def test_killed(program: Program, tmp_path: Path) -> None:
    """An ffmpeg that is killed, for its memory perhaps, is tried again; in the end somebody reads that it may be that."""
    with pytest.raises(TranscodingFailed, match=r"killed by signal 9; .*too little memory"):
        program("os.kill(os.getpid(), 9)").run([], tmp_path / "out")
    with pytest.raises(TranscodingFailed, match=r"killed by signal 15; the rendition is not there$"):
        program("os.kill(os.getpid(), 15)").run([], tmp_path / "out")


@pytest.mark.parametrize("lines", ["", "target.write_bytes(b'')"])
def test_nothing_written(program: Program, lines: str, tmp_path: Path) -> None:
    """An ffmpeg that ends well and writes nothing has failed."""
    with pytest.raises(TranscodingFailed, match="wrote nothing"):
        program(lines).run([], tmp_path / "out")


@pytest.mark.parametrize(
    "lines",
    ["time.sleep(600)", "os.close(2)\ntime.sleep(600)", "while True: print('x' * 1000, file=sys.stderr)"],
    ids=["silent", "closed", "chatty"],
)
def test_time_limit(program: Program, lines: str, tmp_path: Path) -> None:
    """An ffmpeg that takes too long is stopped with all that it started, silent or not."""
    child = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], stderr=2)\n"
    pids = tmp_path / "pids"
    note = f"Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\n"
    began = time.monotonic()
    with pytest.raises(TranscodingTimeout, match=r"2 s"):
        program(child + note + lines, limit=timedelta(seconds=2)).run([], tmp_path / "out")
    assert time.monotonic() - began < 15
    started = [int(pid) for pid in pids.read_text().split()]
    wait_until(lambda: not any(map(alive, started)), description="ffmpeg and its child are stopped")


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of the death of its parent")
def test_a_killed_worker_takes_its_ffmpeg_along(program: Program, tmp_path: Path) -> None:
    """An ffmpeg does not outlive the worker that called it, even one that is killed."""
    note = tmp_path / "pid"
    program(f"Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(600)")
    call = (
        "import sys; from pathlib import Path; from handoffs.tasks.media.ffmpeg import Ffmpeg; "
        "Ffmpeg(sys.argv[1]).run([], Path(sys.argv[2]))"
    )
    with subprocess.Popen([sys.executable, "-c", call, tmp_path / "ffmpeg", tmp_path / "out"]) as worker:
        wait_until(lambda: note.is_file() and note.read_text(), description="ffmpeg runs")
        worker.kill()
    wait_until(lambda: not alive(int(note.read_text())), description="ffmpeg is gone too")


def test_not_installed(tmp_path: Path, program: Program) -> None:
    """Without the program, or without permission to run it, the failure says what to install."""
    program("")
    (tmp_path / "ffmpeg").chmod(0o644)
    for missing in ("no-such-ffmpeg", str(tmp_path / "none"), str(tmp_path / "ffmpeg"), str(tmp_path)):
        ffmpeg = Ffmpeg(missing)
        assert not ffmpeg.installed
        with pytest.raises(TranscoderMissing, match="install"):
            ffmpeg.run([], tmp_path / "out")


def test_choice(program: Program) -> None:
    """The settings choose the transcoder; ``auto`` is ffmpeg where it is installed."""
    there, missing = program(""), Ffmpeg("no-such-ffmpeg")
    kinds = {
        (wanted, ffmpeg.installed): type(chosen(wanted, ffmpeg, threads=1, speed=1, size=1))
        for wanted in ("auto", "ffmpeg", "stand-in")
        for ffmpeg in (there, missing)
    }
    assert kinds == {
        ("auto", True): FfmpegTranscoder,
        ("auto", False): StandInTranscoder,
        ("ffmpeg", True): FfmpegTranscoder,
        ("ffmpeg", False): FfmpegTranscoder,
        ("stand-in", True): StandInTranscoder,
        ("stand-in", False): StandInTranscoder,
    }


def test_ffmpeg_that_goes_away(tmp_path: Path) -> None:
    """Once ffmpeg was there, the stand-in does not take its place while it is away: such a title would have noise in it."""
    program = tmp_path / "ffmpeg"
    at = Systems(MediaSettings(folder=str(tmp_path), ffmpeg=str(program)))
    assert isinstance(at.transcoder, StandInTranscoder)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert isinstance(at.transcoder, FfmpegTranscoder)
    program.unlink()
    assert isinstance(at.transcoder, FfmpegTranscoder)


def test_stand_in_takes_bytes_in_proportion(tmp_path: Path) -> None:
    """A rendition of the stand-in has a share of the octets that its rate would make, and at least 64."""
    stand_in = StandInTranscoder(speed=0, size=0.1)
    target = tmp_path / "out"
    stand_in.transcode(order("h264"), tmp_path, target)
    assert target.stat().st_size == stand_in.octets(order("h264")) == round(5 * 7_800 * 125 * 0.1)
    assert StandInTranscoder(speed=0, size=1e-9).octets(order("aac")) == 64
    assert stand_in.octets(order("jpeg")) == 30_000


def test_stand_in_takes_time_in_proportion(tmp_path: Path) -> None:
    """A full picture of 5 s takes 5 s at the speed 1; a smaller one takes as much less, and sound hardly any."""
    slept: list[float] = []
    stand_in = StandInTranscoder(speed=1, size=0.001, sleep=slept.append)
    for rung in (order("h264"), ORDERS[0], order("aac")):
        stand_in.transcode(rung, tmp_path, tmp_path / "out")
    assert slept == [5, pytest.approx(5 * 416 * 234 / (1920 * 1080)), pytest.approx(0.1)]
    StandInTranscoder(speed=0, size=0.001, sleep=slept.append).transcode(
        ORDERS[0], tmp_path, tmp_path / "out"
    )
    assert len(slept) == 3


def test_stand_in_always_makes_the_same(tmp_path: Path) -> None:
    """The bytes depend on the source's digest and the rendition: the same again, others for others."""
    stand_in = StandInTranscoder(speed=0, size=0.01)

    def made(source: str, number: int) -> str:
        found = order_renditions(title(source_sha256=source * 64))[number]
        stand_in.transcode(found, tmp_path, tmp_path / "out")
        return sha256((tmp_path / "out").read_bytes()).hexdigest()

    assert made("a", 0) == made("a", 0)
    assert len({made("a", 0), made("b", 0), made("a", 1)}) == 3


def test_noise() -> None:
    """Noise has the length that was asked for, in blocks."""
    for octets in (0, 1, 65_536, 65_537, 200_000):
        assert sum(map(len, noise("x", octets))) == octets
    assert max(map(len, noise("x", 200_000))) == 65_536


def test_clip_of_ffmpeg(program: Program, tmp_path: Path) -> None:
    """The test clip is what ffmpeg makes of a picture and a tone, as an object of the store."""
    store = Store(tmp_path / "store")
    ffmpeg = program("target.write_text(' '.join(sys.argv))")
    made = clip.film(store, "uploads/t-1/source", ffmpeg, seconds=2.5, width=640, height=360)
    said = store.get(made.source).decode()
    assert "testsrc2=size=640x360:rate=30:duration=2.5" in said
    assert "sine=" in said
    assert (made.sha256, made.seconds) == (store.describe(made.source).sha256, 2.5)
    assert [*store.keys()] == ["uploads/t-1/source"]


def test_clip_of_the_stand_in(tmp_path: Path) -> None:
    """Without ffmpeg the clip is bytes, the same for the same key."""
    first, second = (clip.stand_in(Store(tmp_path / name), "a") for name in "ab")
    assert first == second
    assert first.octets == 4_096


def test_ladder_of_the_orders() -> None:
    """The orders that are tested here are all rungs of the full ladder."""
    assert [found.rendition for found in ORDERS] == [
        rung.name for rung in ladder("full", width=1920, height=1080)
    ]


def test_errors_survive_pickling() -> None:
    """An error is the same after pickling."""
    error = TranscodingFailed("ffmpeg was killed", "nothing is there")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
