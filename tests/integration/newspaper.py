"""The newsroom's agents for workers in processes of their own. What they do they write down in TEST_FOLDER."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

from handoffs import Context, Permanent, Retry, agent, gather, on
from tests.eager.newsroom import Filed, Ordered, Parts, Printed, Set

_RETRY = Retry(attempts=2, backoff=timedelta(milliseconds=10))


def did(what: str, key: str) -> None:
    """Write down an effect. Lines of this size are written whole."""
    with _file("effects").open("ab", buffering=0) as file:
        file.write(f"{what} {key}\n".encode())


def effects() -> Counter[str]:
    """The effects so far, each with how often it was taken."""
    path = _file("effects")
    return Counter(path.read_text("utf-8").splitlines()) if path.exists() else Counter()


def expected(*stories: str, parts: int = 3) -> Counter[str]:
    """The effects of stories that went through, but for those of who hears everything."""
    found: Counter[str] = Counter()
    for story in stories:
        found.update([f"desk {story}", f"press {story}", f"archive {story}"])
        found.update(f"setter {story}/{number}" for number in range(parts))
    return found


def break_down(what: str, broken: bool = True) -> None:
    """Have an agent fail, or work again."""
    path = _file(f"broken-{what}")
    path.touch() if broken else path.unlink(missing_ok=True)


def _file(name: str) -> Path:
    return Path(os.environ["TEST_FOLDER"]) / name


def _check(what: str) -> None:
    if _file(f"broken-{what}").exists():
        raise Permanent(f"{what} is broken")


@on(Filed)
@agent("news.desk", retry=_RETRY)
def desk(filed: Filed) -> list[Ordered]:
    """Order the parts of a story."""
    _check("desk")
    did("desk", filed.story)
    return [Ordered(story=filed.story, number=number, parts=filed.parts) for number in range(filed.parts)]


@on(Ordered)
@agent("news.setter", retry=_RETRY)
def setter(ordered: Ordered) -> Set:
    """Set a part."""
    _check("setter")
    did("setter", f"{ordered.story}/{ordered.number}")
    return Set(**ordered.to_data(), text=f"part {ordered.number}")


@on(Set, gather=gather("parts", by="story", until="parts", within=timedelta(hours=1)))
@agent("news.press", retry=_RETRY)
def press(parts: Parts) -> Printed:
    """Print a story once its parts are set."""
    _check("press")
    did("press", parts.parts[0].story)
    return Printed(story=parts.parts[0].story, text="; ".join(part.text for part in parts.parts))


@on(Printed)
@agent("news.archive", retry=_RETRY)
def archive(printed: Printed) -> None:
    """Keep what was printed."""
    did("archive", printed.story)


@on(Filed, ordered=True)
@agent("news.ledger", retry=_RETRY)
def ledger(filed: Filed, context: Context) -> None:
    """Write stories down in their order, each of them in two lines that belong together."""
    did("begins", filed.story)

    did("ledger", filed.story)
    if filed.story.endswith("3") and context.attempt == 1:
        raise RuntimeError("once more")
