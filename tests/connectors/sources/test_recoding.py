"""Files in UTF-16 are read like those in UTF-8, wherever they were left."""

from pathlib import Path

import pytest

from connectors.sources.decoder import Decoder
from connectors.sources.files.client import FilesSource
from connectors.sources.http.config import HttpConfig
from connectors.sources.mapping import Mapping
from tests.connectors.sources.decoding import AT_MS_MAX, SCHEMA, rows
from tests.connectors.sources.test_files import config, read_all, text

MAPPING = {"encoding": "utf-16", "format": "delimited", "type": "call", "columns": ("msisdn", "time", "kind")}
LINES = [f"86138{number:08},2008-11-04T09:00:00Z,{'长途' * (number % 3)}炫" for number in range(20_000)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_read_once_also_from_its_middle_and_when_it_grows(tmp_path: Path, encoding: str) -> None:
    body = ("\ufeff" + "\n".join(LINES) + "\n").encode(encoding)
    file = tmp_path / "a.txt"
    file.write_bytes(body[: len(body) // 2 + 1])  # half a letter at the end
    positions: dict[str, int] = {}
    source = FilesSource(config(tmp_path, mapping=MAPPING), {}, drain=True)
    chunk = source.next_chunk(1 << 16)
    assert chunk is not None
    positions[chunk.key] = chunk.end
    source.close()
    file.write_bytes(body)

    read = text(chunk).splitlines() + read_all(tmp_path, positions, mapping=MAPPING)

    assert b"\n".join(read).decode().removeprefix("\ufeff").split("\n") == LINES
    assert read_all(tmp_path, positions, mapping=MAPPING) == []
    with file.open("ab") as more:
        more.write("8613900000000,x,y\n".encode(encoding))
    assert read_all(tmp_path, positions, mapping=MAPPING) == [b"8613900000000,x,y"]


def test_its_lines_are_events_and_what_is_no_letter_is_told(tmp_path: Path) -> None:
    wrong = "8613800000002,2008-11-04T09:00:00Z,".encode("utf-16-le") + b"\x00\xd8" + "\n".encode("utf-16-le")
    (tmp_path / "a.txt").write_bytes((LINES[1] + "\n").encode("utf-16") + wrong)
    source = FilesSource(config(tmp_path, mapping=MAPPING), {}, drain=True)
    chunk = source.next_chunk(1 << 16)
    assert chunk is not None
    source.close()

    decoded = Decoder(source.config.mapping, SCHEMA).decode(chunk, AT_MS_MAX)

    assert [row[0] for row in rows(decoded)] == [8613800000001]
    assert [one.code for one in decoded.dead] == ["invalid_utf8"]


def test_utf_16_is_of_files_alone() -> None:
    with pytest.raises(ValueError, match=r"mapping\.encoding='utf-16' is read from files only"):
        HttpConfig(name="x", mapping=Mapping(encoding="utf-16"))
