"""A source is one folder: written here, it is accepted, opened and read, and nothing else was touched.

One folder holds a source that is pulled, the other one that pushes: the runtime learns the shape from the source.
"""

from pathlib import Path

from tests.connectors.added_folder import add_kind, run_with
from tests.engine.world import BASE_MS, call, config

TAPE = {
    "__init__.py": '''
"""A tape: lines that stand in the settings themselves."""

from connectors.sources.contract import Opening, Source
from connectors.sources.tape.config import TapeConfig as Config

__all__ = ["Config", "open_source"]


def open_source(config: Config, opening: Opening) -> Source:
    """Return the tape, not started."""
    from connectors.sources.tape.client import TapeSource

    return TapeSource(config, opening)
''',
    "config.py": '''
"""Settings of a tape."""

from typing import Annotated, ClassVar

from pydantic import Field

from connectors.sources.config import SourceConfig


class TapeConfig(SourceConfig):
    """Lines to read once."""

    kind: ClassVar = "tape"

    lines: Annotated[tuple[str, ...], Field(description="Events as lines.")]
''',
    "client.py": '''
"""A pulled source: the whole tape is one chunk, its position is how many bytes were read."""

import time

from connectors.sources.contract import Chunk, Opening, padded
from connectors.sources.tape.config import TapeConfig


class TapeSource:
    """A `connectors.sources.contract.PulledSource`."""

    faults = ()

    def __init__(self, config: TapeConfig, opening: Opening) -> None:
        self.config = config
        self.exhausted = False
        self._text = "".join(f"{line}\\n" for line in config.lines).encode()
        self._position = opening.positions.get(f"{config.name}:tape", 0)
        self._started = self._stopped = 0

    async def start(self) -> None:
        self._started = 1

    async def stop(self) -> None:
        self._stopped = 1

    def close(self) -> None:
        assert (self._started, self._stopped) == (1, 1)
        print("tape closed")

    def status(self) -> dict[str, int]:
        return {"bytes": self._position}

    def holds(self, key: str) -> bool:
        return True

    def next_chunk(self, bytes_max: int) -> Chunk | None:
        start, end = self._position, len(self._text)
        self._position, self.exhausted = end, True
        if start == end:
            return None
        data = padded(self._text[start:])
        key = f"{self.config.name}:tape"
        return Chunk(self.config.name, key, data, end - start, start, end, False, False, time.time_ns())

    def recycle(self, chunk: Chunk) -> None:
        pass
''',
}

CROWD = {
    "__init__.py": '''
"""A crowd: shouts one line into the intake when it is started, and ends the engine when it is durable."""

from connectors.sources.contract import Opening, Source
from connectors.sources.crowd.client import CrowdSource
from connectors.sources.crowd.config import CrowdConfig as Config

__all__ = ["Config", "open_source"]


def open_source(config: Config, opening: Opening) -> Source:
    """Return the crowd, not started."""
    return CrowdSource(config, opening.intake)
''',
    "config.py": '''
"""Settings of a crowd."""

from typing import Annotated, ClassVar

from pydantic import Field

from connectors.sources.config import SourceConfig


class CrowdConfig(SourceConfig):
    """One line to shout."""

    kind: ClassVar = "crowd"

    line: Annotated[str, Field(description="An event as a line.")]
''',
    "client.py": '''
"""A pushing source."""

import asyncio
import os
import signal
import time

from connectors.sources.contract import Chunk, Intake, padded
from connectors.sources.crowd.config import CrowdConfig


class CrowdSource:
    """A `connectors.sources.contract.Source`."""

    faults = ()

    def __init__(self, config: CrowdConfig, intake: Intake) -> None:
        self.config = config
        self._intake = intake

    async def start(self) -> None:
        text = f"{self.config.line}\\n".encode()
        dedupe = self.config.deduplicated
        chunk = Chunk(self.config.name, "", padded(text), len(text), 0, len(text), dedupe, True, time.time_ns())
        self._shouted = asyncio.create_task(self._shout(chunk))

    async def _shout(self, chunk: Chunk) -> None:
        await asyncio.wrap_future(self._intake.offer(chunk))
        os.kill(os.getpid(), signal.SIGTERM)

    async def stop(self) -> None:
        await self._shouted

    def close(self) -> None:
        print("crowd closed")

    def status(self) -> dict[str, int]:
        return {"lines": 1}
''',
}


def test_a_pulled_source_of_one_folder_is_read_to_its_end_and_not_again(tmp_path: Path) -> None:
    add_kind(tmp_path / "listing", "tape", TAPE)
    home = tmp_path / "home"
    (home / "inbox").mkdir(parents=True)
    lines = [call(8613800000000 + n, BASE_MS + n * 1000).decode().strip() for n in range(3)]
    text = config(more=f"[[sources.tape]]\nname = 'tape'\nlines = {lines!r}\n")

    first, second = (
        run_with("connectors.sources", tmp_path / "listing", home, text, "run", "--drain") for _ in range(2)
    )

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "tape closed\n3 events" in first.stdout
    assert "tape closed\n0 events" in second.stdout
    assert len((home / "spool" / "out.ndjson").read_bytes().splitlines()) == 3
    assert (home / "data" / "replay" / "tape").is_dir()


def test_a_pushing_source_of_one_folder_is_heard_unless_the_run_is_drained(tmp_path: Path) -> None:
    add_kind(tmp_path / "listing", "crowd", CROWD)
    home = tmp_path / "home"
    (home / "inbox").mkdir(parents=True)
    line = call(8613800000000, BASE_MS).decode().strip()
    text = config(more=f"[[sources.crowd]]\nname = 'crowd'\nline = {line!r}\n")

    drained = run_with("connectors.sources", tmp_path / "listing", home, text, "run", "--drain")
    heard = run_with("connectors.sources", tmp_path / "listing", home, text, "run")

    assert drained.returncode == heard.returncode == 0, drained.stderr + heard.stderr
    assert drained.stdout.startswith("0 events")
    assert "crowd closed\n1 events" in heard.stdout


def test_settings_of_a_source_of_one_folder_are_checked_like_any_other(tmp_path: Path) -> None:
    add_kind(tmp_path / "listing", "tape", TAPE)
    text = config(more="[[sources.tape]]\nname = 'tape'\n")

    done = run_with("connectors.sources", tmp_path / "listing", tmp_path / "home", text, "check")

    assert done.returncode != 0
    assert "sources.tape.0.lines is missing" in done.stderr + done.stdout
