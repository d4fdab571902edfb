"""Diagnostic codes of the rule book.

A code that has appeared in a release keeps its meaning forever and is never given to another fault; a fault that
can no longer happen leaves a hole. R1xx syntax and shape, R2xx names, R3xx types and units, R4xx caps, R5xx tests;
W1xx advice.
"""

from enum import StrEnum

__all__ = ["Advice", "Code"]


class Code(StrEnum):
    """What is wrong, in one stable word for tools and one short name for readers of this code."""

    # R1xx: how the file is written
    NOT_TOML = "R101"
    UNKNOWN_KEY = "R102"
    MISSING_KEY = "R103"
    WRONG_SHAPE = "R104"
    UNREADABLE = "R105"
    OUT_OF_BOUNDS = "R106"
    BAD_NAME = "R107"
    DECLARED_TWICE = "R108"
    CHOOSE_ONE = "R109"
    EMPTY_BOOK = "R110"
    KEY_ALONE = "R111"
    NEVER_FIRES = "R112"
    EXPRESSION_SYNTAX = "R120"
    EXPRESSION_FORBIDDEN = "R121"
    EXPRESSION_TOO_LARGE = "R122"

    # R2xx: names that lead nowhere, or to two places
    UNKNOWN_NAME = "R201"
    UNKNOWN_EVENT = "R202"
    UNKNOWN_FIELD = "R203"
    UNKNOWN_CHANNEL = "R204"
    UNKNOWN_CAMPAIGN = "R205"
    UNKNOWN_OFFER = "R206"
    UNKNOWN_LIST = "R207"
    UNKNOWN_AREA = "R208"
    UNKNOWN_FUNCTION = "R209"
    UNKNOWN_MEMBER = "R210"
    NAME_CLASH = "R211"
    ID_COLLISION = "R212"
    UNKNOWN_RULE = "R213"
    UNKNOWN_CATEGORY = "R214"
    KEPT_LIST = "R215"
    UNKNOWN_TABLE = "R216"
    UNKNOWN_COLUMN = "R217"
    VALUE_CYCLE = "R218"
    UNKNOWN_ARM = "R225"

    # R3xx: types, units, formats
    TYPE_MISMATCH = "R301"
    NOT_A_CONDITION = "R302"
    WRONG_ARGUMENTS = "R303"
    BAD_DURATION = "R304"
    BAD_WINDOW = "R305"
    BAD_FEATURE_TYPE = "R306"
    BAD_ZONE = "R307"
    BAD_TEMPLATE = "R308"
    BAD_FORMAT = "R309"
    MISSING_TEXT = "R310"
    UNUSED_TEXT = "R311"
    BAD_PERCENTAGE = "R312"
    BAD_NUMBER = "R313"
    BAD_LINK = "R314"
    BAD_BANDS = "R315"
    BAD_TABLE = "R316"

    # R4xx: caps
    BAD_CAP = "R401"
    CAP_OUT_OF_BOUNDS = "R402"

    # R5xx: tests in the book
    TEST_EVENT = "R501"
    TEST_VALUE = "R502"
    TEST_EXPECTATION = "R503"


class Advice(StrEnum):
    """What `check --lint` finds in a book that can be used, and is probably not meant so."""

    CONTRADICTION = "W101"
    UNUSED = "W102"
    NEVER_SEEN = "W103"
    CAP_ZERO = "W104"
    LONG_TEXT = "W105"
    NO_OPT_OUT = "W106"
    NO_TEST = "W107"
    IGNORED_FILE = "W108"
