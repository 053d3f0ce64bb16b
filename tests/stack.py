"""deploy/stack.py, which is a program and in no package."""

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def load() -> Any:
    """The program as a module of its own."""
    spec = importlib.util.spec_from_file_location("stack", ROOT / "deploy" / "stack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
