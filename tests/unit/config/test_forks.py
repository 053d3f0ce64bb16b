"""What is renewed in a child that is forked."""

import gc
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import pytest
from kombu.utils.objects import cached_property as kombu_cached_property

from handoffs.config.forks import after_fork, whole_at_fork
from tests.forking import in_child


class Owner:
    """Says what was renewed in its process."""

    def __init__(self) -> None:
        self.renewed: list[str] = []


def test_it_is_renewed_in_the_child_alone() -> None:
    """What an owner does anew, it does once in each child, before anything else, in the order in which owners said so."""
    first, second = Owner(), Owner()
    after_fork(first, lambda owner: owner.renewed.append("first"))
    after_fork(second, lambda owner: owner.renewed.append(f"second after {len(first.renewed)}"))
    assert in_child(lambda: f"{first.renewed} {second.renewed}") == "['first'] ['second after 1']"
    assert in_child(lambda: in_child(lambda: str(first.renewed))) == "['first', 'first']"
    assert (first.renewed, second.renewed) == ([], [])


def test_who_is_gone_is_not_renewed() -> None:
    """An owner that is gone is not kept for that, and another in its place in memory is not taken for it."""
    told: list[str] = []
    owner: Owner | None = Owner()
    after_fork(owner, lambda _: told.append("it"))
    owner = None
    gc.collect()
    kept = [Owner() for _ in range(100)]
    assert in_child(lambda: str((told, len(kept)))) == "([], 100)"


class Thing:
    """It has a property that is made once, and slowly."""

    may = threading.Event()

    @kombu_cached_property
    def of_kombu(self) -> str:
        self.may.wait(20)
        return "made"

    @cached_property
    def of_python(self) -> str:
        self.may.wait(20)
        return "made"


def _held(name: str, thing: type[Thing]) -> bool:
    """Whether somebody in another thread cannot have the lock of a property, where it has one."""
    lock = getattr(vars(thing)[name], "lock", None)
    with ThreadPoolExecutor(1) as pool:
        return lock is not None and not pool.submit(lock.acquire, timeout=0.2).result()


@pytest.mark.parametrize("name", ["of_kombu", "of_python", "of_another"])
def test_properties_of_any_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a class was made, by whichever metaclass, the locks of its properties are new in a child. What objects there are is
    not asked for that: there may be any number."""

    class Another(kombu_cached_property):
        """A kind of its own."""

    class Meta(type):
        def __eq__(cls, other: object) -> bool:
            return cls is other

        __hash__ = type.__hash__

    def made() -> type[Any]:
        another = Another(lambda thing: "made")  # type: ignore[no-untyped-call]
        return Meta("Made", (Thing,), {"of_another": another, **vars(Thing)})

    monkeypatch.setattr(gc, "get_objects", lambda: pytest.fail("all objects are looked at"))
    here = made()
    with getattr(vars(here)[name], "lock", nullcontext()) as lock:
        assert _held(name, here) is (lock is not None)
        assert in_child(lambda: str(_held(name, here))) == "False"


@pytest.mark.parametrize("name", ["of_kombu", "of_python"])
def test_cached_properties(name: str) -> None:
    """One that another thread was at when the process was forked can be had in the child: its lock is that of the class."""
    Thing.may.clear()
    at_it = threading.Thread(target=lambda: getattr(Thing(), name))
    at_it.start()

    def child() -> str:
        signal.alarm(10)  # where it hangs it ends, and says nothing
        Thing.may.set()
        return str(getattr(Thing(), name))

    said = in_child(child)
    Thing.may.set()
    at_it.join()
    assert said == "made"


def test_what_is_changed_is_whole_in_the_child() -> None:
    """Nothing that is guarded is forked while somebody is changing it, and the child and its parent go on with the lock."""
    owner, lock = Owner(), threading.Lock()
    whole_at_fork(owner, lock)
    halves, over = [0, 0], threading.Event()

    def change() -> None:
        while not over.is_set():
            with lock:
                halves[0] += 1
                over.wait(0.001)
                halves[1] += 1

    changing = threading.Thread(target=change)
    changing.start()

    def child() -> str:
        signal.alarm(10)  # where it hangs it ends, and says nothing
        with lock:
            return str(halves[0] == halves[1])

    said = [in_child(child) for _ in range(10)]
    over.set()
    changing.join()
    assert said == ["True"] * 10
