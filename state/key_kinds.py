"""What a row of the log is about: a subscriber, or a key of another kind, in a number space of its own.

A key is 64 bits. The number stands in the low 56, the kind in the seven above (`KIND_BIT`), the sign is never set:

    0         subscribers: an MSISDN as it is, at most 15 digits
    1         pseudonyms: text keys of a feed, hashed; nothing is ever sent to one
    2 to 127  entities that a book declares (a service, a handset, a cell), in the order in which it does

So a key says by itself what it is, in a partition, a page, a contact or a record, and keys of two kinds never meet. A
frame holds rows of one kind and says which (`state.frame`); today that is always 0, and format 1 wrote 0 there too.
"""

SUBSCRIBER, PSEUDONYM, ENTITY = range(3)
"""Kinds of key; those of entities begin with ENTITY."""
KIND_MAX = 127
KIND_BIT = 56
NUMBER_MAX = (1 << KIND_BIT) - 1


def key_of(kind: int, number: int) -> int:
    """Return the key of a number among keys of its kind; ValueError when a bound is passed."""
    if not 0 <= kind <= KIND_MAX:
        raise ValueError(f"kind of key={kind} must be >= 0 and <= {KIND_MAX}")
    if not 0 < number <= NUMBER_MAX:
        raise ValueError(f"number={number} must be > 0 and <= {NUMBER_MAX}")
    return kind << KIND_BIT | number


def kind_of(key: int) -> int:
    """Return the kind of a key."""
    return key >> KIND_BIT
