"""Contract: a named, versioned, frozen message type. Readers are open, writers are closed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic._internal._model_construction import ModelMetaclass
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import CoreSchema, ErrorType

from handoffs.contracts import strictjson
from handoffs.contracts.annotations import hints_in, holds_secret, traits, undeclarable
from handoffs.contracts.backtracking import backtracking, texts_of
from handoffs.contracts.compatibility.engine import refusal
from handoffs.contracts.defaults import taken_as_they_are
from handoffs.contracts.effort import effort
from handoffs.contracts.errors import ContractError, CoordinationError, InvalidData, UnmarkedText
from handoffs.contracts.patternsize import MOST_STEPS, too_large
from handoffs.contracts.provenance import lost, misplaced
from handoffs.contracts.searchable import unsearchable
from handoffs.contracts.text import REVEAL, is_plain, named, printable, quoted
from handoffs.contracts.written import Purpose, Written

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*\Z")
_LONGEST_KEY = 200
_LONGEST_NAME = 120
_REPORTED_FAULTS = 5
_OWN_WORDS = frozenset({"unsafe_text", *get_args(ErrorType)}) - {
    "value_error",
    "assertion_error",
}
"""The faults that are told in words of Pydantic's and ours, not of whoever wrote a validator. They quote nothing."""
_MESSAGES = {"union_tag_invalid": "The tag is none of those expected"}  # pydantic's own shows the value


_C = TypeVar("_C", bound="Contract")


class ContractRef(NamedTuple):
    """One version of one contract, written ``name/version``: ``payments.fraud-scored/2``."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def uri(self) -> str:
        """The value of the envelope's ``dataschema``: ``urn:contract:payments.fraud-scored:2``."""
        return f"urn:contract:{self.name}:{self.version}"

    @classmethod
    @lru_cache(maxsize=1024)
    def from_uri(cls, uri: str) -> ContractRef:
        """Read a ``dataschema``. Raises :class:`InvalidData` for anything that :attr:`uri` does not write."""
        name, _, version = uri.removeprefix("urn:contract:").rpartition(":")
        if (
            not uri.startswith("urn:contract:")
            or not valid_name(name)
            or not re.fullmatch("[1-9][0-9]{0,8}", version)
        ):
            raise InvalidData(
                f"dataschema {quoted(uri, 120)} is not of the form urn:contract:<name>:<version>"
            )
        return cls(name, int(version))


def Key(**field: Any) -> Any:  # noqa: N802 - reads as a field type, like pydantic's Field
    """Declare a field as part of the idempotency key. Takes what :func:`pydantic.Field` takes."""
    extra = {**field.pop("json_schema_extra", {}), "x-key": True}
    return Field(json_schema_extra=extra, **field)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, Key))
class _ContractMeta(ModelMetaclass):
    """Closes writers, and tells type checkers that :func:`Key` declares a field without a default."""

    def __call__(cls, *args: Any, **values: Any) -> Any:
        fields: dict[str, Any] = cls.model_fields  # type: ignore[attr-defined]
        unknown = values.keys() - fields.keys() - {field.alias for field in fields.values()}
        if unknown:
            raise TypeError(f"{cls.__name__} has no field {', '.join(map(repr, sorted(unknown)))}")
        return _marked(super().__call__(*args, **values), values)


