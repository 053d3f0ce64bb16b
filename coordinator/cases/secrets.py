"""Secrets: what is masked in the data of a case, as constants that whoever reads the file has to fill in."""

from __future__ import annotations

from typing import Any

from handoffs.contracts.text.sensitive import MASK
from handoffs.coordinator.cases.literal import Name, assigned, plain


class Secrets:
    """Collects the masked values of one file."""

    def __init__(self) -> None:
        self.places: list[str] = []
        """Where each was, in words and as a JSON pointer: ``START /card``."""

    def unmasked(self, value: Any, where: str) -> Any:
        """The value with names of constants in the places of what is masked; ``where`` says whose value it is."""
        return self._walked(value, f"{where} ")

    def _walked(self, value: Any, place: str) -> Any:
        if isinstance(value, dict):
            return {
                key: self._walked(one, f"{place}/{key.replace('~', '~0').replace('/', '~1')}")
                for key, one in value.items()
            }
        if isinstance(value, list):
            return [self._walked(one, f"{place}/{number}") for number, one in enumerate(value)]
        if value != MASK:
            return value
        self.places.append(place)
        return Name(f"SECRET_{len(self.places)}")

    def block(self) -> list[str]:
        """The lines that declare the constants; none where nothing is masked."""
        if not self.places:
            return []
        lines = ["# These were masked when this file was written. Give each a value that its contract takes."]
        for number, place in enumerate(self.places, 1):
            lines += [f"# {plain(place)}", f"SECRET_{number} = None"]
        names = [Name(f"SECRET_{number}") for number in range(1, len(self.places) + 1)]
        return [*lines, assigned("SECRETS", names), ""]

    def check(self) -> list[str]:
        """The lines of a test that make it fail while one is not filled in; none where nothing is masked."""
        if not self.places:
            return []
        return ['    assert None not in SECRETS, "fill in the SECRET_... above: they were masked"']
