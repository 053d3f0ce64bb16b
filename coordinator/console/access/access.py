"""Access: finds out who asks, by a token, by a session, or because only people of this machine can."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from fastapi import Request

from handoffs.config import clock
from handoffs.config.console import ConsoleSettings, Role, Token
from handoffs.config.user import current_user
from handoffs.contracts.text import printable
from handoffs.coordinator.console.access.caller import Caller
from handoffs.coordinator.console.errors import Forbidden, ForeignForm, Unauthenticated

SESSION_HOURS = 12
"""For how long somebody is signed in."""

_OWN = frozenset({"same-origin", "none"})
"""What ``Sec-Fetch-Site`` says of what our own pages ask for, or a person by the address bar."""

_NAME, _ROLE, _BY_TOKEN, _UNTIL, _FORMS = "name", "role", "by_token", "until", "forms"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a console, by its settings."""

    settings: ConsoleSettings

    def caller(self, request: Request) -> Caller:
        """Who asks. Raises :class:`~handoffs.coordinator.console.errors.Unauthenticated` where that is not known."""
        header = request.headers.get("authorization")
        if header is not None and self.settings.is_guarded:
            return self._by_header(header)
        if not self.settings.is_guarded:
            return Caller(current_user(), Role.ADMIN, self.settings.payloads, "local")
        return self._by_session(request)

    def sign_in(self, request: Request, token: str) -> Caller:
        """Let the browser that asks in, with its token. Raises :class:`~handoffs.coordinator.console.errors.Unauthenticated`."""
        found = self._token(token)
        self._begin(request, found.name, found.role, by_token=True)
        return Caller(found.name, found.role, self.settings.payloads, "session")

    def sign_in_person(self, request: Request, name: str, groups: list[str]) -> Caller:
        """Let the browser in of a person whom the issuer knows by ``name``, and to be in these groups.

        Raises :class:`~handoffs.coordinator.console.errors.Forbidden` where no group of theirs has a role.
        """
        roles = [role for group, role in self.settings.oidc_roles.items() if group in groups]
        if not roles:
            raise Forbidden(
                f"{printable(name, 80)} is in no group that may use this console",
                "nobody was signed in",
                "have an administrator put a group of yours into COORDINATOR_CONSOLE__OIDC_ROLES",
            )
        role = max(roles, key=list(Role).index)
        self._begin(request, name, role, by_token=False)
        return Caller(name, role, self.settings.payloads, "session")

    def sign_out(self, request: Request) -> None:
        """Forget who uses the browser that asks."""
        request.session.clear()

    def form_key(self, request: Request) -> str:
        """What forms of this session carry, so that they are known to be ours."""
        key = request.session.get(_FORMS)
        if not isinstance(key, str) or len(key) < 32:
            key = request.session[_FORMS] = secrets.token_urlsafe(32)
        return key

    def check_form(self, request: Request, given: object) -> None:
        """Raises :class:`~handoffs.coordinator.console.errors.ForeignForm` where a form is not ours: ``given`` is what it carries."""
        known = request.session.get(_FORMS)
        fits = (
            isinstance(known, str)
            and isinstance(given, str)
            and secrets.compare_digest(known.encode(), given.encode("utf-8", "replace"))
        )
        if not fits or not _is_own(request):
            raise ForeignForm(
                "this form is not of a page that you have open now",
                "nothing was done",
                "open the page again, and send it from there",
            )

    def check_origin(self, request: Request, caller: Caller) -> None:
        """The same for what has no form, but comes with the cookie of a browser or from this machine: it must not come from another site."""
        if caller.how != "token" and not _is_own(request):
            raise ForeignForm(
                "this was asked for by a page of another site",
                "nothing was done",
                "programs send a token: Authorization: Bearer ...",
            )

    def _by_header(self, header: str) -> Caller:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(
                "the Authorization header has another scheme than Bearer",
                "nothing was done",
                "send Authorization: Bearer TOKEN",
            )
        found = self._token(token.strip())
        return Caller(found.name, found.role, self.settings.payloads, "token")

    def _by_session(self, request: Request) -> Caller:
        session = request.session
        name, until = session.get(_NAME), session.get(_UNTIL)
        if isinstance(name, str) and isinstance(until, int | float) and until > clock.now().timestamp():
            role = self._role_of(name, session)
            if role is not None:
                return Caller(name, role, self.settings.payloads, "session")
        raise Unauthenticated(
            "you are not signed in",
            "nothing was shown",
            "sign in, or send a token: Authorization: Bearer ...",
        )

    def _role_of(self, name: str, session: dict[str, object]) -> Role | None:
        """A token that was taken away, or given another role, counts at once in the sessions that began with it."""
        if session.get(_BY_TOKEN):
            return next((one.role for one in self.settings.tokens if one.name == name), None)
        written = session.get(_ROLE)
        return next((role for role in Role if role == written), None) if self.settings.oidc_issuer else None

    def _token(self, given: str) -> Token:
        fitting = [
            one for one in self.settings.tokens if one.fits(given)
        ]  # all are looked at: it takes as long for each
        if not fitting:
            raise Unauthenticated(
                "there is no such token", "nothing was done", "look whether it is whole, or ask for a new one"
            )
        return fitting[0]

    def _begin(self, request: Request, name: str, role: Role, *, by_token: bool) -> None:
        request.session.clear()
        until = clock.now().timestamp() + SESSION_HOURS * 3600
        request.session.update({_NAME: name, _ROLE: str(role), _BY_TOKEN: by_token, _UNTIL: until})


def _is_own(request: Request) -> bool:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in _OWN
    return origin is None or origin.partition("://")[2] == request.headers.get("host")
