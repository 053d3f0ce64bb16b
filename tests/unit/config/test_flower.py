"""Flower is never open to everybody, and shows all queues."""

from types import SimpleNamespace

import pytest
from flower.views import BaseHandler

from handoffs.config.flower import require_login, show_queues
from handoffs.config.settings import SettingsError


@pytest.mark.parametrize("logins", ["ada:secret", "ada:secret,bob:other", "ada:with:colons"])
def test_a_login_is_enough(logins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One login, or several, let Flower start."""
    monkeypatch.setenv("FLOWER_BASIC_AUTH", logins)
    require_login()


@pytest.mark.parametrize(
    "logins", [None, "", "ada", "ada:", ":secret", ":", ",", "ada:secret,", "ada:secret,bob"]
)
def test_no_login_is_refused(logins: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a user or a password is missing, Flower is refused in one line that shows no secret."""
    monkeypatch.delenv("FLOWER_BASIC_AUTH", raising=False)
    if logins is not None:
        monkeypatch.setenv("FLOWER_BASIC_AUTH", logins)
    with pytest.raises(SettingsError, match="FLOWER_BASIC_AUTH is not set to user:password") as caught:
        require_login()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_all_queues_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page about the broker has the queues of workers that began after Flower, besides those that it knows of."""
    monkeypatch.setattr(BaseHandler, "get_active_queue_names", BaseHandler.get_active_queue_names)
    show_queues(["media.drm", "handoff.dead-letters"])
    conf = SimpleNamespace(task_default_queue="default", task_queues=None)
    asked = {"worker": {"active_queues": [{"name": "shop.ship"}, {"name": "media.drm"}]}}
    handler = SimpleNamespace(application=SimpleNamespace(workers=asked), capp=SimpleNamespace(conf=conf))
    assert BaseHandler.get_active_queue_names(handler) == ["handoff.dead-letters", "media.drm", "shop.ship"]
