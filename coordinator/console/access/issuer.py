"""Issuer: signs people in with OpenID Connect, by Authlib."""

from __future__ import annotations

from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import Request
from fastapi.responses import Response
from joserfc.errors import JoseError

from handoffs.config.console import ConsoleSettings
from handoffs.contracts.text import printable
from handoffs.coordinator.console.errors import IssuerFailed, SignInFailed

_NAME = "issuer"
_SECONDS = 10.0
_MOST_GROUPS = 1_000


class Issuer:
    """The issuer of the settings. Every method raises :class:`~handoffs.coordinator.console.errors.IssuerFailed` where it cannot be reached, or
    says what nobody can use."""

    def __init__(self, settings: ConsoleSettings) -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_secret is not None
        self._settings = settings
        oauth = OAuth()
        oauth.register(
            _NAME,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            server_metadata_url=f"{settings.oidc_issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": _SECONDS,
            },
        )
        self._client: Any = oauth.create_client(_NAME)

    async def lead_there(self, request: Request, back: str) -> Response:
        """Send the browser to the issuer, which sends it ``back``."""
        try:
            found: Response = await self._client.authorize_redirect(request, back)
        except (httpx2.HTTPError, AuthlibBaseError, ValueError, KeyError, RuntimeError) as error:
            raise self._failed(error) from None
        return found

    async def person(self, request: Request) -> tuple[str, list[str]]:
        """Who came back, and in which groups they are. Raises :class:`SignInFailed` where the issuer, or what it signed, says no."""
        try:
            token = await self._client.authorize_access_token(request)
        except (AuthlibBaseError, JoseError) as error:
            raise SignInFailed(
                f"the issuer did not sign you in: {printable(str(error), 300)}",
                "nobody was signed in",
                "sign in once more",
            ) from None
        except (httpx2.HTTPError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise self._failed(error) from None
        claims = token.get("userinfo") if isinstance(token, dict) else None
        if not isinstance(claims, dict):
            raise SignInFailed(
                "the issuer sent no ID token",
                "nobody was signed in",
                "have its administrator grant the scope openid",
            )
        return self._name(claims), self._groups(claims)

    def _groups(self, claims: dict[str, Any]) -> list[str]:
        found = claims.get(self._settings.oidc_claim)
        listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        return [one for one in listed[:_MOST_GROUPS] if isinstance(one, str)]

    @staticmethod
    def _name(claims: dict[str, Any]) -> str:
        for claim in ("email", "preferred_username", "name", "sub"):
            found = claims.get(claim)
            if (
                isinstance(found, str)
                and found
                and (claim != "email" or claims.get("email_verified", True) is not False)
            ):
                return printable(found, 200)
        raise SignInFailed(
            "the issuer did not say who you are",
            "nobody was signed in",
            "have it send email or preferred_username",
        )

    def _failed(self, error: Exception) -> IssuerFailed:
        return IssuerFailed(
            f"the issuer {self._settings.oidc_issuer} cannot be used: {type(error).__name__}: {printable(str(error), 300)}",
            "nobody was signed in",
            "try again; if it stays so, look at COORDINATOR_CONSOLE__OIDC_ISSUER, or sign in with a token",
        )
