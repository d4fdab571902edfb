"""Whole lines from one file, in buffers that a kernel may read.

A reader is opened where the file was left. It counts lines, so that a dead letter can name one. The start of a line
whose end was not read yet is carried to the next chunk. The last line may lack its end once the file has rested: for
`settle_ms` where it is a whole JSON value or the file is packed, for `half_line_ms` where it may be half a line. A line
longer than the mapping allows is cut just above the bound, so that the decoder sees that it is too long, and read past
to its end.
"""

import os
from contextlib import suppress

import numpy as np
import orjson

from connectors.sources.contract import Bytes, Chunk
from connectors.sources.files.config import FilesConfig
from connectors.sources.files.entries import Stat, open_file, stat_of
from connectors.sources.files.names import TAIL_BYTES_MAX, File
from connectors.sources.files.packing import Stream, unpacked
from connectors.sources.files.recoding import Recoded
from connectors.sources.scan.maps import count_lines
from state.raw import PADDING

SKIP_BYTES = 1 << 20
BUFFERS_MAX = 8
_TAIL_BYTES = 1 << 16
_LINE_END = b"\n"


class ReplacedError(OSError):
    """Another file has the name now; a look at the directory says which."""


class Buffers:
    """Used buffers, for reuse because the first touch of a new one costs more than reading into it."""

    def __init__(self) -> None:
        self._free: list[Bytes] = []

    def take(self, size: int) -> Bytes:
        """Return an array of at least `size` bytes."""
        while self._free:
            buffer = self._free.pop()
            if len(buffer) >= size:
                return buffer
        return np.zeros(size, np.uint8)

    def put(self, buffer: Bytes) -> None:
        """Take a buffer back."""
        if len(self._free) < BUFFERS_MAX:
            self._free.append(buffer)


