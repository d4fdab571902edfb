"""What a reply asks for: the words of an opt-out, in every dress, and nothing that only looks like them."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dispatch.optout import OptOutWords, Wish
from engine.dispatch.policy import policy_of
from engine.settings.config import Config
from engine.settings.reply_words import OPT_IN_WORDS, OPT_OUT_WORDS

WORDS = OptOutWords()
SERVICES = OptOutWords(services=["12593", "彩铃"])
EVERYTHING = Wish(out=True)
LONG = [word for word in OPT_OUT_WORDS if len(word) > 1 and not word.isdecimal()]
HIDDEN = "\0\ufeff\u200b\u200e\u2060"
PUNCTUATION = " \t\r\n\u3000.,!?。，！？、；：\"'“”‘’«»()（）【】「」*-_~"
AROUND = st.text(st.sampled_from(PUNCTUATION + HIDDEN), max_size=6)


def in_full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


@pytest.mark.parametrize("text", ["TD", "td", "ＴＤ", " 退订 ", "退订。", "T", "r", "QX", "stop", "Stop!"])
def test_a_word_that_means_no_more_is_understood(text: str) -> None:
    assert WORDS.read(text) == EVERYTHING


@pytest.mark.parametrize("text", ["", "TDK", "do not stop", "退订吗", "12593", "\x00", "T D"])
def test_other_replies_are_not_taken_for_it(text: str) -> None:
    assert WORDS.read(text) is None


@given(
    st.sampled_from(OPT_OUT_WORDS),
    AROUND,
    AROUND,
    st.sampled_from([str, str.lower, str.title, in_full_width, lambda text: in_full_width(text.lower())]),
)
def test_every_word_is_heard_in_any_case_width_and_punctuation(
    word: str, before: str, after: str, dress: Callable[[str], str]
) -> None:
    assert WORDS.read(before + dress(word) + after) == EVERYTHING


@given(st.sampled_from(OPT_OUT_WORDS), st.lists(st.sampled_from(HIDDEN), max_size=4), st.data())
def test_invisible_characters_change_nothing_wherever_they_stand(
    word: str, hidden: list[str], data: st.DataObject
) -> None:
    for char in hidden:
        at = data.draw(st.integers(0, len(word)))
        word = word[:at] + char + word[at:]
    assert WORDS.read(word) == EVERYTHING


@pytest.mark.parametrize(
    "text",
    [
        "TD退订",
        "TD 退订",
        "退订TD",
        "退 订",
        "TD TD",
        "退订 谢谢",
        "退订谢谢",
        "谢谢 退订",
        "请退订",
        "我要退订",
        "請退訂",
        "STOP ALL",
        "please stop",
        "Stop sending me this",
        "stop\r\nSent from my phone",
        "TD,谢谢",
        "不要发了 TD",
        "再发投诉，退订！",
        "退订?",
        "TD？",
        "T\0D\0",
        "\ufeffTD",
        "“TD”",
        "【退订】",
        "'stop'",
        "００００",
        "Unsubscribe me",
        "TD 12593",
        "TD12593",
        "退订12593",
        "退订\ufffd",
    ],
)
def test_a_longer_word_is_heard_with_words_around_it(text: str) -> None:
    assert WORDS.read(text) == EVERYTHING


@pytest.mark.parametrize(
    "text",
    [
        "T恤多少钱",
        "T 恤",
        "T恤",
        "N多",
        "R u ok",
        "R U",
        "0000 谢谢",
        "10000",
        "00000",
        "2000",
        "N/A ok",
        "T-shirt",
        "TN",
        "怎么退订",
        "如何 退订",
        "不退订",
        "不要退订",
        "退订多少钱?",
        "退订什么",
        "退订方法",
        "能不能退订",
        "stopwatch",
        "non stop",
        "don't stop",
        "don’t stop",
        "how to stop",
        "Can I stop?",
        "stop what?",
        "not TD",
        "NO",
        "TDD",
        "退",
        "订",
        "Tomorrow",
        "未退订",
        "\ufffd\ufffd",
        "?",
        "👍",
    ],
)
def test_a_letter_in_a_sentence_a_question_and_a_negation_ask_for_nothing(text: str) -> None:
    assert WORDS.read(text) is None


@given(
    st.sampled_from("TNRtnr"), st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=12), st.booleans()
)
def test_a_single_letter_counts_as_the_whole_reply_only(letter: str, rest: str, apart: bool) -> None:
    rest = unicodedata.normalize("NFKC", rest)
    joined = (letter + rest).upper()
    if rest.strip() and not any(word in joined for word in LONG) and joined not in {"NO"}:
        assert WORDS.read(letter + (" " if apart else "") + rest) is None


@given(st.text(st.characters(categories=["L", "Nd", "P", "Z"], max_codepoint=0x9FFF), max_size=40))
def test_a_text_that_holds_no_word_is_never_an_opt_out(text: str) -> None:
    seen = "".join(char for char in unicodedata.normalize("NFKC", text).upper() if char.isalnum())
    if not any(word in seen for word in OPT_OUT_WORDS):
        assert WORDS.read(text) in (None, Wish(out=False))


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("TD 12593", "12593"),
        ("TD12593", "12593"),
        ("td １２５９３", "12593"),
        ("退订12593", "12593"),
        ("退订 彩铃", "彩铃"),
        ("退订彩铃", "彩铃"),
        ("TD:12593", "12593"),
        ("TD 彩铃 谢谢", "彩铃"),
        ("请退订彩铃", "彩铃"),
        ("TD", ""),
        ("退订 谢谢", ""),
        ("TD 12580", ""),
        ("STOP ALL", ""),
    ],
)
def test_a_word_with_the_name_of_a_service_leaves_that_service_only(text: str, service: str) -> None:
    assert SERVICES.read(text) == Wish(out=True, service=service)


@pytest.mark.parametrize("text", ["12593", "彩铃", "T 12593", "怎么退订彩铃", "不退订 彩铃"])
def test_the_name_of_a_service_alone_leaves_nothing(text: str) -> None:
    assert SERVICES.read(text) is None


@given(st.sampled_from(OPT_IN_WORDS), AROUND, AROUND)
def test_an_opt_in_is_a_whole_reply(word: str, before: str, after: str) -> None:
    assert WORDS.read(before + word.lower() + after) == Wish(out=False)
    assert WORDS.read(f"{word} maybe later") is None


def test_a_word_of_both_kinds_is_an_opt_out() -> None:
    assert OptOutWords(["END"], ["END", "GO"]).read("end") == EVERYTHING


def test_the_words_are_a_setting() -> None:
    config = Config.model_validate({"dispatch": {"optout_words": ["baja", "否"], "optin_words": ["alta"]}})
    words = policy_of(config, "Asia/Shanghai", []).optout
    assert [words.read(text) for text in ("BAJA ya", "否", "Alta", "TD", "START")] == [
        EVERYTHING,
        EVERYTHING,
        Wish(out=False),
        None,
        None,
    ]


@given(st.text(max_size=200))
def test_any_reply_is_read_without_a_fault(text: str) -> None:
    assert WORDS.read(text) in (None, EVERYTHING, Wish(out=False))
