"""Replies that mean "no more of this": TD, 退订, T, R, QX, STOP, in any case and width, with or without a full stop."""

import unicodedata

OPT_OUT_LIST = "optout"
_WORDS = frozenset(("TD", "退订", "T", "R", "QX", "STOP"))
_AROUND = " \t\r\n.,!。，！、\"'“”‘’"


def is_opt_out(text: str) -> bool:
    """Return whether a subscriber's whole reply is one of the words."""
    return unicodedata.normalize("NFKC", text[:64]).strip(_AROUND).upper() in _WORDS