class LineReader:
    """The lines of one open file from where it was left.

    `rested_ms` says how long the file has not changed. OSError when another file has taken its name since `stat`.
    """

    def __init__(self, config: FilesConfig, file: File, stat: Stat, buffers: Buffers, rested_ms: float) -> None:
        self.file = file
        self._config = config
        self._stat = stat
        self._buffers = buffers
        self._rested_ms = rested_ms
        self._line_bytes_max = config.mapping.line_bytes_max
        self._carry = b""
        self._fault: Exception | None = None
        self._plain = open_file(file.path, config.follow_links)
        try:
            if os.fstat(self._plain.fileno()).st_ino != stat.inode:
                raise ReplacedError(f"inode={stat.inode} has another name now")
            self._stream: Stream = unpacked(file.path.name, self._plain)
            if config.mapping.is_recoded:
                self._stream = Recoded(self._stream, config.mapping.encoding)
            self._header, self._line = self._start()
        except BaseException:
            self._plain.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._plain.close()

    def next_chunk(self, bytes_max: int, received_ns: int) -> Chunk | None:
        """Return the next lines; None when there are none now. An unreadable file raises what the system said."""
        if self._fault is not None:
            raise self._fault
        size = max(bytes_max, self._line_bytes_max + 2)
        data = self._buffers.take(size + PADDING)
        filled, ended = self._fill(data, size)
        length = _whole_lines(data, filled)
        start = self.file.position
        if length == 0 and filled > self._line_bytes_max:
            return self._too_long(data, filled, ended, received_ns)
        rest_ms = self._rest_ms(data[length:filled]) if ended and length < filled else 0
        if ended and length < filled and self._is_final(rest_ms):
            length = filled
        if length == 0:
            self._carry = b""
            self.file.seen, self.file.waiting, self.file.rest_ms = self._stat, filled > 0, rest_ms
            mark = self._end_mark(data, received_ns) if ended and filled == 0 else None
            if mark is None:
                self._buffers.put(data)
            return mark
        self._carry = data[length:filled].tobytes()
        data[length : length + PADDING] = 0
        done = ended and length == filled
        return self._chunk(data, length, start + length, done, received_ns)

    def _rest_ms(self, line: Bytes) -> int:
        """Return how long the file must rest until its last line counts without an end."""
        if self.file.packed:
            return self._config.settle_ms
        if self._config.mapping.format == "ndjson":
            with suppress(ValueError):
                orjson.loads(line.tobytes().decode(self._config.mapping.line_encoding))
                return self._config.settle_ms
        return max(self._config.settle_ms, self._config.half_line_ms)

    def _is_final(self, rest_ms: int) -> bool:
        """Return whether the last line may lack its end: the file has rested, and still does."""
        try:
            return self._rested_ms >= rest_ms and stat_of(self.file.path) == self._stat
        except OSError:
            return False  # it was renamed or removed

    def _end_mark(self, data: Bytes, received_ns: int) -> Chunk | None:
        """Return a chunk without lines where the end was met only after the last line was handed out."""
        if self.file.finished or self.file.position == 0:
            return None
        return self._chunk(data, 0, self.file.position, True, received_ns)

    def _chunk(self, data: Bytes, length: int, end: int, done: bool, received_ns: int) -> Chunk:
        file = self.file
        start, line = file.position, self._line
        file.position, file.finished = end, done
        if end > start:
            near = data[max(0, length - TAIL_BYTES_MAX) : length]
            file.tail = near.tobytes() if end - start == length and not file.packed else b""
        self._line += count_lines(data.ctypes.data, length)
        stored = ~end if done else end
        return Chunk(
            self._config.name,
            file.key,
            data,
            length,
            start,
            stored,
            self._config.deduplicated,
            done,
            received_ns,
            line,
            self._header,
        )

    def _too_long(self, data: Bytes, filled: int, ended: bool, received_ns: int) -> Chunk | None:
        """Hand out the start of a line beyond the bound, and read past its end; wait where the end is not there yet."""
        passed, rest = filled, b""
        while not ended:
            count = self._stream.readinto(data.data[self._line_bytes_max + 1 : len(data) - PADDING]) or 0
            ended = count == 0
            block = data[self._line_bytes_max + 1 : self._line_bytes_max + 1 + count].tobytes()
            at = block.find(_LINE_END)
            if at >= 0:
                passed += at + 1
                rest = block[at + 1 :]
                break
            passed += count
        else:
            if not self._is_final(self._config.settle_ms):
                self.file.seen, self.file.waiting, self.file.rest_ms = self._stat, True, self._config.settle_ms
                return None
        self._carry = rest
        length = self._line_bytes_max + 1
        keep = data[:length].tobytes()
        data[: length + PADDING] = np.frombuffer(keep.ljust(length + PADDING, b"\0"), np.uint8)
        chunk = self._chunk(data, length, self.file.position + passed, ended, received_ns)
        self._line += 1
        return chunk

    def _fill(self, data: Bytes, size: int) -> tuple[int, bool]:
        """Fill the buffer; return the number of bytes and whether the end of the file was met."""
        view = data.data
        filled = len(self._carry)
        data[:filled] = np.frombuffer(self._carry, np.uint8)
        while filled < size:
            try:
                count = self._stream.readinto(view[filled:size]) or 0
            except (OSError, EOFError) as fault:
                if _whole_lines(data, filled) == 0:
                    raise
                self._fault = fault
                return filled, False
            if count == 0:
                return filled, True
            filled += count
        return filled, False

    def _start(self) -> tuple[bytes, int]:
        """Read past what was read before; return the header and the number of the next line."""
        header = b""
        skip = self.file.position
        line = 1
        if self._config.mapping.header:
            header = self._read_header()
            skip = max(0, skip - len(header) - 1)
            line = 2
            self.file.position = max(self.file.position, len(header) + 1)
        block = np.zeros(SKIP_BYTES + PADDING, np.uint8)
        view = block.data
        while skip > 0:
            count = self._stream.readinto(view[: min(skip, SKIP_BYTES)]) or 0
            if count == 0:
                raise EOFError(f"file ends {skip} bytes before the stored position {self.file.position}")
            line += count_lines(block.ctypes.data, count)
            skip -= count
        return header, line

    def _read_header(self) -> bytes:
        found = bytearray()
        byte = bytearray(1)
        while self._stream.readinto(memoryview(byte)):
            if byte == _LINE_END:
                return bytes(found)
            found += byte
            if len(found) > self._line_bytes_max:
                raise OSError(f"header line must be <= {self._line_bytes_max} bytes")
        raise EOFError("file ends within its header line")


def _whole_lines(data: Bytes, filled: int) -> int:
    """Return the number of bytes up to and with the last line end."""
    near = max(0, filled - _TAIL_BYTES)
    at = data[near:filled].tobytes().rfind(_LINE_END)
    if at < 0 and near:
        near = 0
        at = data[:filled].tobytes().rfind(_LINE_END)
    return near + at + 1 if at >= 0 else 0
