"""What a subscriber's reply asks for: no more texts (TD, 退订, STOP ...), texts again (START ...), or neither.

    OptOutWords(...).read("退订 谢谢")              Wish(out, all services)
    OptOutWords(..., services=["12593"]).read("TD 12593")     Wish(out, "12593")

A reply is compared without case, width, blanks at its ends, punctuation, quotes, NUL, BOM and other invisible
characters. Three kinds of words differ in what may stand around them:

    one letter, or only digits (T, 0000)   nothing: they count as the whole reply
    Latin words (TD, STOP)                 a courtesy before, anything after: "please stop", "STOP ALL", "TD12593"
    Chinese words (退订)                   more: a token that begins with the word counts anywhere ("再发投诉 退订我")

A question ("退订吗") and a negation ("不退订", "do not stop") ask for nothing. Words may follow each other ("TD退订").
An opt-in counts as the whole reply only, as consent must not be guessed.

What a wish does is not here: the caller puts the subscriber on `rules.catalogue.OPT_OUT_LIST`, or takes one off it.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from engine.settings.reply_words import OPT_IN_WORDS, OPT_OUT_WORDS

_READ_MAX = 1_000
"""Characters of a reply that are read."""
_ENGLISH_COURTESIES = {"PLEASE", "PLS", "PLZ", "KINDLY", "HI", "HELLO", "THANKS", "THANK", "YOU", "SMS"}
_COURTESY_PREFIX = re.compile(
    "(?:请|請|麻烦|麻煩|帮我|幫我|给我|給我|我要求|我要|我想要|我想|要求|申请|申請|立即|马上|馬上)+"
)
_QUESTION = re.compile(
    r"[吗嗎呢]|什么|什麼|怎么|怎麼|怎样|怎樣|如何|为何|為何|多少|是否|能不能|可以不|方法|\bHOW\b|\bWHAT\b|\bWHY\b"
)
_NEGATIONS = {"不", "别", "別", "勿", "不要", "不想", "不用", "没有", "沒有", "如何", "怎么", "怎麼"}
_NEGATIONS |= {"NOT", "NO", "NEVER", "DON'T", "DONT"}
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'"})


class Wish(NamedTuple):
    """What a reply asks for: `out` no more texts, else texts again; `service` empty for all of them."""

    out: bool
    service: str = ""


class OptOutWords:
    """Reads replies.

    Args:
        out: the words of an opt-out; in the words of the settings, whatever their case and width.
        in_: the words of an opt-in.
        services: names of services that a reply may add to a word to leave only that service.
    """

    def __init__(
        self, out: Iterable[str] = OPT_OUT_WORDS, in_: Iterable[str] = OPT_IN_WORDS, services: Iterable[str] = ()
    ) -> None:
        words = {compact for word in out if (compact := _compact(_plain(word)))}
        self._out = frozenset(words)
        self._in = frozenset(compact for word in in_ if (compact := _compact(_plain(word)))) - self._out
        long = [word for word in words if len(word) > 1 and not word.isdecimal()]
        self._latin = frozenset(word for word in long if word.isascii())
        self._chinese = tuple(sorted((word for word in long if not word.isascii()), key=len, reverse=True))
        self._services = {compact: name for name in services if (compact := _compact(_plain(name)))}
        every = "|".join(re.escape(word) for word in sorted(long, key=len, reverse=True))
        self._only_words = re.compile(f"(?:{every})+") if every else None

    def read(self, text: str) -> Wish | None:
        """Return what a reply asks for, None when it is no such word."""
        plain = _plain(text[:_READ_MAX])
        tokens = _tokens(plain)
        whole = "".join(tokens)
        if self._is_word(whole, tokens):
            return Wish(out=True)
        if whole in self._in:
            return Wish(out=False)
        return self._with_words_around(plain, tokens)

    def _is_word(self, whole: str, tokens: list[str]) -> bool:
        """Return whether a reply is words and nothing else; blanks inside count for Latin words ("T D" is none)."""
        if whole not in self._out and not self._is_chain(whole):
            return False
        return not whole.isascii() or all(token in self._out or self._is_chain(token) for token in tokens)

    def _is_chain(self, text: str) -> bool:
        return self._only_words is not None and self._only_words.fullmatch(text) is not None

    def _with_words_around(self, plain: str, tokens: list[str]) -> Wish | None:
        for at, token in enumerate(tokens):
            rest = self._rest(token, tokens[:at])
            if rest is None:
                continue
            after = ([rest] if rest else []) + tokens[at + 1 :]
            service = self._service(after)
            if service:
                return Wish(out=True, service=service)
            return None if _asks(plain) else Wish(out=True)
        return None

    def _rest(self, token: str, before: list[str]) -> str | None:
        """Return what follows the word in a token that says one, None when it says none."""
        if before and before[-1] in _NEGATIONS:
            return None
        courteous = all(word in _ENGLISH_COURTESIES or not word.isascii() for word in before)
        if courteous and (token in self._latin or self._is_chain(token)):
            return ""
        said = _COURTESY_PREFIX.sub("", token, count=1) if _COURTESY_PREFIX.match(token) else token
        for word in self._chinese:
            if said.startswith(word):
                return said.removeprefix(word)
        for word in self._latin:
            rest = said.removeprefix(word)
            if courteous and rest != said and (rest.isdecimal() or rest in self._services):
                return rest
        return None

    def _service(self, after: list[str]) -> str:
        """Return the service that is named after a word."""
        if not self._services:
            return ""
        names = [*after, "".join(after)]
        return next((self._services[name] for name in names if name in self._services), "")


def _plain(text: str) -> str:
    """Return text in one width and case, without invisible characters; what is unreadable separates."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES).upper().replace("\ufffd", " ")
    return "".join(char for char in text if char.isspace() or unicodedata.category(char) not in {"Cc", "Cf", "Mn"})


def _tokens(plain: str) -> list[str]:
    """Return the pieces between blanks, punctuation and symbols; an apostrophe inside a word belongs to it."""
    spaced = "".join(char if char.isalnum() or char == "'" else " " for char in plain)
    return [token for piece in spaced.split() if (token := piece.strip("'"))]


def _compact(plain: str) -> str:
    return "".join(_tokens(plain))


def _asks(plain: str) -> bool:
    """Return whether a reply with more than the word in it is a question."""
    return "?" in plain or _QUESTION.search(plain) is not None
