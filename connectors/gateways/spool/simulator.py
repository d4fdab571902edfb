"""The other side of a spool, for demonstrations: reads messages, writes receipts.

`python -m connectors.gateways.spool.simulator FOLDER` follows `out.ndjson` and answers each new message with a
delivered receipt in `in.ndjson`; numbers that start with 998 are undelivered. It starts at the file's beginning.
Start it before the engine: a spool expects receipts only when `in.ndjson` is there.
"""

import argparse
import sys
import time
from pathlib import Path

import orjson

_POLL_S = 0.2


def answer(folder: Path, position: int) -> int:
    """Write a receipt for every whole line of `out.ndjson` from `position`; return the position after them."""
    out = folder / "out.ndjson"
    if not out.exists():
        return position
    with out.open("rb") as file:
        if file.seek(0, 2) < position:
            position = 0
        file.seek(position)
        data = file.read()
    data = data[: data.rfind(b"\n") + 1]
    with (folder / "in.ndjson").open("ab") as file:
        file.writelines(map(_receipt, data.splitlines()))
    return position + len(data)


def _receipt(line: bytes) -> bytes:
    message = orjson.loads(line)
    state = "undelivered" if str(message["to"]).startswith("998") else "delivered"
    return orjson.dumps({"receipt": message["id"], "state": state}, option=orjson.OPT_APPEND_NEWLINE)


def main() -> None:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(description="Answers the messages of a spool with receipts.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.ndjson").touch()
    position = 0
    try:
        while True:
            position = answer(folder, position)
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")


if __name__ == "__main__":
    main()
