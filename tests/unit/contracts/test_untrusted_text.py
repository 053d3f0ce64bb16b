"""Text from outside: what hides from a reader is refused or stripped, honest text passes, and the mark stays."""

# ruff: noqa: RUF001, UP031 - lookalikes are what it is about, and so is %

import copy
import json
import pickle
import time
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, Field, ValidationError

from handoffs import Contract, Hygiene, Sensitive, UntrustedText
from handoffs.contracts.errors import ContractError, InvalidData, UnmarkedText, UnsafeText
from handoffs.contracts.text import characters as chars
from handoffs.contracts.text import clean, findings, suspicions
from handoffs.contracts.text.hygiene import MOST_MARKS
from tests.unit.contracts.writing import EMOJI, SENTENCES

HOSTILE = {
    "control": ["\0", "\x07", "\x1b[31m", "\r", "\r\n", "\x7f", "\x85", "\x9b", "\x0b"],
    "bidi": ["\u202a", "\u202e", "\u202c", "\u2066", "\u2069", "\u206a"],
    "tag": [
        "\U000e0041",
        "\U000e0001",
        "\U000e007f",
        "\U0001f3f4\U000e0068\U000e0069\U000e007f",
        "😀\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
    "variation selector": [
        "a\ufe0f", "😀\ufe0f\ufe0f", "😀\U000e0100", "漢\ufe0f", "漢\U000e0100\U000e0101", "\ufe00", "a\u180b", "漢\ufe03",
        "漢\U000e0151", "漢\U000e0120", "漢\U000e01ef", "漢\U000e0100" * 3, "漢\ufe00字\ufe01漢\U000e0102", "1\ufe0f2\ufe0e3\ufe0f",
        "漢\U000e0100字" * 9,
    ],
    "invisible": [
        "a\u200bb",
        "a\u200cb",
        "a\u200db",
        "a\u2060b",
        "\ufeffa",
        "so\u00adft",
        "\u200e",
        "abc\u200f",
        "\u034f",
        "\u3164",
        "\uffa0",
        "\u115f",
        "a\u180eb",
        "a\u2028b",
        "\u2062",
        "😀\u200d",
        "\u200d😀",
        "ب\u200c\u200cب",
        "ก\u200b\u200bก",
        "\ufff9",
        "\U0001d173",
        "\u17b4",
        "\u2065",
    ],
    "unassigned": ["\u0378", "\u05ff", "\U0003fffd"],
    "noncharacter": ["\ufdd0", "\uffff", "\U0010ffff", "\U0001fffe"],
    "private use": ["\ue000", "\uf8ff", "\U000f0000"],
    "surrogate": ["\ud800", "a\udfff"],
    "too many marks": ["a" + "\u0301" * (MOST_MARKS + 1)],
}  # fmt: skip
CASES = [(reason, text) for reason, texts in HOSTILE.items() for text in texts]

anything = st.text(st.characters(codec=None), max_size=60)
pieces = st.lists(st.sampled_from([*(text for _, text in CASES), *EMOJI, *SENTENCES.values(), "\u200d", "\u200c", "\ufe0f", "\u034f", "\u0301" * 9, "ب", "क", "्", "a", " "]), max_size=12).map("".join)  # fmt: skip
safe = st.sampled_from([*SENTENCES.values(), *EMOJI]) | st.text(
    st.characters(categories=["L", "N", "P", "Zs"]), max_size=30
)


class Note(Contract, name="notes.note", version=1):
    body: UntrustedText
    title: str = ""


class Strict(Contract, name="notes.short", version=1):
    body: Annotated[UntrustedText, Hygiene(max_length=10, min_length=1)]


class Lax(Contract, name="notes.lax", version=1):
    body: Annotated[UntrustedText, Hygiene("strip", max_length=4000)]


class Deep(Contract, name="notes.deep", version=1):
    note: Note | None = None
    notes: list[Note] = Field(default_factory=list)
    lines: list[UntrustedText] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list)
    by_name: dict[str, UntrustedText] = Field(default_factory=dict)
    either: UntrustedText | int | None = None
    anything: Any = None
    pin: Sensitive | None = None
    aliased: str = Field(default="", alias="old name")
    chosen: str = Field(default="", validation_alias=AliasChoices("newer name", "older name"))


