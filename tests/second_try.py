"""pytest, and once more, alone, for the few tests that failed beside others: ``python -m tests.second_try PYTEST-ARGUMENTS``.

Some 8,600 tests share two cores with RabbitMQ, Redis and PostgreSQL, and a limit of time that a busy machine broke is not a fault.
A fault fails twice. What failed once is printed in full and named at the end, since it may be a race (decision 51).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

AT_MOST = 5  # more failures than these are no accident


class Failures:
    """Notes the tests that failed, in setting up, in themselves or in tearing down; workers of xdist report here too."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest for each phase of each test."""
        if report.failed and report.nodeid not in self.names:
            self.names.append(report.nodeid)


def with_second_try(arguments: Sequence[str]) -> int:
    """The exit code: pytest's, or that of the second try where a few tests failed."""
    failures = Failures()
    code = pytest.main(list(arguments), plugins=[failures])
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(failures.names) <= AT_MOST:
        return int(code)
    names = "".join(f"\n  {name}" for name in failures.names)
    _say(f"once more, alone:{names}")
    again = subprocess.run([sys.executable, "-m", "pytest", "-v", *failures.names], check=False).returncode
    if again == 0:
        _say(f"failed beside others and passed alone, a race or a limit that is too close; look at:{names}")
    return again


def _say(text: str) -> None:
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(with_second_try(sys.argv[1:]))
