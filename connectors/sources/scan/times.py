"""A time at an address, in the mapping's format.

As in `values`, every function returns the address after what it read, or 0 where the strict path must judge.
"""

import numpy as np

from connectors.sources.scan import layout as at
from connectors.sources.scan.values import POWERS, ZEROS, digits, eight_digits, not_digits
from state.jit import part, routine
from state.raw import load_i64, load_u8, shift_right, store_i64

_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@routine
def days_of(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the Gregorian calendar, 1 <= year; -1 << 40 for no such date."""
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _MONTH_DAYS[month]:
        return -1 << 40
    if month == 2 and day == 29 and (year % 4 != 0 or (year % 100 == 0 and year % 400 != 0)):
        return -1 << 40
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@routine
def remember(c: int, a: int, b: int, days: int, minutes: int) -> bool:
    """Keep the time that is written as the words `a` and `b`; false where there is no such date."""
    if days == -1 << 40:
        return False
    store_i64(c + at.DATE_A, a)
    store_i64(c + at.DATE_B, b)
    store_i64(c + at.DATE_MS, (days * 1440 + minutes) * 60_000)
    return True


@routine
def new_minute(c: int, a: int, b: int) -> bool:
    """Read `2008-11-` in `a` and `04T09:00` in `b`, and remember them; false where they are written otherwise."""
    x = a ^ 0x2D30302D30303030
    y = b ^ 0x30303A3030543030
    between = shift_right(y, 16) & 0xFF  # 0: a T; 0x74: a space
    if between != 0x74 and between != 0:  # noqa: PLR1714  no sets in a kernel
        return False
    if shift_right(x, 56) != 0 or shift_right(x, 32) & 0xFF != 0 or shift_right(y, 40) & 0xFF != 0:
        return False
    if not_digits(x) != 0 or not_digits(y & -0xFF0001) != 0:
        return False
    year = (x & 0xFF) * 1000 + (shift_right(x, 8) & 0xFF) * 100 + (shift_right(x, 16) & 0xFF) * 10
    year += shift_right(x, 24) & 0xFF
    month = (shift_right(x, 40) & 0xFF) * 10 + (shift_right(x, 48) & 0xFF)
    day = (y & 0xFF) * 10 + (shift_right(y, 8) & 0xFF)
    hour = (shift_right(y, 24) & 0xFF) * 10 + (shift_right(y, 32) & 0xFF)
    minute = (shift_right(y, 48) & 0xFF) * 10 + shift_right(y, 56)
    return hour <= 23 and minute <= 59 and remember(c, a, b, days_of(year, month, day), hour * 60 + minute)


@part
def iso_time(c: int, p: int) -> tuple[int, int]:
    """Read `2008-11-04T09:00:00`, a fraction or none, a zone or none; (0, 0) where it is written otherwise.

    The minute of the row before is remembered: a feed in the order of time writes it again.
    """
    a = load_i64(p)
    b = load_i64(p + 8)
    if (a != load_i64(c + at.DATE_A) or b != load_i64(c + at.DATE_B)) and not new_minute(c, a, b):
        return 0, 0
    x = (load_i64(p + 16) ^ 0x30303A) & 0xFFFFFF
    second = (shift_right(x, 8) & 0xFF) * 10 + shift_right(x, 16)
    if x & 0xFF != 0 or not_digits(x) != 0 or second > 59:
        return 0, 0
    value = load_i64(c + at.DATE_MS) + second * 1000
    end = p + 19
    if load_u8(end) == 46:
        word = load_i64(end + 1) ^ ZEROS
        if not_digits(word) & 0x80808080 == 0x80000000:
            value += (word & 0xFF) * 100 + (shift_right(word, 8) & 0xFF) * 10 + (shift_right(word, 16) & 0xFF)
            end += 4
        else:
            end, fraction, count = digits(end + 1)
            if count == 0 or count > 9:
                return 0, 0
            value += fraction * 1000 // POWERS[count]
    return zone_end(c, end, value)


@part
def zone_end(c: int, p: int, value: int) -> tuple[int, int]:
    """Read Z, +08:00 or nothing after a local time, and return the time in UTC."""
    word = load_i64(p) & 0xFFFFFFFFFFFF
    if word == load_i64(c + at.ZONE) or new_zone(c, word):
        return p + 6, value - load_i64(c + at.ZONE_MS)
    first = word & 0xFF
    if first | 32 == 122:
        return p + 1, value
    if first == 43 or first == 45:  # noqa: PLR1714  no tuples in a kernel
        return 0, 0
    return local_end(c, p, value)


@part
def local_end(c: int, p: int, value: int) -> tuple[int, int]:
    """Return a local time that names no zone in UTC, by the source's own zone."""
    has = load_i64(c + at.HAS_OFFSET)
    if has != at.FIXED_OFFSET and (has == at.NO_OFFSET or not zone_holds(c, value)):
        return 0, 0
    return p, value - load_i64(c + at.OFFSET_MS)


@routine
def zone_holds(c: int, local_ms: int) -> bool:
    """Make OFFSET_MS that of a local time in the source's zone; false beyond its table."""
    if load_i64(c + at.OFFSET_FROM) <= local_ms < load_i64(c + at.OFFSET_TO):
        return True
    row = load_i64(c + at.ZONE_TABLE)
    last = row + (load_i64(c + at.ZONE_ROWS) - 1) * 16
    while row < last:
        if load_i64(row) <= local_ms < load_i64(row + 16):
            store_i64(c + at.OFFSET_FROM, load_i64(row))
            store_i64(c + at.OFFSET_TO, load_i64(row + 16))
            store_i64(c + at.OFFSET_MS, load_i64(row + 8))
            return True
        row += 16
    return False


@routine
def new_zone(c: int, word: int) -> bool:
    """Read `+08:00` in a word and remember it; false where it is none."""
    sign = word & 0xFF
    x = shift_right(word, 8) ^ 0x30303A3030
    if (sign != 43 and sign != 45) or not_digits(x) != 0 or shift_right(x, 16) & 0xFF != 0:  # noqa: PLR1714  the same
        return False
    hours = (x & 0xFF) * 10 + (shift_right(x, 8) & 0xFF)
    minutes = (shift_right(x, 24) & 0xFF) * 10 + (shift_right(x, 32) & 0xFF)
    if hours > 18 or minutes > 59:
        return False
    offset = (hours * 60 + minutes) * 60_000
    store_i64(c + at.ZONE, word)
    store_i64(c + at.ZONE_MS, offset if sign == 43 else -offset)
    return True


@part
def compact_time(c: int, p: int) -> tuple[int, int]:
    """Read `20081104090000` and a zone or none."""
    a = load_i64(p)
    x = load_i64(p + 8) ^ ZEROS
    if not_digits(x << 16) != 0:
        return 0, 0
    if a != load_i64(c + at.DATE_A) or load_i64(c + at.DATE_B) != 0:
        number = a ^ ZEROS
        if not_digits(number) != 0:
            return 0, 0
        number = eight_digits(number)
        if not remember(c, a, 0, days_of(number // 10000, number // 100 % 100, number % 100), 0):
            return 0, 0
    clock = eight_digits(x << 16)
    hour, minute, second = clock // 10000, clock // 100 % 100, clock % 100
    if hour > 23 or minute > 59 or second > 59:
        return 0, 0
    return zone_end(c, p + 14, load_i64(c + at.DATE_MS) + ((hour * 60 + minute) * 60 + second) * 1000)


@part
def epoch_time(c: int, p: int) -> tuple[int, int]:
    """Read whole or broken seconds, or milliseconds, since 1970."""
    end, value, count = digits(p)
    if count == 0 or count > 15:
        return 0, 0
    if load_i64(c + at.TIME_FORMAT) == at.EPOCH_MS:
        return end, value
    value *= 1000
    if load_u8(end) == 46:
        end, fraction, count = digits(end + 1)
        if count == 0 or count > 9:
            return 0, 0
        value += fraction if count == 3 else fraction * 1000 // POWERS[count]
    return end, value


@routine
def pattern_time(c: int, p: int) -> tuple[int, int]:
    """Read a time by the steps of the mapping's pattern."""
    step = load_i64(c + at.PATTERN)
    last = step + load_i64(c + at.PATTERN_STEPS) * at.STEP_BYTES
    for n in range(at.PARTS):
        store_i64(c + at.PART + n * 8, 0)
    while step < last:
        what = load_i64(step)
        if what == at.STEP_ZONE:
            return named_zone(c, p, parts_ms(c))
        if what == at.STEP_LETTER:
            if load_u8(p) != load_i64(step + 8):
                return 0, 0
            p += 1
        else:
            p = digits_step(c, step, p)
            if p == 0:
                return 0, 0
        step += at.STEP_BYTES
    value = parts_ms(c)
    return local_end(c, p, value) if value != at.NO_TIME else (0, 0)


@routine
def digits_step(c: int, step: int, p: int) -> int:
    """Read the digits of a step into its part."""
    first = p
    most = load_i64(step + 16)
    number = 0
    digit = load_u8(p) - 48
    while p - first < most and 0 <= digit <= 9:
        number = number * 10 + digit
        p += 1
        digit = load_u8(p) - 48
    if p - first < load_i64(step + 8):
        return 0
    part = load_i64(step)
    if part == at.STEP_FRACTION:
        number = number * 1000 // POWERS[p - first]
    elif part == at.STEP_SHORT_YEAR:
        number += 2000
        part = 0
    store_i64(c + at.PART + part * 8, number)
    return p


@routine
def parts_ms(c: int) -> int:
    """Return the local time that the parts say; NO_TIME where there is none."""
    part = c + at.PART
    days = days_of(load_i64(part), load_i64(part + 8), load_i64(part + 16))
    hour, minute, second = load_i64(part + 24), load_i64(part + 32), load_i64(part + 40)
    if days == -1 << 40 or hour > 23 or minute > 59 or second > 59:
        return at.NO_TIME
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + load_i64(part + 48)


@routine
def named_zone(c: int, p: int, value: int) -> tuple[int, int]:
    """Read the zone that must stand behind a local time."""
    if value == at.NO_TIME:
        return 0, 0
    word = load_i64(p) & 0xFFFFFFFFFFFF
    if word == load_i64(c + at.ZONE) or new_zone(c, word):
        return p + 6, value - load_i64(c + at.ZONE_MS)
    return (p + 1, value) if load_u8(p) | 32 == 122 else (0, 0)


@part
def time_text(c: int, p: int) -> tuple[int, int]:
    """Read a time that is written as a text in the mapping's format."""
    form = load_i64(c + at.TIME_FORMAT)
    if form == at.ISO8601:
        return iso_time(c, p)
    if form == at.COMPACT:
        return compact_time(c, p)
    if form == at.PATTERN_FORMAT:
        return pattern_time(c, p)
    return epoch_time(c, p)
