"""Flower is never open to everybody, and its list opens tasks."""

import pytest

from handoffs.config.flower import default_options, require_login
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


def test_a_task_is_opened_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's list has a link to a task in the column of its id, and nowhere else: it is among the columns that we ask for."""
    monkeypatch.delenv("FLOWER_TASKS_COLUMNS", raising=False)
    [columns] = [one for one in default_options() if one.startswith("--tasks_columns=")]
    assert "uuid" in columns.partition("=")[2].split(",")
    monkeypatch.setenv("FLOWER_TASKS_COLUMNS", "name")
    assert not any("tasks_columns" in one for one in default_options())
