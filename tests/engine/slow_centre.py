"""A message centre of few lines and its own book-keeping: slow, and once a subscriber has had enough it replies.

It speaks just enough SMPP 3.4, written from the specification and sharing no code with the product: bind, submit_sm,
deliver_sm, enquire_link, unbind. Its two times (when a submit came, when a reply was acknowledged) judge.
"""

import asyncio
import struct
import time
from dataclasses import dataclass, field

HEAD = struct.Struct(">IIII")
BINDS, SUBMIT, DELIVER, ENQUIRE, UNBIND = (1, 2, 9), 4, 5, 0x15, 6
RESPONSE = 0x80000000


@dataclass
class SlowCentre:
    """Answers each submit after `answer_s`; after the `texts`-th text to `subscriber` it says `word` in its name."""

    subscriber: int
    word: bytes = b"TD"
    texts: int = 2
    answer_s: float = 0.05
    submits: list[tuple[float, int]] = field(default_factory=list)
    acknowledged: list[tuple[float, int]] = field(default_factory=list)
    port: int = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._session, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def after(self, moment_s: float) -> list[int]:
        """Whom submits were for that came after a moment."""
        return [subscriber for came_s, subscriber in self.submits if came_s > moment_s]

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length, command, status, sequence = HEAD.unpack(await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                if command in BINDS:
                    self._write(writer, command | RESPONSE, sequence, b"centre\0")
                elif command == SUBMIT:
                    self._submitted(writer, sequence, body)
                elif command == DELIVER | RESPONSE:
                    self.acknowledged.append((time.monotonic(), status))
                elif command in (ENQUIRE, UNBIND):
                    self._write(writer, command | RESPONSE, sequence)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _submitted(self, writer: asyncio.StreamWriter, sequence: int, body: bytes) -> None:
        destination = int(_second_address(body))
        self.submits.append((time.monotonic(), destination))
        answer = f"{len(self.submits)}".encode() + b"\0"
        loop = asyncio.get_running_loop()
        loop.call_later(self.answer_s, self._write, writer, SUBMIT | RESPONSE, sequence, answer)
        if [to for _, to in self.submits].count(self.subscriber) == self.texts and destination == self.subscriber:
            source = b"\0\1\1" + str(self.subscriber).encode() + b"\0"
            text = bytes(9) + bytes([len(self.word)]) + self.word
            self._write(writer, DELIVER, 77, source + b"\1\1" + b"10086\0" + text)

    def _write(self, writer: asyncio.StreamWriter, command: int, sequence: int, body: bytes = b"") -> None:
        if not writer.is_closing():
            writer.write(HEAD.pack(16 + len(body), command, 0, sequence) + body)


def _second_address(body: bytes) -> bytes:
    """The destination of a submit_sm: service type, source, then type of number, plan, digits."""
    rest = body.partition(b"\0")[2]
    rest = rest[2:].partition(b"\0")[2]
    return rest[2:].partition(b"\0")[0]
