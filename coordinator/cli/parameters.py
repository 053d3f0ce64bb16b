"""Parameters: how the texts of a command line become values. What is none is told in one line, without a guess."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from handoffs.config.delays import LONGEST_WAIT
from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidJson
from handoffs.contracts.text import is_utf8
from handoffs.contracts.textfile import read, unmarked
from handoffs.coordinator.observe.moments import typed_moment

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})")
_JSON_LIMITS = strictjson.Limits(octets=134_217_728, nodes=134_217_728)
"""Those of the largest message that may be set; whether a message has room for it says who makes one."""


class Utf8(click.types.StringParamType):
    """A text. What a terminal gives that is not UTF-8 could be written nowhere."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text. Fails for octets that are not UTF-8."""
        text = str(super().convert(value, param, ctx))
        if not is_utf8(text):
            self.fail("it is not UTF-8", param, ctx)
        return text


class Count(click.IntRange):
    """A whole number within bounds, in the digits 0 to 9."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails for what is none, or out of bounds."""
        if isinstance(value, str) and not _WHOLE.fullmatch(value):
            self.fail("it is no whole number, such as 50", param, ctx)
        return super().convert(value, param, ctx)


class Amount(click.FloatRange):
    """A number within bounds, in the digits 0 to 9: no nan, no exponent."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails for what is none, or out of bounds."""
        if isinstance(value, str) and not _DECIMAL.fullmatch(value):
            self.fail("it is no number, such as 2.5", param, ctx)
        return super().convert(value, param, ctx)


SECONDS = Amount(0, LONGEST_WAIT.total_seconds())
"""How long to wait, up to a hundred years."""


class Since(click.ParamType[datetime]):
    """From when on: a moment in the time of this machine, or how long ago."""

    name = "WHEN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, with its time zone. Fails for what is none."""
        if isinstance(value, datetime):
            return value
        try:
            return typed_moment(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class FieldValue(click.ParamType[tuple[str, str]]):
    """A searchable field and its value: ``NAME=VALUE``."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The name and the value. Fails where one of them is missing."""
        if isinstance(value, tuple):
            return value
        name, _, wanted = str(value).partition("=")
        if not (name and wanted):
            self.fail("it names no field and its value, as order=o-17 does", param, ctx)
        if not is_utf8(wanted) or not is_utf8(name):
            self.fail("it is not UTF-8", param, ctx)
        return name, wanted


class JsonValue(click.ParamType[Any]):
    """A JSON value, or ``@`` and the name of a file that has one."""

    name = "JSON|@FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value. Fails for what is no strict JSON, with the reason and without what it says."""
        try:
            text = unmarked(read(Path(value[1:]), _JSON_LIMITS.octets)) if value.startswith("@") else value
            return strictjson.loads(text, _JSON_LIMITS)
        except OSError as error:
            self.fail(f"the file cannot be read: {error.strerror}", param, ctx)
        except InvalidJson as error:
            self.fail(str(error), param, ctx)


class JsonObject(JsonValue):
    """A JSON object, or ``@`` and the name of a file that has one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object. Fails for what is none, with the reason and without what it says."""
        found = super().convert(value, param, ctx)
        if not isinstance(found, dict):
            self.fail("it is no JSON object", param, ctx)
        return found