class Contract(BaseModel, metaclass=_ContractMeta):
    """The base of every message type.

    ::

        class OrderPlaced(Contract, name="shop.order-placed", version=1):
            order_id: str = Key()
            amount: ExactDecimal

    Values are strict (no ``"5"`` for an integer) and frozen. A reader ignores fields that it does not know; a writer
    cannot set one: an unknown keyword is a :class:`TypeError`. A subclass without ``name`` and ``version`` is a part of other
    contracts (a base class), and cannot travel by itself.

    Text from outside stays marked: an :class:`~handoffs.contracts.text.UntrustedText` in a field that is not declared as one is an
    :class:`UnmarkedText`.

    Raises :class:`ContractError` at declaration for a malformed name or version, for a sensitive key field, and for ``= Key`` without
    parentheses.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
        protected_namespaces=("model_",),
    )

    __contract__: ClassVar[ContractRef | None] = None
    __keys__: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(
        cls, name: str | None = None, version: int | None = None, **kwargs: Any
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.__contract__ = _declared(cls, name, version)
        cls.__keys__ = tuple(
            field for field, info in cls.model_fields.items() if _is_key(info.json_schema_extra)
        )
        for field, info in cls.model_fields.items():
            if info.default is Key or Key in info.metadata:
                raise ContractError(
                    f"field {field!r} of {cls.__name__} has Key itself, and not what it makes",
                    "it would be no part of the idempotency key",
                    f"write Key(): {field}: ... = Key()",
                )
        if cls.model_computed_fields:
            raise ContractError(
                f"{cls.__name__} computes {', '.join(map(repr, cls.model_computed_fields))}",
                "it would be sent and no reader would know it",
                "make it a field, or a plain property",
            )
        for key in cls.__keys__:
            if holds_secret(cls.model_fields[key].annotation):
                raise ContractError(
                    f"key field {key!r} of {cls.__name__} is sensitive",
                    "idempotency keys are shown in logs and in Redis",
                    "use another field as the key",
                )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        for pattern, _ in texts_of(schema):
            if why := refusal(pattern):
                raise ContractError(
                    f"{cls.__name__} has the pattern {quoted(pattern, 120)}, which Pydantic's engine does not take: {why}",
                    "nothing could be checked against it",
                    "write it without looking around or referring back, and with small counts, or use a validator",
                )
        return schema

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        super().__pydantic_on_complete__()
        if taken_as_they_are(cls.model_fields.values()):
            cls.model_rebuild(force=True)
        if what := undeclarable(cls):
            raise ContractError(
                f"{cls.__name__}: {what}",
                "it would be shown where it must not be",
                "declare the secret as a field of its own, with nothing but None beside it",
            )
        if what := unsearchable(cls):
            raise ContractError(
                f"{cls.__name__}: {what}",
                "no run could be found by it",
                "mark a field of its own: order: Annotated[str, Searchable]",
            )
        for pattern in backtracking(cls.__pydantic_core_schema__):
            raise ContractError(
                f"{cls.__name__} has the pattern {quoted(pattern, 120)} for Python's own engine",
                "a short text from outside could keep a worker busy with it for years",
                "give it as a text for Pydantic's usual engine, without looking around or referring back, or use a validator",
            )
        for pattern in too_large(cls.__pydantic_core_schema__):
            raise ContractError(
                f"{cls.__name__} has the pattern {quoted(pattern, 120)}, which is large when its counts are written out",
                f"a text of the longest that its field takes could take more than {MOST_STEPS:,} steps",
                "give the field a max_length, begin the pattern with ^, or write it smaller",
            )
        if any(re.Pattern in (hint, get_origin(hint)) for hint in hints_in(cls)):
            raise ContractError(
                f"{cls.__name__} has a field of type re.Pattern",
                "whoever sends it could keep a worker busy with it for years",
                "let it be a text, and choose from patterns of your own",
            )

    def __init_subclass__(cls, name: str | None = None, version: int | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)

    @classmethod
    def ref(cls) -> ContractRef:
        """The name and version under which this contract travels. Raises :class:`ContractError` for a base class."""
        if cls.__contract__ is None:
            raise ContractError(
                f"{cls.__name__} has no name and version",
                "it cannot be sent or received",
                f'declare it as class {cls.__name__}(Contract, name="...", version=1)',
            )
        return cls.__contract__

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As Pydantic's; raises :class:`UnmarkedText` too."""
        return _marked(super().model_validate(obj, **options), obj)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As Pydantic's, which validates nothing; raises :class:`UnmarkedText` though."""
        return _marked(super().model_copy(update=update, deep=deep))

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Validate the ``data`` of an envelope (parsed JSON).

        Raises :class:`InvalidData` that names each faulty field and shows none of the values, also for data that would take very
        long to validate (:mod:`handoffs.contracts.effort`).
        """
        text = strictjson.dumps(data)
        if (costs := effort(cls)) is not None:
            costs.check(data, f"a {_title(cls)}")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidData(f"data is not a valid {_title(cls)}: {faults(error, cls)}") from None
        except Exception as error:  # of a validator that the contract brings
            raise InvalidData(
                f"data is not a valid {_title(cls)}: {type(error).__name__} in a validator"
            ) from error

    def to_data(self) -> dict[str, Any]:
        """Write the ``data`` of an envelope: JSON values, sensitive ones included, the members of sets sorted.

        Raises :class:`InvalidData` for a number that is NaN or infinite, wherever it is, and for what cannot be written as JSON,
        and :class:`UnmarkedText` too.
        """
        data = _dumped(_marked(self), context=REVEAL)
        return _put_right(self, data, "reader") if traits(type(self)).ordered else data

    def redacted(self) -> dict[str, Any]:
        """The same with sensitive values masked, for people: history, dead letters, logs."""
        data = _dumped(self)
        return _put_right(self, data, "people") if traits(type(self)).ordered else self._shown(data)

    def to_comparable(self, *, sparing: bool = False) -> dict[str, Any]:
        """What it says, for comparing: as :meth:`to_data`, and equal values are equal JSON. The same instant in two zones, ``1.0``
        and ``1.00`` of a decimal, 0.0 and -0.0 have one spelling. ``sparing`` leaves out what a field was given by its
        ``default_factory``, which may be another thing each time. Raises the same as :meth:`to_data`.
        """
        data = _dumped(_marked(self), context=REVEAL)
        found = traits(type(self))
        if found.spelt or (sparing and found.made_up):
            return _put_right(self, data, "comparison", sparing)
        return data

    def _shown(self, data: dict[str, Any]) -> dict[str, Any]:
        """What people may see of ``data``, in which the fields that are declared as sensitive are masked."""
        return data

    def key(self) -> str | None:
        """The idempotency key that the key fields give, at most 200 characters; None where there are no key fields or none has a value.
        An empty text is a value: its key is a digest, as that of a long one."""
        if not self.__keys__:
            return None
        written = _dumped(self, include=set(self.__keys__))
        told = _put_right(self, written, "comparison") if traits(type(self)).spelt else written
        values = {
            name: told.get(info.serialization_alias or name)
            for name, info in type(self).model_fields.items()
            if name in self.__keys__
        }
        if all(value is None for value in values.values()):
            return None
        text = strictjson.told(*values.values()) if len(values) == 1 else strictjson.canonical(values)
        if 0 < len(text) <= _LONGEST_KEY and is_plain(text):
            return text
        return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_contract(value: object) -> bool:
    """Whether ``value`` is a class of contracts."""
    return isinstance(value, type) and issubclass(value, Contract)


def faults(
    error: ValidationError, model: type[BaseModel] | None = None, hide: Callable[[str], str] = str
) -> str:
    """Say in one line what is wrong where: field paths and messages, no values, at most five of them. What a validator of the
    ``model`` says of a field in which there is a secret is not shown: it may quote it. ``hide`` takes out of the text what else must
    not be in it, before the text is cut."""
    found = each_fault(error, model)
    shown = [f"{place or '(whole)'}: {text}" for place, text in found[:_REPORTED_FAULTS]]
    if len(found) > _REPORTED_FAULTS:
        shown.append(f"and {len(found) - _REPORTED_FAULTS} more")
    return printable(hide("; ".join(shown)))


def each_fault(error: ValidationError, model: type[BaseModel] | None = None) -> list[tuple[str, str]]:
    """What is wrong where: the path of each field, dotted, empty for the whole, and a message without values."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    secret = traits(model).secret if model is not None else frozenset[str]()
    return [(".".join(str(part) for part in fault["loc"]), _message(fault, secret)) for fault in found]


