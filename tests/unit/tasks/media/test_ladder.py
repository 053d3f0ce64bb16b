"""The ladder: at least fifteen renditions of a source of 1080 lines, and nothing larger than the source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.reference.media import LOWEST_HEIGHT, MOST_RENDITIONS, LadderName
from handoffs.tasks.media.ladder import ladder

names: st.SearchStrategy[LadderName] = st.sampled_from(["standard", "full"])


@pytest.mark.parametrize(("name", "count"), [("standard", 16), ("full", 27)])
def test_full_high_definition(name: LadderName, count: int) -> None:
    """A source of 1080 lines has 16 renditions of the standard ladder and 27 of the full one."""
    assert len(ladder(name, width=1920, height=1080)) == count


def test_rungs_are_those_of_the_sources() -> None:
    """The rungs of H.264 for 1080 lines are Apple's, sizes included."""
    found = [
        (rung.width, rung.height, rung.bitrate_kbps)
        for rung in ladder("standard", width=1920, height=1080)
        if rung.codec == "h264"
    ]
    assert found == [
        (416, 234, 145), (640, 360, 365), (768, 432, 730), (768, 432, 1100), (960, 540, 2000), (1280, 720, 3000),
        (1280, 720, 4500), (1920, 1080, 6000), (1920, 1080, 7800),
    ]  # fmt: skip


@given(names, st.integers(2, 8_192), st.integers(LOWEST_HEIGHT, 8_192), st.booleans())
def test_nothing_is_upscaled(name: LadderName, width: int, height: int, has_audio: bool) -> None:
    """No rendition is larger than its source; there is a picture for every source, each name is there once, sizes are even."""
    rungs = ladder(name, width=width, height=height, has_audio=has_audio)
    assert all(
        rung.height <= height and 2 <= rung.width <= width
        for rung in rungs
        if rung.width is not None and rung.height is not None
    )
    assert all(rung.width % 2 == 0 for rung in rungs if rung.width)
    assert {"h264", "jpeg"} <= {rung.codec for rung in rungs}
    assert len({rung.name for rung in rungs}) == len(rungs) <= MOST_RENDITIONS


def test_silent_films_have_no_sound() -> None:
    """A source without sound has no rendition of it."""
    silent = ladder("full", width=1920, height=1080, has_audio=False)
    assert not {"aac", "opus"} & {rung.codec for rung in silent}
    assert len(silent) == 24


def test_proportions_are_kept() -> None:
    """A picture that stands on end stays so."""
    rung = ladder("standard", width=1080, height=1920)[0]
    assert (rung.width, rung.height) == (132, 234)


def test_names() -> None:
    """A name says the picture, the codec and the rate."""
    found = [rung.name for rung in ladder("standard", width=416, height=240)]
    assert found == ["234p-h264-145k", "240p-vp9-150k", "audio-aac-128k", "thumbnails-jpeg"]
