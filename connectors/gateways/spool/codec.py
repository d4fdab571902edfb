"""The lines of a spool: messages out, receipts and replies in.

out   {"id": "0-17-3-5f2a", "to": 8613800000001, "from": "10086", "text": "...", "class": "commercial",
       "shelf_life_ms": 600000, "at_ms": 1225760400000}
      An alert has "about", the subscriber that it tells of, and "to" is null unless its channel has a number.
in    {"receipt": "0-17-3-5f2a", "state": "delivered", "code": ""}
      {"from": 8613800000001, "to": "10086", "text": "TD"}
"""

import orjson

from connectors.contract import Message, MobileOriginated, Receipt, ReceiptState


class SpoolLineError(Exception):
    """A line of `in.ndjson` says nothing that we understand; the text names the field, never a number of a person."""


def encode(message: Message, at_ms: int) -> bytes:
    """Return one line of `out.ndjson`."""
    line = {
        "id": message.decision_id,
        "to": message.destination or None,
        **({"about": message.about} if message.about else {}),
        "from": message.source_address,
        "text": message.text.encode("utf-8", "replace").decode(),
        "class": message.klass,
        "shelf_life_ms": message.shelf_life_ms,
        "at_ms": at_ms,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def decode(gateway: str, line: bytes, at_ms: int) -> Receipt | MobileOriginated:
    """Read one line of `in.ndjson`."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        raise SpoolLineError(f"a line of {len(line)} bytes must be JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise SpoolLineError(f"a line of {len(line)} bytes must be an object")
    if "receipt" in value:
        return Receipt(gateway, str(value["receipt"]), _state(value.get("state")), str(value.get("code", "")), at_ms)
    subscriber = value.get("from")
    if not isinstance(subscriber, int) or not 0 < subscriber < 1 << 63:
        raise SpoolLineError("from must be a number > 0 and < 2 to the 63rd")
    return MobileOriginated(gateway, subscriber, str(value.get("to", "")), str(value.get("text", "")), at_ms)


def _state(name: object) -> ReceiptState:
    try:
        return ReceiptState(name)
    except ValueError as fault:
        known = ", ".join(state.value for state in ReceiptState)
        raise SpoolLineError(f"state={name!r} must be one of {known}") from fault
