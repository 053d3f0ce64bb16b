"""The wheel: it adds one importable name, and stands beside a project that has modules of the names of our folders."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.installing import build_wheel
from tests.stack import ROOT

PROJECT = {
    "config.py": "OWN = 'config'\n",
    "tasks.py": "OWN = 'tasks'\n",
    "coordinator.py": "OWN = 'coordinator'\n",
    "contracts/__init__.py": "OWN = 'contracts'\n",
    "contracts/orders.py": """
from handoffs import Contract, Key


class Order(Contract, name="own.order", version=1):
    order: str = Key()
""",
    "agents.py": """
from contracts.orders import Order
from handoffs import Flow, agent


@agent("own.ship")
def ship(order: Order) -> Order:
    return order


flow = Flow("own.flow", ship)
""",
    "tests/test_own.py": """
import agents
import config
import contracts
import coordinator as own_coordinator
import tasks
from contracts.orders import Order


def test_own_modules() -> None:
    own = {module.OWN for module in (config, contracts, own_coordinator, tasks)}
    assert own == {"config", "contracts", "coordinator", "tasks"}


def test_a_flow(coordinator) -> None:
    run = coordinator.start(agents.flow, Order(order="o-1"))
    assert run.result() == Order(order="o-1")
""",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, and with the packages of this one, but without this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], timeout=60, check=True)
    site = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # a path that a .pth file adds is not searched for .pth files itself: an editable install is not followed
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return folder / "bin" / "python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with modules of its own under the names of our folders."""
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def _run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COORDINATOR_", "PYTEST_")) and name != "PYTHONPATH"
    }
    return subprocess.run(
        [str(python), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_wheel_adds_one_name(wheel: Path) -> None:
    """Everything importable in the wheel is below one name, and what the code reads beside modules is with it."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"handoffs"}
    for kind in (
        ".lua",
        ".jsonl",
        ".j2",
        "py.typed",
        "contracts/published/payments.fraud-scored/1.json",
        "project/templates/dot-github/workflows/tests.yml.j2",
        "tasks/payments/about.txt",
    ):
        assert any(name.endswith(kind) for name in names), kind


def test_beside_a_project_of_the_same_names(python: Path, project: Path) -> None:
    """A project with its own config.py, tasks.py, coordinator.py and contracts/ has its own modules and our public names, and its
    tests pass with our plugin."""
    done = _run(python, project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_public_names_are_at_the_top(python: Path, project: Path) -> None:
    """`from handoffs import ...` is all that an agent's module needs, and it comes from the wheel."""
    script = "import handoffs; from handoffs import Contract, Key, Flow, agent, Coordinator; print(handoffs.__file__)"
    done = _run(python, project, "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(
        next(python.parents[1].glob("lib/*/site-packages/handoffs/__init__.py"))
    )


def test_the_programs_of_the_wheel(python: Path, project: Path) -> None:
    """The command line and Celery's own find the same names in the wheel as in a checkout."""
    version = _run(python, project, "-m", "handoffs.coordinator", "--version")
    assert (version.returncode, version.stderr) == (0, "")
    report = _run(python, project, "-m", "celery", "-A", "handoffs.coordinator.worker", "report")
    assert "celery:" in report.stdout or "COORDINATOR_BROKER_URL" in report.stderr, report.stderr


@pytest.mark.timeout(300)  # mypy reads the packages that the wheel needs, without a cache
def test_type_checkers_know_the_public_names(python: Path, project: Path) -> None:
    """A type checker finds the types of the wheel, and refuses a name that is none of ours."""
    (project / "good.py").write_text("from handoffs import Contract, Flow, Key, agent\n", "utf-8")
    (project / "bad.py").write_text("from handoffs import Contrct\n", "utf-8")
    checker = [sys.executable, "-m", "mypy", "--python-executable", str(python), "good.py", "bad.py"]
    done = subprocess.run(checker, cwd=project, capture_output=True, text=True, timeout=250, check=False)
    [fault] = [line for line in done.stdout.splitlines() if " error: " in line]
    assert fault.startswith("bad.py")
    assert 'has no attribute "Contrct"' in fault


@pytest.mark.parametrize("folder", ["config", "contracts", "coordinator", "tasks"])
def test_a_folder_by_its_bare_name(folder: str) -> None:
    """In a checkout, the import of a folder by its bare name says what to write instead."""
    done = _run(Path(sys.executable), ROOT, "-c", f"import {folder}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"ImportError: {folder} is a folder of the package handoffs"
    )
    assert f"from handoffs.{folder} import ..." in done.stderr
