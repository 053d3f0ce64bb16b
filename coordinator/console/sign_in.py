"""Sign in: how a browser gets a session, with a token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from handoffs.coordinator.console.access.issuer import Issuer
from handoffs.coordinator.console.action import own_form
from handoffs.coordinator.console.asked import console_of
from handoffs.coordinator.console.errors import NotFound, Unauthenticated
from handoffs.coordinator.console.templating import base_of, rendered

router = APIRouter(include_in_schema=False)

_AFTERWARDS = "afterwards"
_LONGEST = 500


class SignIn(BaseModel):
    """The form of the page."""

    model_config = ConfigDict(extra="forbid")

    token: str
    form_key: str = ""
    to: str = ""


@router.get("/sign-in", name="sign_in_page")
def sign_in_page(request: Request, to: str = "") -> Response:
    """Ask for a token, or lead to the issuer."""
    return _page(request, to)


@router.post("/sign-in")
def sign_in(request: Request, body: Annotated[SignIn, Form()]) -> Response:
    """Take a token."""
    access = console_of(request).access
    access.check_form(request, body.form_key)
    try:
        access.sign_in(request, body.token)
    except Unauthenticated as error:
        return _page(request, body.to, str(error), 401)
    return RedirectResponse(own_address(request, body.to), 303)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget who uses the browser."""
    await own_form(request)
    console_of(request).access.sign_out(request)
    gone = {"clear-site-data": '"cache"'}  # the answers of forms, which browsers keep to go back to
    return RedirectResponse(f"{base_of(request)}/sign-in", 303, headers=gone)


@router.get("/sign-in/issuer")
async def to_issuer(request: Request, to: str = "") -> Response:
    """Lead the browser to the issuer."""
    request.session[_AFTERWARDS] = own_address(request, to)[:_LONGEST]
    return await _issuer(request).lead_there(request, _callback(request))


@router.get("/sign-in/callback", name="sign_in_callback")
async def from_issuer(request: Request) -> Response:
    """Let the person in whom the issuer sends back."""
    issuer, access = _issuer(request), console_of(request).access
    to = request.session.get(_AFTERWARDS, "")
    name, groups = await issuer.person(request)
    access.sign_in_person(request, name, groups)
    return RedirectResponse(own_address(request, to if isinstance(to, str) else ""), 303)


def _issuer(request: Request) -> Issuer:
    found = console_of(request).issuer
    if found is None:
        raise NotFound("no issuer is set", "nobody was signed in", "sign in with a token")
    return found


def _callback(request: Request) -> str:
    public = console_of(request).settings.public_url
    return f"{public}/sign-in/callback" if public else str(request.url_for("sign_in_callback"))


def own_address(request: Request, given: str) -> str:
    """Where to go after signing in: a page of ours, or the first one."""
    beginning = f"{base_of(request)}/"
    is_own = (
        given.startswith(beginning)
        and not given.startswith("//")
        and "\\" not in given
        and given.isprintable()
        and given.isascii()
    )
    return given if is_own else f"{beginning}now"


def _page(request: Request, to: str, refused: str = "", code: int = 200) -> Response:
    settings = console_of(request).settings
    return rendered(
        request, "sign_in.html.j2", title="Sign in", twin="", code=code, to=to, refused=refused, by_token=bool(settings.tokens),
        by_issuer=bool(settings.oidc_issuer), issuer=settings.oidc_issuer,
    )  # fmt: skip
