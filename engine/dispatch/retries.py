"""When to try again: twice as long after each refusal, jittered, never sooner than the gateway wishes.

The jitter is a hash of what was decided and the try, so that a crowd refused together does not return together and a
recorded day sees the same waits every time.
"""

from zlib import crc32


def wait_ms(name: str, tries: int, wait_ms_min: int, wait_ms_max: int, wish_ms: int | None) -> int:
    """Return the milliseconds until try number `tries` + 1, between half and all of the doubled wait.

    `name` is that of what is tried: the same in every run, wherever its frame stands in the log.
    """
    longest = min(wait_ms_min << min(tries - 1, 40), wait_ms_max) if tries > 0 else wait_ms_min
    share = crc32(f"{name} {tries}".encode()) / (1 << 32)
    return max(int(longest * (0.5 + share / 2)), wish_ms or 0)
