"""UntrustedText: text that came from outside, and says so wherever it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, SupportsIndex, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from handoffs.contracts.errors import ContractError, UnsafeText
from handoffs.contracts.text.hygiene import Finding, Policy, clean
from handoffs.contracts.text.printable import named
from handoffs.contracts.text.suspicion import Kind, Suspicion, suspicions

MOST_RECORDED = 50


class UntrustedText(str):
    """Text from outside: NFC, free of what hides from a reader, and marked as untrusted.

    As the type of a contract's field it refuses what hygiene finds; ``Annotated[UntrustedText, Hygiene(...)]`` strips
    it, or limits the length. It equals and hashes as the same ``str``. What its own methods and operators make of it is
    untrusted too. Python makes plain text of it in f-strings with anything besides it, in ``",".join(...)`` and
    ``"{}".format(...)`` of a plain text, ``"%s" % (text,)`` with a tuple, ``re``, ``json`` and ``encode``: use
    :meth:`joined` and :meth:`formatted`. :meth:`trusted` gives a plain ``str``, on the caller's word.

    Raises :class:`~handoffs.contracts.errors.UnsafeText` where it is made; parts that are derived are not judged again until
    they enter a contract or a prompt.
    """

    __slots__ = ("_stripped", "_stripped_count")
    _stripped: tuple[Finding, ...]
    _stripped_count: int

    def __new__(cls, text: str = "", policy: Policy = "refuse") -> UntrustedText:
        if not isinstance(text, str):
            raise TypeError(f"untrusted text is made of text, not of {type(text).__name__}")
        kept, found = clean(str.__str__(text), policy)
        if not found and isinstance(text, UntrustedText) and kept == text:
            return text
        return _make(kept, tuple(found[:MOST_RECORDED]), len(found))

    @property
    def stripped(self) -> tuple[Finding, ...]:
        """What was taken out of it, where it came in: the first fifty. It does not travel, and parts have none."""
        return self._stripped

    @property
    def stripped_count(self) -> int:
        """How many characters were taken out of it."""
        return self._stripped_count

    @property
    def suspicions(self) -> tuple[Suspicion, ...]:
        """What about it may deceive a reader, though nothing is hidden."""
        return suspicions(self)

    def trusted(self) -> str:
        """The same as plain text. Whoever calls this vouches for it: a person or a program has looked at it."""
        return str.__str__(self)

    @staticmethod
    def joined(separator: str, parts: Iterable[str]) -> UntrustedText:
        """``separator.join(parts)``, untrusted."""
        return _derived(str.join(separator, parts))

    @staticmethod
    def formatted(template: str, *arguments: object, **named: object) -> UntrustedText:
        """``template.format(...)``, untrusted: in place of an f-string. ``template`` is not text from outside."""
        return _derived(str.format(template, *arguments, **named))

    def __repr__(self) -> str:
        return f"UntrustedText({str.__repr__(self)})"

    def __str__(self) -> str:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (str.__str__(self), self._stripped, self._stripped_count)

    def __copy__(self) -> UntrustedText:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> UntrustedText:
        return self

    # What is made of it

    def __add__(self, other: Any) -> UntrustedText:
        return _derived(str.__add__(self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: Any) -> UntrustedText:
        return _derived(str.__add__(other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> UntrustedText:
        return _derived(str.__mul__(self, times))

    def __rmul__(self, times: SupportsIndex) -> UntrustedText:
        return _derived(str.__mul__(self, times))

    def __mod__(self, value: Any) -> UntrustedText:
        return _derived(str.__mod__(self, value))

    def __rmod__(self, template: Any) -> UntrustedText:
        return (
            _derived(str.__mod__(template, self.trusted())) if isinstance(template, str) else NotImplemented
        )

    def __getitem__(self, key: SupportsIndex | slice) -> UntrustedText:
        return _derived(str.__getitem__(self, key))

    def __iter__(self) -> Iterator[UntrustedText]:
        return map(_derived, str.__iter__(self))

    def __format__(self, spec: str) -> UntrustedText:
        return _derived(str.__format__(self.trusted(), spec))

    def capitalize(self) -> UntrustedText:
        return _derived(str.capitalize(self))

    def casefold(self) -> UntrustedText:
        return _derived(str.casefold(self))

    def center(self, width: SupportsIndex, fill: str = " ", /) -> UntrustedText:
        return _derived(str.center(self, width, fill))

    def expandtabs(self, tabsize: SupportsIndex = 8) -> UntrustedText:
        return _derived(str.expandtabs(self, tabsize))

    def format(self, *arguments: object, **named: object) -> UntrustedText:
        return _derived(str.format(self, *arguments, **named))

    def format_map(self, mapping: Mapping[str, object], /) -> UntrustedText:  # type: ignore[override]
        return _derived(str.format_map(self, mapping))

    def join(self, parts: Iterable[str], /) -> UntrustedText:
        return _derived(str.join(self, parts))

    def ljust(self, width: SupportsIndex, fill: str = " ", /) -> UntrustedText:
        return _derived(str.ljust(self, width, fill))

    def lower(self) -> UntrustedText:
        return _derived(str.lower(self))

    def lstrip(self, characters: str | None = None, /) -> UntrustedText:
        return _derived(str.lstrip(self, characters))

    def partition(self, separator: str, /) -> tuple[UntrustedText, UntrustedText, UntrustedText]:
        before, found, after = str.partition(self, separator)
        return _derived(before), _derived(found), _derived(after)

    def removeprefix(self, prefix: str, /) -> UntrustedText:
        return _derived(str.removeprefix(self, prefix))

    def removesuffix(self, suffix: str, /) -> UntrustedText:
        return _derived(str.removesuffix(self, suffix))

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> UntrustedText:
        return _derived(str.replace(self, old, new, count))

    def rjust(self, width: SupportsIndex, fill: str = " ", /) -> UntrustedText:
        return _derived(str.rjust(self, width, fill))

    def rpartition(self, separator: str, /) -> tuple[UntrustedText, UntrustedText, UntrustedText]:
        before, found, after = str.rpartition(self, separator)
        return _derived(before), _derived(found), _derived(after)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[UntrustedText]:  # type: ignore[override]
        return [_derived(part) for part in str.rsplit(self, sep, maxsplit)]

    def rstrip(self, characters: str | None = None, /) -> UntrustedText:
        return _derived(str.rstrip(self, characters))

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[UntrustedText]:  # type: ignore[override]
        return [_derived(part) for part in str.split(self, sep, maxsplit)]

    def splitlines(self, keepends: bool = False) -> list[UntrustedText]:  # type: ignore[override]
        return [_derived(part) for part in str.splitlines(self, keepends)]

    def strip(self, characters: str | None = None, /) -> UntrustedText:
        return _derived(str.strip(self, characters))

    def swapcase(self) -> UntrustedText:
        return _derived(str.swapcase(self))

    def title(self) -> UntrustedText:
        return _derived(str.title(self))

    def translate(self, table: Any, /) -> UntrustedText:
        return _derived(str.translate(self, table))

    def upper(self) -> UntrustedText:
        return _derived(str.upper(self))

    def zfill(self, width: SupportsIndex, /) -> UntrustedText:
        return _derived(str.zfill(self, width))

    # As a field

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _schema(Hygiene())


@dataclass(frozen=True, slots=True)
class Hygiene:
    """What a field does with text from outside: ``Annotated[UntrustedText, Hygiene("strip", max_length=4000)]``.

    policy
        ``refuse`` (the default) or ``strip``; what was stripped is in :attr:`UntrustedText.stripped`.
    max_length, min_length
        In code points, of the text as it comes and as it is kept; the longest is checked before anything else is done.
    suspected
        Kinds of suspicion that are refused as well, whatever the policy: ``suspected=("prompt token", "blank")``.

    Raises :class:`~handoffs.contracts.errors.ContractError` for values that say nothing of a text.
    """

    policy: Policy = "refuse"
    max_length: int | None = None
    min_length: int | None = None
    suspected: tuple[Kind, ...] = ()

    def __post_init__(self) -> None:
        kinds: object = self.suspected
        if not isinstance(kinds, tuple) or not set(kinds) <= set(get_args(Kind)):
            raise _declared_wrongly(
                "suspected", kinds, f"it is a tuple of some of {', '.join(map(repr, get_args(Kind)))}"
            )
        if self.policy not in get_args(Policy):
            raise _declared_wrongly(
                "policy", self.policy, f"it is one of {', '.join(map(repr, get_args(Policy)))}"
            )
        for word in ("max_length", "min_length"):
            length = getattr(self, word)
            if length is not None and (type(length) is not int or length < 0):
                raise _declared_wrongly(word, length, "it is a whole number from 0")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if source is not UntrustedText:
            raise TypeError("Hygiene belongs to UntrustedText: Annotated[UntrustedText, Hygiene(...)]")
        return _schema(self)


def _declared_wrongly(word: str, value: object, remedy: str) -> ContractError:
    return ContractError(f"Hygiene() has {word}={named(value)}", "no text could be checked by it", remedy)


def _schema(hygiene: Hygiene) -> CoreSchema:
    def taken(text: str) -> UntrustedText:
        try:
            kept = UntrustedText(text, hygiene.policy)
        except UnsafeText as error:
            raise PydanticCustomError("unsafe_text", "{cause}", {"cause": error.cause}) from None
        if not (hygiene.min_length or 0) <= len(kept) <= (hygiene.max_length or len(kept)):
            raise PydanticCustomError(
                "unsafe_text", "in NFC the text has {length} characters", {"length": len(kept)}
            )
        if hygiene.suspected:
            _refuse(kept, hygiene.suspected)
        return kept

    def marked(schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "x-untrusted": True}

    text = core_schema.str_schema(strict=True, max_length=hygiene.max_length, min_length=hygiene.min_length)
    return core_schema.no_info_after_validator_function(
        taken, text, metadata={"pydantic_js_functions": [marked]}
    )


def _refuse(text: UntrustedText, kinds: tuple[Kind, ...]) -> None:
    """Refuse a text of which something is of one of these kinds: kinds and places, at most five, never the characters."""
    found = [one for one in suspicions(text, kinds) if one.kind in kinds]
    if found:
        listed = ", ".join(f"a {one.kind} at {one.position}" for one in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise PydanticCustomError("unsafe_text", "the text holds {listed}", {"listed": listed + more})


def _make(text: str, stripped: tuple[Finding, ...] = (), count: int = 0) -> UntrustedText:
    made = str.__new__(UntrustedText, text)
    made._stripped = stripped
    made._stripped_count = count
    return made


def _derived(text: str) -> UntrustedText:
    return _make(text)
