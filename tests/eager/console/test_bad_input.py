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
from tests.eager.console.pages import SECRET, console
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


PAGES = ("/now", "/runs", "/runs/{run}", "/runs/{run}/history", "/runs/{run}/cancel", "/flows", "/flows/office.asks", "/flows/office.asks/start",
         "/dead-letters", "/operations", "/approvals", "/contracts", "/map", "/schedules", "/actions", "/doctor", "/help")  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_a_parameter_that_an_address_does_not_take_is_refused(office: Office, path: str) -> None:
    """On the page, as JSON, and below /api: with a 422 that names it."""
    path = path.format(run=office.done.id)
    with console(office.coordinator) as browser:
        assert "takes no parameter &#39;nobody&#39;" in browser.get(f"{path}?nobody=1", status=422)
        for address in (f"{path}.json", f"/api{path}"):
            told = browser.json(f"{address}?nobody=1", status=422)
            assert told["cause"] == "this address takes no parameter 'nobody'"
            assert told["remedy"]


def test_the_nearest_parameter_is_named(office: Office) -> None:
    """Who mistypes a filter would see what it does not choose; what people send is shown with its characters escaped once."""
    with console(office.coordinator) as browser:
        assert browser.json("/api/runs?sttaus=parked", status=422)["remedy"].startswith(
            "did you mean 'status'?"
        )
        assert browser.json("/api/actions?nobody%00=1", status=422)["cause"].endswith(r"'nobody\u0000'")
        assert r"'a\u0000b'" in browser.json("/api/flows/a%00b", status=404)["cause"]


@pytest.mark.parametrize(
    ("body", "said"),
    [('{"why": "x"', "the body is no JSON: Expecting ',' delimiter at character 11"), ("", "there is no body"),
     ('{"why": 5}', "body.why: Input should be a valid string")],
)  # fmt: skip
def test_what_is_wrong_with_a_body_is_said_in_words(body: str, said: str, office: Office) -> None:
    """With the place, and what to look at."""
    with console(office.coordinator) as browser:
        told = browser.client.post(
            f"/api/runs/{office.asking.id}/pause", content=body, headers={"content-type": "application/json"}
        ).json()
        assert said in told["cause"]
        assert told["remedy"].endswith("/api/docs")


@pytest.mark.parametrize(
    ("method", "path", "cause", "remedy"),
    [("GET", "/api/nowhere", "the console has no page /api/nowhere", "/api/docs"), ("DELETE", "/api/runs", "/api/runs takes no DELETE", "it takes GET"),
     ("GET", "/api/runs/{run}", "is how the id of a run begins: ", "go to /api/runs/")],
)  # fmt: skip
def test_what_the_framework_refuses_has_words_too(
    method: str, path: str, cause: str, remedy: str, office: Office
) -> None:
    """Cause, consequence and remedy; of a redirect, where it leads."""
    with console(office.coordinator) as browser:
        told = browser.client.request(
            method, path.format(run=office.done.id[:8]), follow_redirects=False
        ).json()
        assert cause in told["cause"]
        assert told["consequence"]
        assert remedy in told["remedy"]
