"""Bad input: whatever is sent to any address of the HTTP API is answered as its description says, and nothing fails."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from handoffs.config.console import ConsoleSettings, Role, Token
from handoffs.coordinator.console.app import ROUTERS, create_app
from tests.eager.console.pages import SECRET
from tests.eager.office import Office

WORD = "t" * 40
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = "/api/ticks"
EXAMPLES = 10


def _try(cases: SearchStrategy[Any]) -> None:
    """Send what ``cases`` gives, and look at each answer."""

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def check(case: Any) -> None:
        case.validate_response(case.call(headers={"authorization": f"Bearer {WORD}"}), checks=CHECKS)

    check()


def _paths() -> list[str]:
    """Every address that the HTTP API describes."""
    app = FastAPI()
    for router in ROUTERS:
        app.include_router(router)
    return sorted(set(app.openapi()["paths"]) - {ENDLESS})


_DESCRIBED: list[dict[str, Any]] = []


def _description(app: FastAPI) -> dict[str, Any]:
    """The description of the HTTP API. It is made once: that takes a second, and is the same for each address."""
    if not _DESCRIBED:
        _DESCRIBED.append(app.openapi())
    return _DESCRIBED[0]


@pytest.mark.parametrize("path", _paths())
def test_every_address_answers_whatever_is_sent(office: Office, path: str) -> None:
    """Values that the description allows, and values that it does not: never an answer of 500 or more, and what is answered is as described."""
    app = create_app(
        office.coordinator,
        secret=SECRET,
        settings=ConsoleSettings(tokens=(Token.read(f"ann:{Role.ADMIN}:{WORD}"),)),
    )
    app.openapi_schema = _description(app)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path != path:
            continue
        takes = bool(list(operation.iter_parameters()) or list(operation.body))
        for mode in (GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else [])):
            _try(operation.as_strategy(generation_mode=mode))
            tried += 1
    assert tried
