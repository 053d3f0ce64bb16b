"""The errors of the console, and the HTTP status that each error of the engine is told with."""

from __future__ import annotations

from http import HTTPStatus

from handoffs.config.settings import SettingsError
from handoffs.contracts.errors import CoordinationError, InvalidInput, InvalidManifest, InvalidRegistry
from handoffs.coordinator.errors import (
    AmbiguousId,
    Conflict,
    EditRefused,
    ExportRefused,
    FlowError,
    LetterClosed,
    LoadError,
    OperationOver,
    RunNotCompleted,
    ScheduleError,
    SealBroken,
    ServerError,
    SignalRefused,
    UnknownContract,
    UnknownDeployment,
    UnknownFlow,
    UnknownGroup,
    UnknownLetter,
    UnknownOperation,
    UnknownRun,
    UnknownSchedule,
)


class Unauthenticated(CoordinationError):
    """Nobody knows who asks: there is no token and no session, or it is not valid any more."""


class SignInFailed(CoordinationError):
    """The issuer did not sign somebody in, or what it said of them does not hold."""


class Forbidden(CoordinationError):
    """Who asks is known, and lacks a permission, which the text names."""


class ForeignForm(CoordinationError):
    """A form came from another page than ours, or from one that was open before its user signed in."""


class IssuerFailed(CoordinationError):
    """The issuer with which people sign in cannot be reached, or says what nobody can use."""


class NotFound(CoordinationError):
    """There is no page, and nothing else, of that address."""


class Busy(CoordinationError):
    """The console goes on with as many things as it can at once."""


_STATUS: tuple[tuple[type[CoordinationError], HTTPStatus], ...] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (SignInFailed, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (ForeignForm, HTTPStatus.FORBIDDEN),
    (IssuerFailed, HTTPStatus.BAD_GATEWAY),
    (NotFound, HTTPStatus.NOT_FOUND),
    (UnknownRun, HTTPStatus.NOT_FOUND),
    (UnknownLetter, HTTPStatus.NOT_FOUND),
    (UnknownGroup, HTTPStatus.NOT_FOUND),
    (UnknownOperation, HTTPStatus.NOT_FOUND),
    (UnknownFlow, HTTPStatus.NOT_FOUND),
    (UnknownDeployment, HTTPStatus.NOT_FOUND),
    (Busy, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnknownContract, HTTPStatus.NOT_FOUND),
    (UnknownSchedule, HTTPStatus.NOT_FOUND),
    (AmbiguousId, HTTPStatus.CONFLICT),
    (Conflict, HTTPStatus.CONFLICT),
    (EditRefused, HTTPStatus.CONFLICT),
    (LetterClosed, HTTPStatus.CONFLICT),
    (OperationOver, HTTPStatus.CONFLICT),
    (SignalRefused, HTTPStatus.CONFLICT),
    (RunNotCompleted, HTTPStatus.CONFLICT),
    (ExportRefused, HTTPStatus.CONFLICT),
    (SealBroken, HTTPStatus.CONFLICT),
    (LoadError, HTTPStatus.CONFLICT),
    (ServerError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SettingsError, HTTPStatus.SERVICE_UNAVAILABLE),
    (FlowError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ScheduleError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidManifest, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidRegistry, HTTPStatus.CONFLICT),
)


def status_of(error: CoordinationError) -> HTTPStatus:
    """The HTTP status with which ``error`` is told."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)
