"""The requests of a webhook: body, signature, headers; and what an answer means.

    POST url
    Content-Type: application/json
    Idempotency-Key: 0-17-3-5f2a            the decision's id: the other side acts once for it
    Opportune-Signature: t=1225760400,v1=HEX        HMAC-SHA256 with the secret over "1225760400." and the body

    {"id": "0-17-3-5f2a", "to": 8613800000001, "about": null, "from": "10086", "text": "...", "class": "commercial",
     "shelf_life_ms": 600000}

An alert has `about`, the subscriber that it tells of, and `to` only where its channel has a number.
"""

import hashlib
import hmac
import re

import orjson

from connectors.contract import Message, Outcome, State

SIGNATURE = "Opportune-Signature"
KEY = "Idempotency-Key"
AGE_S_MAX = 300
"""A signature is taken for so long after its time."""
_NOT_TAKEN = {408, 425, 429, 503}
_SECONDS = re.compile("[0-9]{1,9}")
RETRY_S_MAX = 3_600


def encode(message: Message) -> bytes:
    """Return the body of a request."""
    body = {
        "id": message.decision_id,
        "to": message.destination or None,
        "about": message.about or None,
        "from": message.source_address,
        "text": message.text.encode("utf-8", "replace").decode(),
        "class": message.klass,
        "shelf_life_ms": message.shelf_life_ms,
    }
    return orjson.dumps(body)


def headers_of(message: Message, body: bytes, secret: bytes, now_s: int) -> dict[str, str]:
    """Return the headers of a request; `now_s` is epoch seconds."""
    signature = f"t={now_s},v1={_signed(body, secret, now_s)}"
    return {"Content-Type": "application/json", KEY: message.decision_id, SIGNATURE: signature}


def is_signed(body: bytes, signature: str, secret: bytes, now_s: int) -> bool:
    """Return whether a signature is that of a body, and fresh; for the other side."""
    fields = dict(part.partition("=")[::2] for part in signature.split(","))
    time, digest = fields.get("t", ""), fields.get("v1", "")
    if not (time.isascii() and time.isdigit() and len(time) < 16) or abs(now_s - int(time)) > AGE_S_MAX:
        return False
    return hmac.compare_digest(_signed(body, secret, int(time)).encode(), digest.encode())


def outcome_of(status: int, retry_after: str, decision_id: str) -> Outcome:
    """Return what an answer means: taken, refused, asked for later, or nobody knows (and it is posted again)."""
    if 200 <= status < 300:
        return Outcome(State.ACCEPTED, "", (decision_id,))
    code = f"HTTP {status}"
    if status in _NOT_TAKEN:
        wish_s = min(int(retry_after), RETRY_S_MAX) if _SECONDS.fullmatch(retry_after) else None
        return Outcome(State.RETRY, code, (), wish_s * 1000 if wish_s is not None else None)
    return Outcome(State.UNKNOWN if status >= 500 else State.PERMANENT, code)


def _signed(body: bytes, secret: bytes, now_s: int) -> str:
    return hmac.new(secret, str(now_s).encode() + b"." + body, hashlib.sha256).hexdigest()
