"""The number plan as a table of the scanner, so that national numbers cost a look-up and others a test of a bit.

The table knows a number by how many digits it has and by its first two. Where a longer prefix of the plan says more,
or a 0 may stand after the country code, the strict path is asked.
"""

import numpy as np
from numpy.typing import NDArray

from connectors.sources.scan import layout as at
from state.numbers import DIGITS_MAX, TRUNK, NumberPlan


def national_table(numbers: NumberPlan) -> tuple[int, NDArray[np.int64]]:
    """Return a bit for each number of digits that is looked up, and the table; see `layout`."""
    table = np.zeros(at.N_WORDS, np.int64)
    leads = table.view(np.uint8)[at.N_LEADS :].reshape(16, 100)
    if numbers.country:
        for digits in set(numbers.national.values()):
            table[digits] = int(numbers.country) * 10**digits
            for lead in range(10, 100):
                leads[digits, lead] = _answer(numbers, str(lead), digits)
            with_trunk = len(numbers.country + TRUNK) + digits
            if with_trunk <= DIGITS_MAX:
                leads[with_trunk, int((numbers.country + TRUNK)[:2])] = at.N_UNSURE
    looked_up = np.flatnonzero(leads.any(axis=1)).tolist()
    return sum(1 << digits for digits in looked_up), table


def _answer(numbers: NumberPlan, lead: str, digits: int) -> int:
    if any(len(prefix) > len(lead) and prefix.startswith(lead) for prefix in numbers.national):
        return at.N_UNSURE
    return at.N_NATIONAL if numbers.is_national(lead.ljust(digits, "0")) else at.N_INTERNATIONAL
