"""The log of one partition: frames with dense positions, and the schemas that they were written under.

A frame names its schema by fingerprint. The schema itself is a small file in the same folder, durable before the first
frame that uses it is written, so a log can be read without the rule book that made it.

How a frame becomes bytes is not known here: see `state.frame`.
"""

from collections.abc import Iterator
from pathlib import Path

from state.disk import DamagedError, Disk, RealDisk, read_whole, write_whole
from state.frame import Encoder, Frame, FrameError, decode
from state.schema import Schema, schema_from_json, schema_to_json
from state.segments import SEGMENT_BYTES, Segmented, Segments

_SUFFIX = ".schema"


class Log(Segmented):
    """Frames of one partition; one appender, one syncing thread, any number of readers.

    Raises:
        LockedError: another process appends here.
        DamagedError: durable frames do not check.
    """

    def __init__(
        self, folder: Path, disk: Disk | None = None, *, segment_bytes: int = SEGMENT_BYTES, read_only: bool = False
    ) -> None:
        self._disk = disk if disk is not None else RealDisk()
        self._folder = folder
        self._schemas: dict[str, Schema] = {}
        self._encoder = Encoder()
        super().__init__(Segments(folder, self._disk, segment_bytes=segment_bytes, read_only=read_only))

    @property
    def durable(self) -> int:
        """Highest position on disk; -1: none."""
        return self._segments.durable

    def append(self, frame: Frame) -> int:
        """Write a frame, without sync, and return its position; DiskFullError leaves the log as it was."""
        if frame.batch is not None:
            self._store_schema(frame.batch.schema)
        return self._segments.append([self._encoder.encode(frame)], frame.append_ms)

    def sync(self) -> int:
        """Make every frame appended before the call durable; return the highest durable position."""
        return self._segments.sync()

    def read(self, start: int) -> Iterator[tuple[int, Frame]]:
        """Yield (position, frame) from `start` to the present end.

        Raises:
            GoneError: `start` is older than what is kept.
            DamagedError: a frame does not read back as it was written.
        """
        for record in self._segments.read(start):
            try:
                frame = decode(record.payload, self.schema)
            except FrameError as error:
                raise DamagedError(f"{self._folder}: position={record.position} is no frame: {error}") from error
            yield record.position, frame

    def schema(self, fingerprint: str) -> Schema:
        """Return the schema with this fingerprint; DamagedError when the log does not have it."""
        if fingerprint not in self._schemas:
            path = self._path(fingerprint)
            if path.name not in self._disk.names(self._folder):
                raise DamagedError(f"{path} is missing: frames name this schema")
            schema = schema_from_json(read_whole(self._disk, path))
            if schema.fingerprint != fingerprint:
                raise DamagedError(f"{path} has fingerprint={schema.fingerprint}: it does not read back as written")
            self._schemas[fingerprint] = schema
        return self._schemas[fingerprint]

    def _store_schema(self, schema: Schema) -> None:
        """Make the schema durable before its first frame."""
        if schema.fingerprint in self._schemas:
            return
        path = self._path(schema.fingerprint)
        if path.name not in self._disk.names(self._folder):
            write_whole(self._disk, path, schema_to_json(schema))
        self._schemas[schema.fingerprint] = schema

    def _path(self, fingerprint: str) -> Path:
        return self._folder / f"{fingerprint}{_SUFFIX}"
