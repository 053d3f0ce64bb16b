"""Forks: what the objects of a process become in a child that is forked from it.

A child has the memory of its parent and none of its threads: a connection that both used would mix their answers up, a lock that
another thread held just then would never be released, and what it was changing would stay half changed.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)
_LONGEST = 5.0  # seconds

_renewals: dict[int, tuple[weakref.ref[object], Callable[[object], None]]] = {}
_guards: dict[int, tuple[weakref.ref[object], threading.Lock]] = {}
_forking = threading.Lock()
_held: list[threading.Lock] = []
"""Those that are held by the thread that forks, while it does."""
_properties: list[Any] = []
"""The cached properties with a lock, while a process is forked."""
_left: list[object] = []
"""What belongs to a parent, kept so that nothing of it is closed here."""


def after_fork(owner: T, renew: Callable[[T], None]) -> None:
    """Have ``renew(owner)`` called in every child that is forked while ``owner`` lives, in the order of these calls, before the
    child does anything else. It must not wait for anything, and must not talk to a server. One an owner."""
    key = id(owner)
    known: Callable[[object], None] = renew  # type: ignore[assignment]

    def forget(_: object) -> None:
        _renewals.pop(key, None)

    _renewals[key] = (weakref.ref(owner, forget), known)


def whole_at_fork(owner: object, lock: threading.Lock) -> None:
    """Have processes forked only while nobody holds ``lock``, for as long as ``owner`` lives: what it guards is whole in the child.
    Nobody may fork while holding it, and it must be held for moments only."""
    key = id(owner)

    def forget(_: object) -> None:
        _guards.pop(key, None)

    _guards[key] = (weakref.ref(owner, forget), lock)


def _hold_all() -> None:
    _forking.acquire()  # one thread after another
    for _, lock in list(_guards.values()):
        if lock.acquire(timeout=_LONGEST):
            _held.append(lock)
        else:
            _log.warning(
                "a process is forked while something is being changed: it may be half changed in the child"
            )
    _find_properties()


def _release_all() -> None:
    _properties.clear()
    while _held:
        _held.pop().release()
    _forking.release()


def _find_properties() -> None:
    """A cached property has one lock for all objects of its class, in Kombu's and Celery's classes for each look at it, and before
    Python 3.12 in everybody's while the value is made: in a child nobody would give back one that another thread had.

    They are looked for in the classes: of these there are some thousands, however many objects the process has; and by the parent: to
    touch them in the child would copy the memory that both share."""
    kinds = _with_subclasses(cached_property)
    _properties[:] = [
        found
        for made in _with_subclasses(object)
        for found in vars(made).values()
        if type(found) in kinds and hasattr(found, "lock")
    ]


def _free_properties() -> None:
    for found in _properties:
        found.lock = threading.RLock()
    _properties.clear()


def _with_subclasses(of: type[object]) -> dict[type[object], None]:
    """A class and all that are made of it, each once."""
    found, at = {of: None}, [of]
    while at:
        new = [one for one in type.__subclasses__(at.pop()) if one not in found]
        found.update(dict.fromkeys(new))
        at += new
    return found


def leave(*owned: object) -> None:
    """Keep what belongs to the parent, in a child, for as long as this lives: closing it might end it for the parent too."""
    _left.extend(owned)


def _renew_all() -> None:
    _free_properties()
    _release_all()
    for reference, renew in list(_renewals.values()):
        owner = reference()
        if owner is not None:
            renew(owner)


os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_renew_all)