# What is refused, and what is not


@pytest.mark.parametrize(("reason", "text"), CASES, ids=lambda value: ascii(value)[:40])
def test_what_hides_is_refused(reason: str, text: str) -> None:
    """Each kind of hidden or meaningless character is refused by its code point and place, and never echoed."""
    with pytest.raises(UnsafeText) as refused:
        UntrustedText(text)
    assert f"({reason}) at " in str(refused.value)
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(("reason", "text"), CASES, ids=lambda value: ascii(value)[:40])
def test_what_hides_is_stripped_and_recorded(reason: str, text: str) -> None:
    """Where the policy is to strip, the rest is kept and the value says what was taken out."""
    kept = UntrustedText(f"before {text} after", "strip")
    assert kept.startswith("before ")
    assert kept.endswith(" after")
    assert findings(kept) == []
    assert reason in {finding.reason for finding in kept.stripped}
    assert kept.stripped_count == len(kept.stripped)


@pytest.mark.parametrize("language", SENTENCES)
def test_every_script_passes(language: str) -> None:
    """A sentence of each language passes unchanged, with the joiners and marks that its script needs."""
    text = unicodedata.normalize("NFC", SENTENCES[language])
    kept = UntrustedText(text)
    assert kept == text
    assert kept.stripped == ()


@pytest.mark.parametrize("emoji", EMOJI, ids=ascii)
def test_every_emoji_passes(emoji: str) -> None:
    """Flags, families, skin tones, keycaps and text styles pass unchanged, alone and in a sentence."""
    assert UntrustedText(emoji) == emoji
    assert UntrustedText(f"so {emoji}, and{emoji}{emoji}!") == f"so {emoji}, and{emoji}{emoji}!"


@given(st.lists(safe, max_size=6).map(" ".join))
def test_visible_text_passes(text: str) -> None:
    """Any letters, digits, punctuation and spaces of any script pass, in NFC."""
    assert UntrustedText(text) == unicodedata.normalize("NFC", text)


def test_every_character_that_is_seen_passes() -> None:
    """Each letter, mark, digit, sign and space that is seen passes by itself, whatever release of Python runs."""
    shown = (chr(number) for number in range(0x20000) if unicodedata.category(chr(number))[0] in "LNPSM")
    assert [hex(ord(sign)) for sign in shown if sign not in chars.IGNORABLE and findings(sign)] == []


def test_characters_of_later_releases_pass() -> None:
    """What Unicode has assigned up to 18.0 passes, though the Python that runs may not know it yet."""
    for sign in (
        "\U0001fae8",
        "\U0001fadc",
        "\U0001faea",
        "\U00011f04",
        "\U00016d43",
        "\U00031350",
        "\U00010d4a",
    ):
        assert sign in chars.ADDED
        assert UntrustedText(sign) == sign


@given(anything | pieces)
def test_refuse_and_strip_agree(text: str) -> None:
    """What is refused is what would be stripped; what is kept is clean, in NFC, and stays as it is when judged again."""
    found = findings(text)
    kept, stripped = clean(text, "strip")
    assert findings(kept) == []
    assert unicodedata.is_normalized("NFC", kept)
    assert clean(kept) == (kept, [])
    assert set(found) <= set(stripped)
    if not stripped:
        assert clean(text) == (kept, [])
        assert kept == unicodedata.normalize("NFC", text)
    else:
        with pytest.raises(UnsafeText):
            clean(text)


