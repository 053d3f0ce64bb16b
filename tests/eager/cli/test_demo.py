"""The demo's figures are true."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from handoffs.config.reference import MediaSettings
from handoffs.coordinator.cli import main
from handoffs.coordinator.cli.demo import find_demo, left_to_try
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.tasks.media.drm import content_key
from handoffs.tasks.media.masterkey import read_master_key
from handoffs.tasks.media.systems import Systems
from handoffs.tasks.rides import systems
from handoffs.tasks.rides.demo import rush_hour
from handoffs.tasks.rides.flow import dispatching
from handoffs.tasks.rides.requests import make_requests, write_requests
from handoffs.tasks.rides.show import Plan, Show
from handoffs.tasks.rides.stage import open_stage
from tests.unit.tasks.media.titles import title

LONG = timedelta(minutes=1)
FILM = json.dumps(
    {
        "source": "uploads/a/source",
        "octets": 10,
        "sha256": "a" * 64,
        "seconds": 1.0,
        "width": 1920,
        "height": 1080,
        "transcoder": "stand-in",
    }
)


def test_the_demo_of_payments_leaves_a_run_to_try(coordinator: Coordinator) -> None:
    """With the console, a run that is parked is left, and it is said where: replayed, it completes."""
    [said, to_try] = left_to_try(coordinator, find_demo("payments"), "http://127.0.0.1:1")
    [run] = coordinator.runs(status="parked")
    [letter] = coordinator.run(run.id).letters()
    assert "payments.ledger" in said
    assert f"http://127.0.0.1:1/dead-letters/{letter.id} " in to_try
    assert to_try.endswith(f"http://127.0.0.1:1/runs/{run.id}")
    letter.replay()
    assert coordinator.run(run.id).wait(30) == "completed"


@pytest.mark.timeout(300)  # a thousand payments, beside other tests
def test_the_demo_brings_every_payment_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand lines, the ledger down for some: every payment completes, the books balance, nothing is doubled."""
    main(["demo", "payments", "--json"])
    figures = json.loads(capsys.readouterr().out)
    seconds, parked = figures.pop("seconds"), figures.pop("parked")
    assert seconds > 0
    assert parked >= 40
    assert figures == {
        "payments": 960,
        "completed": 960,
        "booked": 850,
        "declined": 80,
        "held": 30,
        "invalid": 20,
        "repeated": 20,
        "replayed": parked,
        "charged": 850,
        "doubled": 0,
        "balanced": True,
    }


def test_rides_go_on_without_eta(live_coordinator: Coordinator) -> None:
    """While ETA is stopped or slow, rides are dispatched with what stands in, and before and after with an ETA; none is lost.
    Where one phase ends and the next begins, a ride may meet either."""
    flow = dispatching(matching=LONG, pricing=LONG, routing=timedelta(seconds=1))
    with open_stage(live_coordinator, flow) as stage:
        show = Show(stage, Plan(6, 5, rush_hour(100), flow, slow=timedelta(seconds=2)))
        show.play()
    figures = show.figures()
    shares = {name: of["fallback_share"] for name, of in figures["phases"].items()}
    assert figures["lost"] == 0
    assert figures["requests"] >= 25
    assert shares["stopped"] > 0.5
    assert shares["slow"] > 0
    assert shares["before"] < 0.5
    assert shares["after"] < 0.5
    for of in figures["phases"].values():
        assert of["fallbacks"]["no-driver"] == of["fallbacks"]["flat-fare"] == 0