def _message(fault: ErrorDetails, secret: frozenset[str]) -> str:
    place = fault["loc"]
    if secret and fault["type"] not in _OWN_WORDS and (not place or place[0] in secret):
        return "a validator refuses it (what it says may quote a secret)"
    return _MESSAGES.get(fault["type"], fault["msg"])


def _marked(made: _C, given: Any = None) -> _C:
    """The model itself, where all the untrusted text in it, and in what it was made of, is in fields that say so."""
    try:
        place = lost(given, made) or misplaced(made)
    except RecursionError:
        raise InvalidData(f"a {_title(type(made))} is nested too deep", "no message can carry it") from None
    if place is not None:
        raise UnmarkedText(
            f"untrusted text is put into {printable('.'.join(map(str, place)), 200)} of {_title(type(made))}, "
            "which is not declared as UntrustedText",
            "no step after it would know where it came from",
            "declare the field as UntrustedText, or say that it was looked at: text.trusted()",
        )
    return made


def valid_name(name: object) -> bool:
    """Whether ``name`` can name a contract, an agent or a flow: lower case words joined by dots and dashes, up to 120
    characters.
    """
    return isinstance(name, str) and bool(_NAME.match(name)) and len(name) <= _LONGEST_NAME


def _declared(cls: type[Contract], name: str | None, version: int | None) -> ContractRef | None:
    if name is None and version is None:
        return None
    if not valid_name(name) or name is None:
        raise ContractError(
            f"{cls.__name__} has the contract name {named(name)}",
            remedy="a name is lower case words joined by dots and dashes, such as shop.order-placed",
        )
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version < 10**9:
        raise ContractError(
            f"{name} has the version {named(version)}", remedy="a version is a whole number from 1"
        )
    return ContractRef(name, version)


def _is_key(extra: Any) -> bool:
    return isinstance(extra, Mapping) and extra.get("x-key") is True


def _dumped(model: Contract, **options: Any) -> dict[str, Any]:
    """A model as JSON values. Raises :class:`InvalidData`."""
    try:
        return model.model_dump(mode="json", by_alias=True, **options)
    except CoordinationError:
        raise
    except (
        Exception
    ) as error:  # bytes that are no UTF-8, an object without a JSON form, a serializer of the contract's own
        raise InvalidData(
            f"a {_title(type(model))} cannot be written as JSON: {type(error).__name__}"
        ) from error


def _put_right(
    model: Contract, data: dict[str, Any], purpose: Purpose, sparing: bool = False
) -> dict[str, Any]:
    try:
        made: dict[str, Any] = Written(purpose, sparing=sparing).model(model, data)
    except RecursionError:
        raise InvalidData(f"a {_title(type(model))} is nested too deep", "it cannot be written") from None
    return made


def _title(cls: type[Contract]) -> str:
    return str(cls.__contract__ or cls.__name__)