@given(pieces)
def test_nothing_invisible_is_left(text: str) -> None:
    """In what is kept no two invisible characters stand side by side, a flag's tags excepted."""
    kept, _ = clean(text, "strip")
    for flag in ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏴󠁧󠁢󠁷󠁬󠁳󠁿"):
        kept = kept.replace(flag, " ")
    hidden = [sign in chars.IGNORABLE for sign in kept]
    pairs = list(zip(hidden, hidden[1:], kept, strict=False))
    assert not [sign for first, second, sign in pairs if first and second and sign != "\ufe0f"]


@given(
    st.binary(min_size=3, max_size=60), st.sampled_from(["漢", "葛辻", "邉 ", "字\n", "漢、", "1", "가漢"])
)
def test_selectors_carry_no_octets(said: bytes, base: str) -> None:
    """Octets written as selectors, one after each ideograph or digit, or two halves of one, are refused."""
    whole = [chr(0xFE00 + octet if octet < 16 else 0xE00F0 + octet) for octet in said]
    halves = [chr(0xE0100 + half) for octet in said for half in divmod(octet, 16)]
    for selectors in (whole, halves):
        text = "".join(base[place % len(base)] + sign for place, sign in enumerate(selectors))
        assert findings(text)
        assert len(set(clean(text, "strip")[0]) & set(selectors)) <= 8


@pytest.mark.parametrize(
    "text",
    [
        "葛\U000e0100城市と葛\U000e0101飾区",
        "渡邉\U000e0102さん、渡邊\U000e0103さん",
        "邉\U000e0102邊\U000e0103",
        "辻\U000e0100、" * 8,
        "渡邉\U000e0110\n" * 200,
        "芦\ufe00",
        "漢字\U000e0100" + "仮名" * 20 + "辻\U000e0100",
        "1\ufe0f\u20e3" * 12,
        "♠\ufe0e♥\ufe0e♦\ufe0e♣\ufe0e",
        "❤\ufe0f" * 40,
        "ᠬᠠᠭᠠᠨ\u180b ᠬ\u180c",
        "\u1000\ufe00\u1002\ufe00\u1075\ufe00\u1010\ufe00",
        "1\ufe0f",
    ],
)
def test_single_selectors_pass(text: str) -> None:
    """Variants of ideographs in names, in lists of them too, keycaps, emoji, Mongolian and Khamti are what they are."""
    text = unicodedata.normalize("NFC", text)
    assert clean(text, "strip") == (text, [])


def test_many_findings_make_a_short_error() -> None:
    """An error names five characters and counts the rest; a value records fifty and counts them all."""
    with pytest.raises(UnsafeText, match="and 995 more") as refused:
        UntrustedText("\u202e" * 1000)
    assert len(str(refused.value)) < 400
    kept = UntrustedText("\u202e" * 1000, "strip")
    assert (len(kept.stripped), kept.stripped_count) == (50, 1000)
    assert str(kept.stripped[1]) == "U+202E (bidi) at 1"


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u0315\u0300" * 100_000,
        "a" + "\u0315\u200b\u0300" * 70_000,
        "ب\u200d" * 100_000,
        "\u200f" * 200_000,
        "\u200fa" * 100_000,
        "ا\u200f" * 100_000,
        "😀\ufe0f\u200d" * 50_000,
        "🏴\U000e0067" * 100_000,
        "漢\U000e0100" * 100_000,
        "漢\U000e0100字字字" * 40_000,
        "1\ufe0e❤\ufe0f❤\ufe0f" * 40_000,
    ],
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    """Marks without end, which normalisation sorts in quadratic time, and joiners without end are dealt with in a moment."""
    begin = time.process_time()
    clean(text, "strip")
    assert time.process_time() - begin < 3


def test_it_is_made_of_text() -> None:
    """What is no text is no untrusted text."""
    with pytest.raises(TypeError, match="bytes"):
        UntrustedText(b"x")  # type: ignore[arg-type]


