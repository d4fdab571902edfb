"""The files shown in connectors/sources/README.md are each read whole, by the mapping that stands there beside them."""

import asyncio
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.sources.decoder import Decoder
from connectors.sources.files.client import FilesSource
from connectors.sources.files.config import FilesConfig
from state.batch import Batch
from state.schema import EventType, Field, Kind, make_schema

PAGE = (Path(__file__).parents[3] / "connectors" / "sources" / "README.md").read_text(encoding="utf-8")
SECTIONS = {
    title: (mapping, encoding, text)
    for title, mapping, encoding, text in re.findall(
        r"^### ([^\n]+)\n\n```toml\n(.*?)```\n\n```text (\S+)\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL
    )
}
SCHEMA = make_schema(
    (),
    (
        EventType(
            "call",
            (
                Field("kind", Kind.STRING, required=True),
                Field("seconds", Kind.INT),
                Field("cell", Kind.STRING),
                Field("imei_tac", Kind.STRING),
            ),
        ),
    ),
)


def values(batch: Batch) -> list[tuple[str | int | None, ...]]:
    """Return every row as subscriber, its time in UTC, kind, seconds, cell, handset."""
    told = dict(batch.texts.pairs())

    def cell(row: int, slot: int) -> str | int | None:
        if not (int(batch.present[row]) >> slot) & 1:
            return None
        value = int(batch.cells[slot, row])
        return value if slot == 1 else told[value].decode()

    return [
        (
            int(batch.subscriber[row]),
            datetime.fromtimestamp(int(batch.at_ms[row]) / 1000, UTC).strftime("%d %H:%M:%S"),
            *(cell(row, slot) for slot in range(4)),
        )
        for row in range(batch.n)
    ]


EXPECTED = {
    "A log of an operator: tabs, a mark of byte order, padded times": [
        (8613800000001, "04 01:00:00", "local", 61, "28001-40217", None),
        (8613800000002, "04 01:00:01", "roam", 7, "28001-40218", None),
        (8613800000003, "04 01:00:02", "local", 0, None, None),
    ],
    "Bars, slashes and leading zeros": [
        (4915100000001, "04 08:00:00", "local", 61, "28001-40217", None),
        (4915100000002, "26 00:30:00", "roam", 7, "28001-40218", None),  # the first of two half past two
    ],
    "Date and time apart": [
        (4915100000001, "04 08:00:00", "local", 61, None, "35209900"),
        (4915100000002, "04 08:00:01", "roam", 7, None, "35209900"),
    ],
    "Broken quotes, and NULL, in columns that nothing reads": [
        (8613800000001, "04 01:00:00", "local", 61, None, None),
        (8613800000002, "04 01:00:01", "roam", None, None, None),
        (8613800000003, "04 01:00:02", "local", None, None, None),
    ],
    "GBK": [
        (8613800000001, "04 01:00:00", "长途", 61, None, None),
        (8613800000002, "04 01:00:01", "漫游", 7, None, None),
    ],
}


def test_every_file_of_the_page_is_expected_here() -> None:
    assert list(SECTIONS) == list(EXPECTED)


@pytest.mark.parametrize("title", EXPECTED)
def test_a_file_of_the_page_is_read_whole(tmp_path: Path, title: str) -> None:
    mapping, encoding, text = SECTIONS[title]
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    settings = {"name": "feed", "directory": tmp_path, "mapping": tomllib.loads(mapping)}
    config = FilesConfig.model_validate(settings)
    source = FilesSource(config, {}, drain=True)
    asyncio.run(source.start())
    chunk = source.next_chunk(1 << 20)
    assert chunk is not None

    decoded = Decoder(config.mapping, SCHEMA).decode(chunk, 1 << 50)
    source.close()

    assert decoded.dead == []
    assert values(decoded.batch) == EXPECTED[title]
