"""A message centre to demonstrate and test against: `python -m connectors.gateways.smpp.simulator --port 2775`.

It takes binds and submits as a real SMSC does, throttles above a rate, works for a while on each submit, and returns
receipts. What goes wrong is by number, so that a test can ask for it:

    destination 999XX...   refused with command status XX (hexadecimal, two digits or more)
    destination 998...     accepted, later undelivered
    destination 997...     accepted, the receipt comes before the answer, and twice
    destination 996...     taken, never answered
    destination 995...     taken, then the connection is cut

Nothing is stored; the numbers above are the only script. Our real judges are the SMSCs in `tests/parts/smsc`.
"""

import argparse
import asyncio
import sys
from collections import deque
from dataclasses import dataclass, field

from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Pdu, Short

_REPORT_S = 5.0
_SEEN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How the simulated SMSC behaves."""

    port: int = 0
    host: str = "127.0.0.1"
    system_id: str = "opportune"
    password: str = "secret"  # noqa: S105 - of a simulator on loopback
    rate_per_s: int = 0
    """Submits a second before it says throttled; 0 is no limit."""
    work_ms: int = 0
    """Time until a submit is answered."""
    receipt_ms: int = 50
    """Time from the answer to the receipt."""


@dataclass(slots=True)
class Counts:
    """What the simulator has seen; `last` holds the newest accepted submits."""

    binds: int = 0
    submits: int = 0
    accepted: int = 0
    throttled: int = 0
    refused: int = 0
    receipts_acked: int = 0
    last: deque[tuple[str, Short]] = field(default_factory=lambda: deque(maxlen=_SEEN_MAX))


class Simulator:
    """A listening SMSC; `port` is known after `start`."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.counts = Counts()
        self.sessions: set[_Session] = set()
        self.port = config.port
        self._server: asyncio.Server | None = None
        self._next_id = 0
        self._second = self._in_second = 0

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), self.config.host, self.config.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection and stop listening."""
        for session in list(self.sessions):
            session.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def reply_from(self, subscriber: int, to_address: str, text: str) -> None:
        """Send a text from a subscriber to us, over any bound session."""
        session = next(iter(self.sessions))
        source, destination = codec.Address(1, 1, str(subscriber)), codec.Address(0, 1, to_address)
        session.deliver(
            Short(source, destination, coding=codec.CODING_UCS2, payload=text.encode("utf-16-be", "replace"))
        )

    def take(self, short: Short) -> tuple[int, str]:
        """Return the status and id with which a submit is answered."""
        counts = self.counts
        counts.submits += 1
        if self._too_fast():
            counts.throttled += 1
            return codec.THROTTLED, ""
        number = short.destination.digits
        if number.startswith("999"):
            counts.refused += 1
            return int(number[3:11] or "8", 16), ""
        counts.accepted += 1
        self._next_id += 1
        message_id = f"{self._next_id:010x}"
        counts.last.append((message_id, short))
        return codec.OK, message_id

    def _too_fast(self) -> bool:
        if not self.config.rate_per_s:
            return False
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._in_second > self.config.rate_per_s


class _Session(asyncio.Protocol):
    """One connection of an ESME."""

    def __init__(self, smsc: Simulator) -> None:
        self._smsc = smsc
        self._framer = codec.Framer()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._sequence = 0
        self._bound = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        self._smsc.sessions.discard(self)

    def cut(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            for pdu in self._framer.feed(data):
                self._take(pdu)
        except codec.CodecError:
            self.cut()

    def _take(self, pdu: Pdu) -> None:
        if pdu.command == codec.SUBMIT_SM and self._bound:
            self._submit(pdu)
        elif pdu.command == codec.DELIVER_SM | codec.RESPONSE:
            self._smsc.counts.receipts_acked += pdu.status == codec.OK
        elif pdu.command == codec.ENQUIRE_LINK:
            self._answer(pdu, codec.OK)
        elif pdu.command == codec.UNBIND:
            self._answer(pdu, codec.OK)
            self._loop.call_soon(self._hang_up)
        elif pdu.command in (codec.BIND_TRANSCEIVER, codec.BIND_TRANSMITTER, codec.BIND_RECEIVER):
            self._bind(pdu)
        elif not pdu.command & codec.RESPONSE:
            self._write(codec.encode(codec.GENERIC_NACK, codec.INVALID_COMMAND, pdu.sequence))

    def _bind(self, pdu: Pdu) -> None:
        bind = codec.unpack_bind(pdu.body)
        if bind.system_id != self._smsc.config.system_id:
            self._answer(pdu, codec.BAD_SYSTEM_ID)
        elif bind.password != self._smsc.config.password:
            self._answer(pdu, codec.BAD_PASSWORD)
        else:
            self._bound = True
            self._smsc.counts.binds += 1
            self._smsc.sessions.add(self)
            version = codec.pack_tlvs({codec.TLV_INTERFACE_VERSION: b"\x34"})
            self._answer(pdu, codec.OK, b"simulator\0" + version)

    def _submit(self, pdu: Pdu) -> None:
        short = codec.unpack_short(pdu.body)
        number = short.destination.digits
        status, message_id = self._smsc.take(short)
        if number.startswith("996") and status == codec.OK:
            return
        if number.startswith("995") and status == codec.OK:
            self.cut()
            return
        if number.startswith("997") and status == codec.OK:
            self._receipt(short, message_id)
            self._receipt(short, message_id)
        elif status == codec.OK and short.registered & 3 == 1:
            delay_s = (self._smsc.config.work_ms + self._smsc.config.receipt_ms) / 1000
            self._loop.call_later(delay_s, self._receipt, short, message_id)
        body = codec.pack_id(message_id) if status == codec.OK else b""
        if self._smsc.config.work_ms:
            self._loop.call_later(self._smsc.config.work_ms / 1000, self._answer, pdu, status, body)
        else:
            self._answer(pdu, status, body)

    def _receipt(self, short: Short, message_id: str) -> None:
        good = not short.destination.digits.startswith("998")
        stat, number, err = ("DELIVRD", 2, "000") if good else ("UNDELIV", 5, "00B")
        text = f"id:{message_id} sub:001 dlvrd:00{int(good)} submit date:0811040900 done date:0811040900 stat:{stat} "
        self.deliver(
            Short(
                source=short.destination,
                destination=short.source,
                esm_class=codec.ESM_RECEIPT,
                payload=(text + f"err:{err} text:").encode("ascii"),
                tlvs={
                    codec.TLV_RECEIPTED_ID: message_id.encode("ascii") + b"\0",
                    codec.TLV_MESSAGE_STATE: bytes((number,)),
                },
            )
        )

    def deliver(self, short: Short) -> None:
        """Send a deliver_sm, over another session when this one is gone."""
        if self._transport is None or self._transport.is_closing():
            others = [session for session in self._smsc.sessions if session is not self]
            if others:
                others[0].deliver(short)
            return
        self._sequence = self._sequence % codec.SEQUENCE_MAX + 1
        self._write(codec.encode(codec.DELIVER_SM, codec.OK, self._sequence, codec.pack_short(short)))

    def _answer(self, pdu: Pdu, status: int, body: bytes = b"") -> None:
        self._write(codec.encode(pdu.command | codec.RESPONSE, status, pdu.sequence, body))

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _arguments() -> SimulatorConfig:
    defaults = SimulatorConfig()
    parser = argparse.ArgumentParser(description="A message centre that speaks SMPP 3.4, for demonstrations.")
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=2775)
    parser.add_argument("--system-id", default=defaults.system_id)
    parser.add_argument("--password", default=defaults.password)
    parser.add_argument("--rate-per-s", type=int, default=0, help="submits a second before throttling; 0 is no limit")
    parser.add_argument("--work-ms", type=int, default=0, help="time until a submit is answered")
    parser.add_argument("--receipt-ms", type=int, default=defaults.receipt_ms, help="time from answer to receipt")
    return SimulatorConfig(**vars(parser.parse_args()))


async def _serve(config: SimulatorConfig) -> None:
    simulator = Simulator(config)
    await simulator.start()
    sys.stdout.write(f"READY {simulator.port}\n")
    seen = -1
    while True:
        sys.stdout.flush()
        await asyncio.sleep(_REPORT_S)
        counts = simulator.counts
        if counts.submits != seen:
            seen = counts.submits
            sys.stdout.write(
                f"links {len(simulator.sessions)}  submits {counts.submits}  accepted {counts.accepted}  "
                f"throttled {counts.throttled}  refused {counts.refused}  receipts taken {counts.receipts_acked}\n"
            )


def main() -> None:
    """Run the simulator until interrupted."""
    try:
        asyncio.run(_serve(_arguments()))
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")
    except OSError as fault:
        sys.exit(f"simulator: {fault}")


if __name__ == "__main__":
    main()