def test_what_was_stripped_is_remembered() -> None:
    """Making it again of itself keeps the record; its parts have none."""
    kept = UntrustedText("a\u200bb", "strip")
    assert UntrustedText(kept) is kept
    assert kept[:1].stripped == ()


# Provenance


def test_derived_text_stays_marked() -> None:
    """What its methods and operators make of it is untrusted, and equals what they make of plain text."""
    plain = "  One two\tthree\nTwo  "
    text = UntrustedText(plain)
    makers: list[Any] = [
        lambda s: s + "x", lambda s: "x" + s, lambda s: s * 2, lambda s: 2 * s, lambda s: "%s!" % s, lambda s: s % (),
        lambda s: s[0], lambda s: s[1:3], lambda s: s.capitalize(), lambda s: s.casefold(), lambda s: s.center(99),
        lambda s: s.expandtabs(4), lambda s: s.format(), lambda s: s.format_map({}), lambda s: s.join("ab"),
        lambda s: s.ljust(99), lambda s: s.lower(), lambda s: s.lstrip(), lambda s: s.removeprefix("  "),
        lambda s: s.removesuffix("  "), lambda s: s.replace("T", "x"), lambda s: s.rjust(99), lambda s: s.rstrip(),
        lambda s: s.strip(), lambda s: s.swapcase(), lambda s: s.title(), lambda s: s.translate({84: "x"}),
        lambda s: s.upper(), lambda s: s.zfill(99), lambda s: f"{s:>99}", lambda s: f"{s}", str,
        lambda s: next(iter(s)), copy.copy, copy.deepcopy,
    ]  # fmt: skip
    for make in makers:
        assert make(text) == make(plain)
        assert isinstance(make(text), UntrustedText)
    for split in (
        lambda s: s.split(), lambda s: s.rsplit("T", 1), lambda s: s.splitlines(), lambda s: s.partition("T"),
        lambda s: s.rpartition("T"), list,
    ):  # fmt: skip
        assert split(text) == split(plain)
        assert all(isinstance(part, UntrustedText) for part in split(text))


def test_where_python_drops_the_mark_there_is_another_way() -> None:
    """Joining and formatting with plain text drop the mark; ``joined`` and ``formatted`` keep it, ``trusted`` drops it."""
    text = UntrustedText("x")
    assert type(f"a{text}") is str
    assert type(",".join([text, text])) is str
    assert type("<{}>".format(text)) is str  # noqa: UP032
    assert type(UntrustedText.joined(",", [text, "a"])) is UntrustedText
    assert type(UntrustedText.formatted("<{}{b}>", text, b="c")) is UntrustedText
    assert UntrustedText.formatted("<{}{b}>", text, b="c") == "<xc>"
    assert type(text.trusted()) is str
    with pytest.raises(TypeError):
        text + 1


@given(st.sampled_from(sorted(SENTENCES.values())))
def test_it_is_the_same_text(sentence: str) -> None:
    """It equals, hashes, and is written as JSON like the plain text; pickled, it comes back marked, with its record."""
    text = UntrustedText(sentence)
    plain = text.trusted()
    assert (text == plain, hash(text), {plain: 1}[text], json.dumps(text)) == (
        True,
        hash(plain),
        1,
        json.dumps(plain),
    )
    marked = UntrustedText("\u200b" + plain, "strip")
    again = pickle.loads(pickle.dumps(marked))
    assert (type(again), again, again.stripped) == (UntrustedText, marked, marked.stripped)
    assert repr(text) == f"UntrustedText({plain!r})"


# As a field


@pytest.mark.parametrize(
    ("reason", "text"),
    [case for case in CASES if case[0] != "surrogate"],
    ids=lambda value: ascii(value)[:40],
)
def test_a_field_refuses_what_hides(reason: str, text: str) -> None:
    """A contract refuses hostile text in its data with an error that says what and where, in plain ASCII."""
    with pytest.raises(InvalidData) as refused:
        Note.from_data({"body": text})
    assert f"({reason}) at " in str(refused.value)
    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 500
    assert "U+" in str(refused.value)


