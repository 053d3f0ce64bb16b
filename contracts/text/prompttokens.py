"""Prompt tokens: what the known prompt formats set roles, turns and calls of tools apart with. In text from outside it may pass for
their own. Found also in full width, in other letters, and with blanks inside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from handoffs.contracts.text.characters import IGNORABLE

_WORDS = (
    "im_start", "im_end", "im_sep", "im_middle", "im_system", "im_user", "im_assistant",  # ChatML, Phi-4, Kimi
    "endoftext", "startoftext", "end_of_text", "begin_of_text", "endofprompt", "fim_[a-z]+",
    "start_header_id", "end_header_id", "eot_id", "eom_id", "eot", "header_start", "header_end", "python_tag",  # Llama 3 and 4
    "reserved_special_token_[0-9]+", "system", "user", "assistant", "developer", "tool", "observation", "end", "bos", "eos", "pad",
    "start", "message", "channel", "constrain", "return", "call", "refusal",  # Harmony
    "(?:begin|end)_of_(?:sentence|turn|role|thinking|text)", "start_of_(?:turn|role)", "(?:start|end)_of_turn_token",
    "(?:user|system|chatbot)_token", "tool_?(?:call|output|response|result|sep|list)s?(?:_(?:section_|argument_)?(?:begin|end))?",
    "action_start", "action_end", "plugin", "interpreter", "box_start", "box_end",
)  # fmt: skip
_TAGS = (
    "tool_?(?:call|use|response|result|output)s?", "available_tools", "tools", "function_?(?:call|result|response)s?",
    "function=[a-z0-9_.]{1,60}", "invoke(?:name=[^<>]{0,80})?", "parametername=[^<>]{0,80}", "antml:[a-z_]{1,30}(?:name=[^<>]{0,80})?",
    "think", "thinking", "scratchpad", "system", "system[_-](?:prompt|reminder|message|instructions?)", "assistant", "human", "bos",
    "eos", "bos_token", "eos_token", "sop", "eop", "(?:start|begin|end)_of_(?:turn|image|utterance|text|audio)", "extra_id_[0-9]{1,3}",
    "special_[0-9]{1,4}", "unused[0-9]{1,4}",
)  # fmt: skip
_BRACKETED = (
    "/?inst", "/?available_tools", "/?tool_(?:calls|results|content)", "/?system_prompt", "call_id", "/?think", "gmask",
    "unused_token_[0-9]{1,4}",
)  # fmt: skip
_SQUEEZED = re.compile(
    rf"<\|/?(?:{'|'.join(_WORDS)})\|>|<</?sys>>|</?(?:{'|'.join(_TAGS)})/?>|\[(?:{'|'.join(_BRACKETED)})\]"
)
"""Tokens, in a text without blanks."""

_WHOLE = re.compile(r"<\|/?[a-z][a-z0-9_:-]{1,40}\|>")
"""What is written like one, and no word that is known: with blanks inside it would be an operator of F# or Elixir."""

_TURN = re.compile(
    r"(?:\A|\n[^\S\n]{0,80}\n)[^\S\n]{0,80}(?P<role>(?:human|assistant)[^\S\n]{0,8}:)"
    r"|^[^\S\n]{0,8}(?P<heading>#{2,4}[^\S\n]{0,8}(?:instructions?|response|input|system(?: prompt)?|human|user|assistant)[^\S\n]{0,8}:)",
    re.MULTILINE,
)
"""Turns: a role after an empty line, or as a heading."""

_HINTS = re.compile("[<\\[:]")


class Token(NamedTuple):
    """A token in a text: where it is, how long it is, and how the format writes it (in small letters)."""

    position: int
    length: int
    written: str


def prompt_tokens(text: str) -> Iterator[Token]:
    """The tokens in a text, those of one kind in order. Takes time as the text is long."""
    if text.isascii() and not _HINTS.search(text):
        return
    folded, places = _folded(text)
    kept = [place for place, sign in enumerate(folded) if not sign.isspace()]
    squeezed = "".join([folded[place] for place in kept])
    for found in _SQUEEZED.finditer(squeezed):
        begin, end = places[kept[found.start()]], places[kept[found.end() - 1]]
        yield Token(begin, end + 1 - begin, found.group())
    for found in _WHOLE.finditer(folded):
        if not _SQUEEZED.fullmatch(found.group()):
            begin, end = places[found.start()], places[found.end() - 1]
            yield Token(begin, end + 1 - begin, found.group())
    for found in _TURN.finditer(folded):
        kind = "role" if found["role"] else "heading"
        begin, end = places[found.start(kind)], places[found.end(kind) - 1]
        yield Token(begin, end + 1 - begin, "".join(found[kind].split()))


def _folded(text: str) -> tuple[str, list[int]]:
    """The text with one form for what looks alike, without what is not seen, and where each of its characters was."""
    if text.isascii():
        return text.lower(), list(range(len(text)))
    signs: list[str] = []
    places: list[int] = []
    for place, sign in enumerate(text):
        for one in _form(sign):
            signs.append(one)
            places.append(place)
    return "".join(signs), places


@lru_cache(maxsize=4096)
def _form(sign: str) -> str:
    if sign in IGNORABLE:
        return ""
    found = _ALIKE.get(sign) or unicodedata.normalize("NFKC", sign).lower()
    return "".join(_ALIKE.get(one, one) for one in found)


_ALIKE = {
    "\u2581": "_",  # as DeepSeek and SentencePiece write a blank
    "\u01c0": "|", "\u2223": "|", "\u2758": "|", "\u23d0": "|", "\u2502": "|", "\u00a6": "|",
    "\u2039": "<", "\u203a": ">", "\u27e8": "<", "\u27e9": ">", "\u3008": "<", "\u3009": ">", "\u2329": "<", "\u232a": ">",
    "\u276e": "<", "\u276f": ">", "\u00ab": "<<", "\u00bb": ">>", "\u226a": "<<", "\u226b": ">>", "\u300a": "<<", "\u300b": ">>",
    "\u2215": "/", "\u2044": "/", "\u2236": ":", "\ua789": ":", "\u3010": "[", "\u3011": "]",
    "\u0430": "a", "\u0435": "e", "\u0456": "i", "\u0458": "j", "\u043e": "o", "\u0440": "p", "\u0441": "c", "\u0443": "y",
    "\u0455": "s", "\u0445": "x", "\u04bb": "h", "\u0501": "d", "\u051b": "q", "\u051d": "w", "\u04cf": "l", "\u03bf": "o",
    "\u03b1": "a", "\u03b9": "i", "\u03bd": "v", "\u03c1": "p", "\u0131": "i",
}  # fmt: skip
"""What looks like the signs and letters of tokens, and is not made one of them by NFKC."""
