"""One real Kafka broker (KRaft) as a process, for tests and for a developer's hand.

    python -m tests.parts.kafka.broker FOLDER [PORT]     runs one until Ctrl-C; the folder keeps its data

The jars come from Maven Central through `install.sh`. The broker makes no topic by itself.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from perf.measure import cpu_s
from tests.parts.need import missing
from tests.parts.ports import free_port

HERE = Path(__file__).parent
READY_S = 60.0
LOG4J = """<Configuration status="ERROR"><Appenders><Console name="o" target="SYSTEM_OUT"><PatternLayout
pattern="%d %p %c %m%n"/></Console></Appenders><Loggers><Root level="WARN"><AppenderRef ref="o"/></Root></Loggers>
</Configuration>
"""


def installed() -> Path:
    """Return the folder of Kafka's jars."""
    stamp = hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "opportune" / "kafka" / stamp
    if shutil.which("java") is None:
        missing("java (Debian package default-jdk-headless)")
    if not (folder / "complete").exists():
        missing("Apache Kafka's jars: run tests/parts/kafka/install.sh")
    return folder / "libs"


class Broker:
    """A broker that tests may kill, pause and start again on the same data and port; used as a context, or by hand.

    With a `password`, its clients must speak TLS, trust `certificate` and log in as `user`, which may do everything, or
    as `other`, with the same password, which may do nothing.
    """

    user, other = "opportune", "feed"

    def __init__(self, folder: Path, port: int = 0, password: str = "") -> None:
        self.password = password
        self.certificate = folder / "certificate.pem"
        self._inside = free_port()
        self.folder = folder
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._controller = free_port()
        self._libs = installed()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it serves clients."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_settings()
        settings = str(self.folder / "server.properties")
        if not (self.folder / "data" / "meta.properties").exists():
            identity = self._java("kafka.tools.StorageTool", "random-uuid")
            self._java("kafka.tools.StorageTool", "format", "-t", identity, "-c", settings)
        with (self.folder / "broker.log").open("ab") as out:
            self._process = subprocess.Popen(self._command("kafka.Kafka", settings), stdout=out, stderr=out)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if self._answers():
                return
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"Kafka did not answer within {READY_S} s: see {self.folder / 'broker.log'}")

    def kill(self) -> None:
        """Kill it without a goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it close its files."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it from answering without closing a connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused broker go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether it was started and not ended, be it paused."""
        return self._process is not None

    def cpu_s(self) -> float:
        """Return the CPU seconds it has used."""
        assert self._process is not None
        return cpu_s(self._process.pid)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(READY_S)
            self._process = None

    def _command(self, *words: str) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}"
        return ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", log4j, "-cp", f"{self._libs}/*", *words]

    def _java(self, *words: str) -> str:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split("\n")[-2] if "random-uuid" in words else done.stdout

    def _answers(self) -> bool:
        """Ask which versions of its interface the broker speaks: it answers when it is unfenced."""
        request = bytes.fromhex("0000000e0012000000000001000474657374")
        try:
            with socket.create_connection(("127.0.0.1", self._inside), timeout=1) as probe:
                probe.sendall(request)
                return len(probe.recv(8)) == 8
        except OSError:
            return False

    def _write_settings(self) -> None:
        clients = "SASL_SSL" if self.password else "PLAINTEXT"
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "listeners": f"{self._listeners()},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": self._listeners(),
            "inter.broker.listener.name": "INSIDE",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": f"CLIENTS:{clients},INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "auto.create.topics.enable": "false",
        }
        if self.password:
            lines |= self._guarded()
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        (self.folder / "server.properties").write_text(text, encoding="utf-8")
        (self.folder / "log4j2.xml").write_text(LOG4J, encoding="utf-8")

    def _listeners(self) -> str:
        return f"CLIENTS://127.0.0.1:{self.port},INSIDE://127.0.0.1:{self._inside}"

    def _guarded(self) -> dict[str, str]:
        """Return the settings of TLS and log-in; makes a certificate."""
        key = self.folder / "key.pem"
        words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {key} -out {self.certificate}"
        command = ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(command, check=True, capture_output=True)
        store = self.folder / "store.pem"
        store.write_text(key.read_text(encoding="utf-8") + self.certificate.read_text(encoding="utf-8"))
        users = " ".join(f'user_{name}="{self.password}"' for name in (self.user, self.other))
        login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.clients.plain.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{self.user};User:ANONYMOUS",  # who speaks to the listeners of brokers has no name
            "allow.everyone.if.no.acl.found": "false",
        }


def main() -> None:
    """Run a broker until interrupted."""
    broker = Broker(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 9092)
    broker.start()
    print(f"Kafka serves at {broker.bootstrap}, data in {broker.folder}; Ctrl-C ends it")
    try:
        signal.pause()
    except KeyboardInterrupt:
        broker.stop()


if __name__ == "__main__":
    main()