def test_a_field_strips_where_it_says_so() -> None:
    """A field with the policy to strip keeps the rest, and its value carries what was stripped."""
    note = Lax.from_data({"body": "pay\u202e 5"})
    assert note.body == "pay 5"
    assert [str(finding) for finding in note.body.stripped] == ["U+202E (bidi) at 3"]


def test_a_field_has_limits() -> None:
    """Length is limited before and after normalisation, and the schema says so."""
    assert Strict.from_data({"body": "x" * 10}).body == "x" * 10
    for text in ("", "x" * 11, "\u0958" * 10):  # the last is twice as long in NFC
        with pytest.raises(InvalidData):
            Strict.from_data({"body": text})
    schema = Strict.model_json_schema()["properties"]["body"]
    assert schema == {"title": "Body", "type": "string", "maxLength": 10, "minLength": 1, "x-untrusted": True}
    assert Strict.model_json_schema(mode="serialization")["properties"]["body"] == schema


def test_a_field_is_strict() -> None:
    """A number or null is no text, and Hygiene belongs to untrusted text only."""
    for value in (1, None, ["x"]):
        with pytest.raises(InvalidData):
            Note.from_data({"body": value})
    with pytest.raises(TypeError, match="belongs to UntrustedText"):

        class Wrong(Contract):
            body: Annotated[str, Hygiene()]


@given(safe)
def test_a_field_travels(text: str) -> None:
    """Through JSON and back it is the same text, marked; what is written is plain."""
    note = Note.from_data({"body": text, "title": "t"})
    data = note.to_data()
    assert type(data["body"]) is str
    again = Note.from_data(data)
    assert again == note
    assert type(again.body) is UntrustedText
    assert Note(body=note.body, title="t") == note
    assert pickle.loads(pickle.dumps(note)) == note
    assert type(note.model_copy(deep=True).body) is UntrustedText


TEXT = UntrustedText("from outside")


@pytest.mark.parametrize(
    "values",
    [
        {"names": ["a", TEXT]},
        {"names": ["a", TEXT + "!"]},
        {"note": {"body": TEXT, "title": TEXT}},
        {"notes": [{"body": "x"}, {"body": "x", "title": TEXT}]},
        {"by_name": {TEXT: TEXT}},
        {"anything": TEXT},
        {"pin": TEXT},
        {"old name": TEXT},
        {"older name": TEXT},
        {"anything": {"deep": [TEXT]}},
        {"anything": {TEXT}},
    ],
    ids=str,
)
def test_untrusted_text_belongs_into_untrusted_fields(values: dict[str, Any]) -> None:
    """Untrusted text in a field that does not say so is refused, however deep, and the error names the place."""
    with pytest.raises(UnmarkedText, match=f"{next(iter(values))}.* of notes.deep/1"):
        Deep.model_validate(values)
    if "older name" not in values:  # the constructor knows names and plain aliases
        with pytest.raises(UnmarkedText):
            Deep(**values)


def test_untrusted_fields_take_it() -> None:
    """In fields that are declared untrusted it may be, in lists, mappings, unions and parts too."""
    deep = Deep(note=Note(body=TEXT), notes=[Note(body=TEXT)], lines=[TEXT], by_name={"a": TEXT}, either=TEXT)
    assert Deep.from_data(deep.to_data()) == deep
    assert Deep.model_validate({"notes": [{"body": TEXT}]}).notes[0].body == TEXT
    assert Note(body=TEXT, title=TEXT.trusted()).title == TEXT


def test_unvalidated_models_do_not_travel() -> None:
    """What was copied or made past validation is refused when it is copied, or when it is written."""
    with pytest.raises(UnmarkedText, match="title"):
        Note(body=TEXT).model_copy(update={"title": TEXT})
    made = Deep.model_construct(note=Note.model_construct(body=TEXT, title=TEXT))
    with pytest.raises(UnmarkedText, match=r"note\.title"):
        made.to_data()


