"""What was found, by name."""

from collections.abc import Iterable

from handoffs.coordinator.observe.doctor.check import Check


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    """Each check by its name. What is in order has no remedy, and all else has one."""
    found = {}
    for check in checks:
        assert bool(check.remedy) == (check.state != "ok"), check
        assert check.name not in found
        found[check.name] = check
    return found
