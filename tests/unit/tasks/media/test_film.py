"""The film of the demo, as it is told to who cannot look into the object store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handoffs.contracts.errors import InvalidInput
from handoffs.tasks.media import upload, work
from handoffs.tasks.media.film import Film, made_film, read_film
from handoffs.tasks.media.systems import systems
from handoffs.tasks.media.uploads import of_clip
from tests.unit.tasks.media.titles import media_settings

FILM = {
    "source": "uploads/a/source", "octets": 10, "sha256": "a" * 64, "seconds": 1.0, "width": 1920, "height": 1080,
    "transcoder": "stand-in",
}  # fmt: skip


def test_a_film_is_made_once(tmp_path: Path) -> None:
    """It is made where it is not there yet, and found where it is; what is told of it is enough to make titles of it."""
    settings = media_settings(tmp_path)
    at = systems(settings)
    first, again = made_film(settings.media, at, 1.0), made_film(settings.media, at, 1.0)
    assert first == again
    assert first.transcoder == "stand-in"
    assert len([*at.store.keys("uploads")]) == 1
    told = read_film(json.dumps(first.to_data()))
    [order, *_] = work.order_renditions(of_clip(told.clip()).title(1))
    assert work.transcode(order, settings).octets > 0


def test_films_of_different_kinds_are_different_objects(tmp_path: Path) -> None:
    """A film that ffmpeg has made and one that stands for it do not get in each other's way in one store."""
    settings = media_settings(tmp_path)
    at = systems(settings)
    stand_in = made_film(settings.media, at, 1.0)
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nfor last; do :; done\nprintf film > "${last#file:}"\n')
    program.chmod(0o755)
    real = media_settings(tmp_path, transcoder="ffmpeg", ffmpeg=str(program))
    filmed = made_film(real.media, systems(real), 1.0)
    assert filmed.transcoder == "ffmpeg"
    assert filmed.source != stand_in.source
    assert at.store.get(filmed.source) == b"film"
    program.write_text('#!/bin/sh\nfor last; do :; done\nprintf other > "${last#file:}"\n')
    assert made_film(real.media, systems(real), 1.0) == filmed, (
        "a newer ffmpeg makes no other film of that name"
    )


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps({**FILM, "octets": "many"}), json.dumps({**FILM, "transcoder": "magic"})],
)
def test_what_is_no_film(text: str) -> None:
    """What is no film is refused, and no value of it is shown."""
    with pytest.raises(InvalidInput) as refused:
        read_film(text)
    assert "magic" not in str(refused.value)
    assert "many" not in str(refused.value)


def test_a_film_may_say_more() -> None:
    """What a newer program says besides is no fault."""
    assert read_film(json.dumps({**FILM, "title": "Bread"})) == Film.from_data(FILM)


def test_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m handoffs.tasks.media.upload` prints the film and nothing else; where there is no room for it, one line says why."""
    monkeypatch.setenv("COORDINATOR_MEDIA__TRANSCODER", "stand-in")
    monkeypatch.setenv("COORDINATOR_MEDIA__FOLDER", str(tmp_path / "media"))
    assert upload.main() == 0
    film = read_film(capsys.readouterr().out)
    assert (tmp_path / "media" / "objects" / film.source).is_file()
    (tmp_path / "file").touch()
    monkeypatch.setenv("COORDINATOR_MEDIA__FOLDER", str(tmp_path / "file"))
    assert upload.main() == 1
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    assert line.startswith("upload: ")