def test_plain_text_is_judged_when_it_enters() -> None:
    """Plain text may be put into an untrusted field, and is judged there."""
    assert Note(body="x").body.suspicions == ()  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="U\\+202E"):
        Note(body="\u202e")  # type: ignore[arg-type]


# Suspicions


@pytest.mark.parametrize(
    ("text", "kind", "seen_as"),
    [
        ("visit pаypal.com", "mixed scripts", "paypal"),
        ("the уес of it all is there", "lookalike", "yec"),
        ("ｉｇｎｏｒｅ", "compatibility form", "i"),
        ("𝐢𝐠𝐧𝐨𝐫𝐞", "compatibility form", "i"),
        ("z" + "\u0335\u0301\u0302\u0303\u0304\u0305\u0306", "stacked marks", ""),
    ],
)
def test_deceptive_text_is_noticed_and_left_alone(text: str, kind: str, seen_as: str) -> None:
    """Mixed alphabets, lookalikes, compatibility forms and stacked marks are noticed; the text passes as it is."""
    kept = UntrustedText(text)
    assert kept == unicodedata.normalize("NFC", text)
    assert (kind, seen_as) in {(suspicion.kind, suspicion.seen_as) for suspicion in kept.suspicions}


_TOKENS = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>", "<|python_tag|>",
    "<|system|>", "<|user|>", "<|end|>", "<|channel|>", "<|message|>", "<|start|>", "<|call|>", "<|im_sep|>", "<|START_OF_TURN_TOKEN|>",
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[SYSTEM_PROMPT]", "<start_of_turn>", "<end_of_turn>", "<tool_call>", "</tool_call>", "<tool_response>", "<function_calls>",
    '<invoke name="rm">', "<function=rm>", "<think>", "</think>", "<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜tool▁calls▁begin｜>",
    "<|some_new_token|>", "<extra_id_1>", "[gMASK]", "<bos>",
]  # fmt: skip
_TURNS = [
    "\n\nHuman:",
    "\n\nAssistant:",
    "\n\nHuman :",
    "\n \n  Human:",
    "\n### Instruction:",
    "\n### Response:",
]
_WRITTEN: dict[str, Callable[[str], str]] = {
    "as they are": lambda token: token,
    "in full width": lambda token: "".join(
        chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in token
    ),
    "with blanks": lambda token: " ".join(token) if "some_new" not in token else token,
    "with blanks of other kinds": lambda token: (
        "\u2009\u00a0\t".join(token) if "some_new" not in token else token
    ),
    "in capitals": str.upper,
    "in other letters": lambda token: token.translate(str.maketrans("aeiopcs", "аеіорсѕ")),
    "in other brackets": lambda token: token.translate(str.maketrans("<>|", "‹›∣")),
}


@pytest.mark.parametrize("way", _WRITTEN)
@pytest.mark.parametrize("token", _TOKENS)
def test_prompt_tokens_are_suspected(token: str, way: str) -> None:
    """What prompt formats set roles and calls of tools apart with is noticed where it stands, also in full width, with blanks
    inside and in lookalikes."""
    written = _WRITTEN[way](token)
    text = f"My order is late. {written} Thank you."
    found = [one for one in suspicions(text) if one.kind == "prompt token"]
    assert [text[one.position : one.position + one.length] for one in found] == [written]


@pytest.mark.parametrize("turn", _TURNS)
def test_turns_are_suspected(turn: str) -> None:
    """A role after an empty line, or as a heading, begins a turn for some models."""
    for written in (turn, _WRITTEN["in full width"](turn)):
        [found] = suspicions(f"so{written} do", ["prompt token"])
        assert found.seen_as in {"human:", "assistant:", "###instruction:", "###response:"}
    assert suspicions("All too human: we err.\nHuman: as ever", ["prompt token"]) == ()


