"""Commands of ours that another process runs for a running engine, bounded in number, time and output.

What reads journals and logs takes minutes of a processor and gigabytes of reading: here it holds neither the
interpreter's lock nor memory of the engine, and a fault of it ends nothing else.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from connectors.console.contract import BusyError, RefusedError, SlowError

MODULE = "engine.commands.shared.errand"
WAITING_MAX = 8
OUTPUT_BYTES_MAX = 64 << 20
COMPLAINT_BYTES_MAX = 64 << 10


class Errands:
    """Runs commands on one configuration.

    Args:
        file: the settings that they read.
        seconds: each may take.
        at_a_time: of more the next `WAITING_MAX` wait, and others are refused.
    """

    def __init__(self, file: Path, seconds: float, at_a_time: int) -> None:
        self._file = file.resolve()
        self._seconds = seconds
        self._places = asyncio.Semaphore(at_a_time)
        self._waiting = 0

    async def run(self, command: str, *words: str) -> bytes:
        """Return what a command prints.

        Raises:
            BusyError: too many wait already.
            SlowError: it took too long, and was ended.
            RefusedError: it failed; the text is what it complained of.
        """
        if self._waiting >= WAITING_MAX:
            raise BusyError
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._run([command, "--config", str(self._file), *words])
        finally:
            self._places.release()

    async def _run(self, words: Sequence[str]) -> bytes:
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", MODULE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": paths}, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds):
                printed, complaint = await _talk(process, json.dumps(words).encode())
                status = await process.wait()
        except TimeoutError as fault:
            raise SlowError(f"{self._seconds:g}") from fault
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if status:
            raise RefusedError(_last(complaint, words[0]) or f"{words[0]} ended with status {status}")
        return printed


async def _talk(process: asyncio.subprocess.Process, words: bytes) -> tuple[bytes, bytes]:
    """Hand a process its words; return what it prints and what it complains of."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(words)
        await process.stdin.drain()
    process.stdin.close()
    complaint = asyncio.create_task(_read_end(process.stderr, COMPLAINT_BYTES_MAX))
    try:
        return await _read(process.stdout, OUTPUT_BYTES_MAX), await complaint
    finally:
        complaint.cancel()


async def _read(stream: asyncio.StreamReader, bytes_max: int) -> bytes:
    """Read all; RefusedError where that is more than a page can show."""
    pieces = bytearray()
    while piece := await stream.read(1 << 16):
        pieces += piece
        if len(pieces) > bytes_max:
            raise RefusedError(f"the answer has more than {bytes_max >> 20} MiB; use the command line")
    return bytes(pieces)


async def _read_end(stream: asyncio.StreamReader, bytes_max: int) -> bytes:
    """Read all; return the end of it."""
    pieces = bytearray()
    while piece := await stream.read(1 << 16):
        pieces += piece
        del pieces[:-bytes_max]
    return bytes(pieces)


def _last(complaint: bytes, command: str) -> str:
    """Return the last line of a complaint, without the name of the command."""
    lines = complaint.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix(f"opportune {command}: ") if lines else ""
