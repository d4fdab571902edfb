"""A message centre as a process: one of the two that we did not write; `install.sh` fetches and compiles them."""

import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.parts.need import missing
from tests.parts.ports import free_port

HERE = Path(__file__).parent
SUBMIT = re.compile(r"submit src=(\S*) dst=(\S+) esm=(\S+) dcs=(\S+) rd=(\S+) validity=(\S+) sm=(\S*)")
ARRIVAL = re.compile(r"submit src=(\S*) dst=(\d+) .* sm=(\S*) at=(\d+)")
RECEIPT = re.compile(r"receipt acked \S+ src=(\S*) dst=(\d+) sm=(\S*)")
READY_S = 30.0


class Text(NamedTuple):
    """What was said to whom, from which address."""

    source: str
    destination: int
    text: str


class Arrival(NamedTuple):
    """A text that came, and when the centre took it: milliseconds since 1970."""

    at_ms: int
    text: Text


def installed() -> Path:
    """Return the folder of classes and libraries that belongs to these sources."""
    sources = [HERE / "pom.xml", *sorted(HERE.glob("*.java"))]
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "opportune" / "smsc" / stamp
    if shutil.which("java") is None or not (folder / "complete").exists():
        missing(f"the SMSC libraries in {folder}: run tests/parts/smsc/install.sh")
    return folder


class Centre:
    """A message centre that may be stopped and started again on its port; `lines` is what it printed."""

    def __init__(self, name: str, *behaviour: object) -> None:
        self.name, self.behaviour = name, behaviour
        self.lines: list[str] = []
        self.port = free_port()

    def start(self) -> None:
        folder, before = installed(), len(self.lines)
        java = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"]
        command = [*java, "-cp", f"{folder}/classes:{folder}/lib/*", self.name, str(self.port), "tester", "secret"]
        self.process = subprocess.Popen([*command, *map(str, self.behaviour)], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if f"READY {self.port}" in self.lines[before:]:
                return
            time.sleep(0.01)
        self.stop()
        raise AssertionError(f"{self.name} did not answer on port {self.port} within {READY_S} s: {self.lines}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def submits(self) -> list[tuple[str, ...]]:
        """Source, destination, esm class, coding, registered delivery, validity and octets of every submit."""
        return [match.groups() for line in list(self.lines) if (match := SUBMIT.match(line))]

    @property
    def arrivals(self) -> list[Arrival]:
        """Every submit in the order of coming; of Cloudhopper's centre."""
        found = (ARRIVAL.match(line) for line in list(self.lines))
        return [Arrival(int(one[4]), _text(*one.group(1, 2, 3))) for one in found if one]

    @property
    def receipts(self) -> list[Text]:
        """The texts whose receipts were taken; of Cloudhopper's centre."""
        return [_text(*match.groups()) for line in list(self.lines) if (match := RECEIPT.match(line))]


def gateway_settings(port: int, password: str, window: int) -> str:
    """Return the settings of a gateway `smsc` to a centre; `password` is a reference, as TOML."""
    return f"""
[gateways.smsc]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "tester"
password = {password}
window = {window}
rate_per_s = 10000.0
reconnect_ms_min = 20
reconnect_ms_max = 500
"""


def channel_settings(name: str, source_address: str, rate_per_s: float, quota_per_day: int = 0) -> str:
    """Return the settings of a channel by that gateway; a quota of 0 is none."""
    quota = f"quota_per_day = {quota_per_day}\n" if quota_per_day else ""
    return f"""
[channels.{name}]
gateway = "smsc"
source_address = "{source_address}"
rate_per_s = {float(rate_per_s)}
{quota}"""


def _text(source: str, destination: str, octets: str) -> Text:
    """Octets of the default alphabet, of which digits and small letters are those of ASCII."""
    return Text(source, int(destination), bytes.fromhex(octets).decode("ascii"))