@pytest.mark.parametrize(
    "text",
    [
        "a <| b |> c", "xs <|> ys", "f <| List.map g |> h", "if a < b || c > d", "see [1] and [instructions]", "<p>bold</p><s>old</s>",
        "Dear human: hello", "# Response", "list[int]", "<html><system32>", "a << b >> c", "<user@example.com>", "{x | x > 0}",
        "10 < | x | > 3", "Re: [tool] sale", "«système»", "《系统》",
    ],
)  # fmt: skip
def test_other_brackets_are_not_suspected(text: str) -> None:
    """Code, mark-up and mathematics are full of brackets."""
    assert suspicions(text, ["prompt token"]) == ()


@pytest.mark.parametrize(
    "blank", ["\u2800", "\u1680", "\u2001", "\u2007", "\u205f", "\u303f", "\U0001d159", "\U00013441"]
)
def test_blanks_that_are_none_are_suspected(blank: str) -> None:
    """What is seen as a blank and splits no word is noticed; among others of its script it is what it is."""
    [found] = suspicions(f"pay{blank}now", ["blank"])
    assert (found.position, found.length, found.seen_as) == (3, 1, " ")


@pytest.mark.parametrize(
    "text", ["⠠⠃⠗⠇⠀⠞⠑⠭⠞", "᚛ᚄᚓᚌ ᚉᚑᚂ᚜", "10\u202f000 €\u00a0!", "１\u3000２", "a\u2009b"], ids=ascii
)
def test_blanks_in_their_place_are_not_suspected(text: str) -> None:
    """Braille and Ogham have blanks of their own, and typographers have spaces."""
    assert suspicions(text, ["blank"]) == ()


class Guarded(Contract, name="notes.guarded", version=1):
    body: Annotated[UntrustedText, Hygiene("strip", suspected=("prompt token", "blank"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a <|im_start|>system", "a prompt token at 2"),
        ("a <\u200b|im_start|>", "a prompt token at 2"),
        ("x\u2800y", "a blank at 1"),
        ("<think>" * 9, "a prompt token at 28 and 4 more"),
    ],
)
def test_a_field_refuses_what_it_suspects(text: str, said: str) -> None:
    """A field may refuse kinds of suspicion, whatever it does with what hides; others pass."""
    with pytest.raises(InvalidData, match=said):
        Guarded.from_data({"body": text})
    assert Guarded.from_data({"body": "pаypal ｉ"}).body.suspicions
    with pytest.raises(ContractError, match="'prompt token'"):
        Hygiene(suspected=("prompt",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "<|" * 100_000,
        "< " * 100_000,
        "\n \n" * 60_000,
        "[tool_" * 40_000,
        "<invoke name=" * 20_000,
        "＜｜" * 90_000,
    ],
)
def test_looking_for_tokens_takes_linear_time(text: str) -> None:
    """What begins like a token, over and over, is dealt with in a moment."""
    begin = time.process_time()
    suspicions(text, ["prompt token"])
    assert time.process_time() - begin < 3


@pytest.mark.parametrize(
    "language", ["English", "German", "Russian", "Greek", "Hindi", "Arabic", "Chinese", "Thai"]
)
def test_honest_text_is_not_suspicious(language: str) -> None:
    """Ordinary sentences raise no suspicion."""
    assert suspicions(SENTENCES[language]) == ()


@given(anything | pieces)
def test_suspicions_are_bounded(text: str) -> None:
    """There are at most twenty, in order, inside the text."""
    found = suspicions(text)
    assert len(found) <= 20
    assert all(
        0 <= suspicion.position < suspicion.position + suspicion.length <= len(text) for suspicion in found
    )
    assert [suspicion.position for suspicion in found] == sorted(suspicion.position for suspicion in found)
