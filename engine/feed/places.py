"""The map of the generated operator: cities, their cells, the two areas of the shipped book, handsets, services.

Plain tables. A cell is written LAC-CI; a city is its area code. The home province comes first in `CITIES`; the other
cities are where its subscribers roam. Cells of a city are numbered from its first LAC, `CELLS_PER_LAC` to a LAC.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

CELLS_PER_LAC = 200
FAIR_CELLS = 12
AIRPORT_CELLS = 6


@dataclass(frozen=True, slots=True)
class City:
    """A city: its area code, province, share of the subscribers (in thousandths) and number of cells."""

    code: str
    province: str
    weight: int
    cell_count: int


CITIES = (
    City("020", "guangdong", 210, 1200),
    City("0755", "guangdong", 200, 1200),
    City("0769", "guangdong", 110, 700),
    City("0757", "guangdong", 90, 600),
    City("0760", "guangdong", 45, 300),
    City("0752", "guangdong", 45, 300),
    City("0756", "guangdong", 30, 200),
    City("0750", "guangdong", 40, 250),
    City("0754", "guangdong", 45, 300),
    City("0758", "guangdong", 30, 200),
    City("0759", "guangdong", 40, 250),
    City("0668", "guangdong", 35, 220),
    City("0763", "guangdong", 25, 160),
    City("0751", "guangdong", 25, 160),
    City("0753", "guangdong", 30, 180),
    City("010", "beijing", 0, 300),
    City("021", "shanghai", 0, 300),
    City("028", "sichuan", 0, 200),
    City("027", "hubei", 0, 200),
    City("0731", "hunan", 0, 200),
    City("0771", "guangxi", 0, 150),
    City("0591", "fujian", 0, 150),
)
HOME_CITIES = sum(city.weight > 0 for city in CITIES)

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
FORMS = ("先生", "女士")
BRANDS = ("全球通", "动感地带", "神州行")
BRAND_WEIGHTS = (0.15, 0.25, 0.60)

SERVICES = ("12593", "gprs20", "gprs50", "mms", "ringtone", "newspaper", "wap", "fetion", "traveller")
SERVICE_SHARES = (0.20, 0.12, 0.04, 0.30, 0.35, 0.10, 0.25, 0.15, 0.02)

# Type allocation code, model, and whether it speaks GPRS and MMS.
HANDSETS = (
    ("35098120", "nokia-1110", False, False),
    ("35165301", "nokia-1600", False, False),
    ("35413002", "motorola-c118", False, False),
    ("35332900", "nokia-5300", True, True),
    ("35395003", "nokia-n73", True, True),
    ("35693803", "nokia-n95", True, True),
    ("35828701", "motorola-v8", True, True),
    ("35517702", "sonyericsson-k800", True, True),
    ("35789602", "samsung-e258", True, True),
    ("01161200", "iphone-2g", True, False),
)
HANDSETS_PLAIN = sum(not gprs for _, _, gprs, _ in HANDSETS)

APNS = ("cmwap", "cmnet")
APPS = ("wap", "mms", "qq", "web", "mail")
PROVIDERS = tuple(f"sp-{9001 + index}" for index in range(40))
CHARGED = ("ringtone", "newspaper", "game", "picture", "lottery")
COMPLAINTS = ("fees", "coverage", "spam", "service")
HALLS = tuple(f"hall{hall:02d}-{desk}" for hall in range(1, 21) for desk in range(1, 7))
PAID_AT = ("card", "counter", "bank", "online")


class Cells:
    """Every cell of every city: `names`, and for each city where its cells begin and how many they are."""

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.array([city.cell_count for city in CITIES], dtype=np.int64)
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self.names: NDArray[np.object_] = np.array(
            [
                f"{28001 + 100 * index + cell // CELLS_PER_LAC}-{10001 + cell % CELLS_PER_LAC}"
                for index, city in enumerate(CITIES)
                for cell in range(city.cell_count)
            ],
            dtype=object,
        )

    @cached_property
    def fair(self) -> tuple[str, ...]:
        """The cells of the trade fair's halls in Guangzhou."""
        return tuple(self.names[:FAIR_CELLS])

    @cached_property
    def airport(self) -> tuple[str, ...]:
        """The cells of Guangzhou's airport."""
        return tuple(self.names[FAIR_CELLS : FAIR_CELLS + AIRPORT_CELLS])


CELLS = Cells()
