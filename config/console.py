"""Console: the settings of the pages and the HTTP API, and who may use them."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

_NAME = re.compile(r"[^\s:,=\x00-\x1f\x7f]{1,80}")
_DIGEST = re.compile(r"sha256=([0-9a-f]{64})")
_SHORTEST = 24
_MOST = 1_000


class Role(StrEnum):
    """What a person or a program may do: each role may do what those before it may."""

    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether this role may do what the ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Token:
    """Whose a token is, and what it is good for. Of the token itself only the SHA-256 is kept here."""

    name: str
    role: Role
    digest: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Token:
        """The token of ``NAME:ROLE:TOKEN``. Raises :class:`ValueError`, which does not say what was given."""
        name, _, rest = text.partition(":")
        role, _, secret = rest.partition(":")
        if not _NAME.fullmatch(name) or role not in set(Role):
            raise ValueError(
                "write each as NAME:ROLE:TOKEN, where ROLE is reader, operator or admin, and NAME has no blank, comma or colon"
            )
        digest = _DIGEST.fullmatch(secret)
        if digest is None and (len(secret) < _SHORTEST or not secret.isascii() or not secret.isprintable()):
            raise ValueError(
                f"a token is {_SHORTEST} letters and digits or more, or sha256= and its digest: coordinator console-token makes one"
            )
        return cls(name, Role(role), digest[1] if digest else digest_of(secret))

    def __str__(self) -> str:
        """As a setting has it."""
        return f"{self.name}:{self.role}:sha256={self.digest}"

    def fits(self, given: str) -> bool:
        """Whether ``given`` is this token."""
        return hmac.compare_digest(self.digest, digest_of(given))


def digest_of(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal digits. A token is long and random, so this need not be slow."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _tokens(value: Any) -> Any:
    """Read ``anna:operator:sha256=..., ci:reader:a-long-random-text``. No error says what was given."""
    if not isinstance(value, str):
        return value
    found = [Token.read(part.strip()) for part in value.split(",") if part.strip()]
    if len(found) > _MOST:
        raise ValueError(f"more than {_MOST:,} tokens")
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ValueError(
            "a name has two tokens: give each a name of its own, it is what actions are written down with"
        )
    return tuple(found)


def _roles(value: Any) -> Any:
    """Read ``platform-team=admin, support=reader``."""
    if not isinstance(value, str):
        return value
    both = [part.rpartition("=")[::2] for part in value.split(",") if part.strip()]
    if any(not group.strip() or role.strip() not in set(Role) for group, role in both):
        raise ValueError("write it as GROUP=ROLE, GROUP=ROLE, where ROLE is reader, operator or admin")
    return {group.strip(): Role(role.strip()) for group, role in both}


def _url(value: Any) -> Any:
    if value in (None, ""):
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or parts.username
    ):
        raise ValueError(
            "write it as https://host or https://host/path, without a user, a query or a fragment"
        )
    return value.rstrip("/")


_Url = Annotated[str | None, BeforeValidator(_url)]


class ConsoleSettings(BaseModel):
    """Settings of the console. Without tokens and without OpenID Connect it listens on loopback only, and lets everybody there do everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: Annotated[tuple[Token, ...], NoDecode, BeforeValidator(_tokens)] = Field(default=(), repr=False)
    """Who may use it: ``NAME:ROLE:TOKEN``, separated by commas; ``ROLE`` is reader, operator or admin, and instead of the token there may
    be ``sha256=`` and its digest, as ``coordinator console-token`` prints it."""
    secret: SecretStr | None = Field(default=None, min_length=32)
    """What the cookies of people who are signed in are signed with, 32 characters or more. None: another one for each process, so that
    a restart signs everybody out, and two processes know each only their own."""
    payloads: Role = Role.OPERATOR
    """The least role that sees what messages say; others see which step, which contract, when and how large."""
    public_url: _Url = None
    """Under which address browsers find it, where that is another than the one that it listens on; ``https://...`` has cookies sent over
    TLS only. Flower's pages link there."""
    flower_url: _Url = None
    """Under which address browsers find Flower, where there is one: pages of runs link to its tasks."""
    oidc_issuer: _Url = None
    """People sign in there (OpenID Connect): the address below which there is ``/.well-known/openid-configuration``."""
    oidc_client_id: str = ""
    """The client id of the console at the issuer."""
    oidc_client_secret: SecretStr | None = None
    """The client secret of it."""
    oidc_claim: str = "groups"
    """In which claim of the ID token the groups of a person are."""
    oidc_roles: Annotated[dict[str, Role], NoDecode, BeforeValidator(_roles)] = Field(default={})
    """What members of a group may: ``platform-team=admin, support=reader``. Who is in none of them is let in nowhere."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret, self.oidc_roles)
        if any(given) and not all(given):
            raise ValueError(
                "oidc_issuer, oidc_client_id, oidc_client_secret and oidc_roles go together: set all of them, or none"
            )
        return self

    @property
    def is_guarded(self) -> bool:
        """Whether it is asked who somebody is."""
        return bool(self.tokens or self.oidc_issuer)