def test_the_demo_of_rides(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The rides of a file are asked for over and over, none is lost, and lines that are no ride are told."""
    write_requests(tmp_path / "rides.jsonl", make_requests(systems.city(), 5, 1))
    with (tmp_path / "rides.jsonl").open("a") as file:
        file.write("{}\n")
    main(
        ["demo", "rides", "--json", "--seconds", "3", "--rate", "5", "--input", str(tmp_path / "rides.jsonl")]
    )
    figures = json.loads(capsys.readouterr().out)
    assert (figures["lost"], figures["refused"], figures["where"]) == (0, 1, "embedded")
    assert figures["requests"] >= 5
    assert set(figures["phases"]) == {"before", "stopped", "slow", "after"}
    assert set(figures["phases"]["stopped"]["latency_ms"]) == {
        "matching",
        "pricing",
        "eta",
        "dispatcher",
        "whole",
    }
    assert figures["phases"]["stopped"]["fallback_share"] > 0


def test_the_demo_of_rides_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """People get a table: the latency of each agent by its budget, and what stood in."""
    main(["demo", "rides", "--seconds", "3", "--rate", "3"])
    shown = capsys.readouterr().out
    assert "0 lost" in shown
    assert all(f"ETA {phase}" in shown for phase in ("up", "stopped", "slow", "up again"))


def test_the_demo_of_media(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One title goes all its way and is found by its words; of many at once every rendition is there, once."""
    monkeypatch.setenv("COORDINATOR_MEDIA__TRANSCODER", "stand-in")
    main(["demo", "media", "--json", "--titles", "5"])
    figures = json.loads(capsys.readouterr().out)
    one, load = figures["title"], figures["load"]
    assert (one["status"], one["transcoder"], one["renditions"]) == ("completed", "stand-in", 16)
    assert one["search"] == {"lighthouse": [one["title_id"]], "keeper sea": [one["title_id"]]}
    assert [place["edge"] for place in one["locations"]] == ["edge-1", "edge-2"]
    assert {
        name: load[name] for name in ("titles", "renditions", "packaged", "copies", "indexed", "shelved")
    } == {
        "titles": 5,
        "renditions": 80,
        "packaged": 5,
        "copies": 10,
        "indexed": 5,
        "shelved": 5,
    }
    assert (load["lost"], load["doubled"], load["dead_letters"], load["completed"]) == (0, 0, 0, 5)
    assert 1 <= load["most_open"] <= 5
    assert load["seconds"] > 0


def test_the_demo_of_media_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """People are told that it was a stand-in, how far each agent is, where the title is and by which key, never the key; and
    the files stay where they are asked for."""
    monkeypatch.setenv("COORDINATOR_MEDIA__TRANSCODER", "stand-in")
    kept = tmp_path / "kept"
    main(["demo", "media", "--titles", "2", "--keep", str(kept)])
    told = capsys.readouterr()
    assert "STAND-IN" in told.err
    assert "16/16" in told.err
    assert "32 of 32" in " ".join(told.err.split())
    assert "0 lost, 0 doubled, 0 dead letters" in told.out
    assert "unheard, 18 gathered, 23 settled" in told.out
    assert len([*(kept / "load" / "objects" / "renditions").rglob("*.mp4")]) == 2 * 10
    at = Systems(MediaSettings(folder=str(kept / "title")))
    [name] = [path.name for path in (kept / "title" / "objects" / "packages").iterdir()]
    uploaded = title(name, source_sha256=at.store.describe("uploads/shared/source").sha256)
    key = content_key(read_master_key(kept / "title" / "master.key"), uploaded)
    assert key.key_id in told.out
    for secret in (key.key, key.nonce_key):
        assert secret.hex() not in told.out + told.err


def test_no_demo_of_media_in_eager_mode(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In eager mode nothing is under way at the same time, and that is said."""
    monkeypatch.setenv("COORDINATOR_EAGER", "true")
    with pytest.raises(SystemExit):
        main(["demo", "media"])
    assert "unset COORDINATOR_EAGER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["payments", "--rate", "3"], "the demo of payments has no --rate"),
        (["shop"], "there are: media, payments, rides"),
        (["media", "--titles", "0"], "1<=x<=100000"),
        (["media", "--keep", "."], "the folder of --keep is not empty"),
        (["rides", "--input", "no-such-file"], "no-such-file"),
        (["rides", "--rate", "0"], "0.1<=x<=1000"),
        (["payments", "--running"], "the demo of payments has no --running"),
        (["rides", "--running"], "--running needs servers, and none is set"),
        (["rides", "--film", "{}"], "the demo of rides has no --film"),
        (["media", "--running"], "--running and --film go together"),
        (["media", "--film", FILM], "--running and --film go together"),
        (["media", "--running", "--film", FILM, "--keep", "x"], "not with --keep"),
        (["media", "--running", "--film", "{}"], "data is not a valid Film"),
        (["media", "--running", "--film", FILM], "--running needs servers, and none is set"),
    ],
)
def test_a_demo_that_cannot_be_shown(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a demo cannot do is said, and nothing is started."""
    with pytest.raises(SystemExit):
        main(["demo", *arguments])
    assert said in " ".join(capsys.readouterr().err.split())
