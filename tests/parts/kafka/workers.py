"""Workers of a cluster as processes, on one broker, under one configuration; and what they must decide.

`supervise` stands for whatever starts a worker again when it has ended: systemd, an orchestrator.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perf.measure import cpu_s
from perf.product import configure, running, write_book
from state.decisions import DecisionBatch, decode
from state.journal import Journal
from tests.parts.kafka.broker import Broker
from tests.parts.kafka.rig import Reader, make_topic, produce, produce_blocks, produce_each

ROOT = Path(__file__).parents[3]
START = "import sys; from engine.commands import main; sys.exit(main())"
PARTITIONS = 8
RAW_PARTITIONS = 4
ONE_TOPIC = {"raw": RAW_PARTITIONS}
"""Raw topics, each with its number of partitions."""
CONFIG = """
[data]
partitions = {partitions}
clock = "{clock}"
lateness_s = {lateness_s}
[book]
folder = "book"
[state]
memory_subscribers = {memory_subscribers}
recovery_target_s = {recovery_target_s}
[http]
port = 0
[cluster]
bootstrap = ["{bootstrap}"]
replicas = 1
agents = {agents}
session_timeout_ms = {session_timeout_ms}
{cluster_settings}
"""
SOURCE = """
[[sources.kafka]]
name = "{name}"
topic = "{topic}"
blocks = {blocks}
"""


class Worker:
    """One worker, which may be killed, paused and started again on its own data directory."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.folder, self.name, self.options = folder, name, options
        self.program = START
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Worker":
        self.starts += 1
        command = [sys.executable, "-c", self.program, "worker", "--data", self.name, *self.options]
        with (self.folder / f"{self.name}.log").open("ab") as out:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=out, stderr=out, env=os.environ | {"PYTHONPATH": str(ROOT)}
            )
        return self

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    @property
    def ended(self) -> bool:
        """Whether it was started and runs no more."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> int:
        """End it gracefully; return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the process that runs now."""
        assert self.process is not None
        return cpu_s(self.process.pid)

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(encoding="utf-8")


class Cluster:
    """A folder with book and configuration, its topics, and the workers started there; see `cluster_on`.

    `workers` are those that `supervise` starts again; who is to stay away is taken off the list.
    """

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        book: dict[str, str],
        *,
        recovery_target_s: float = 0.003,
        session_timeout_ms: int = 3000,
        more: str = "",
        partitions: int = PARTITIONS,
        memory_subscribers: int = 2_000_000,
        blocks: bool = False,
        cluster_settings: str = "",
        clock: str = "wall",
        lateness_s: int = 10,
        agents: Sequence[str] = ("intake", "decide"),
        topics: Mapping[str, int] = ONE_TOPIC,
    ) -> None:
        self.folder, self.broker = folder, broker
        self.partitions = partitions
        self.workers: list[Worker] = []
        self._started: list[Worker] = []
        folder.mkdir(parents=True, exist_ok=True)
        write_book(folder / "book", book)
        text = CONFIG.format(
            partitions=partitions,
            memory_subscribers=memory_subscribers,
            clock=clock,
            lateness_s=lateness_s,
            agents=list(agents),
            cluster_settings=cluster_settings,
            bootstrap=broker.bootstrap,
            recovery_target_s=recovery_target_s,
            session_timeout_ms=session_timeout_ms,
        )
        for topic, raw_partitions in topics.items():
            name = "feed" if topic == "raw" else topic
            text += SOURCE.format(name=name, topic=topic, blocks=str(blocks).lower())
            asyncio.run(make_topic(broker.bootstrap, topic, raw_partitions))
        (folder / "config.toml").write_text(text + more, encoding="utf-8")
        assert self.command("topics", "create").returncode == 0

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the command line to its end."""
        return subprocess.run(
            [sys.executable, "-c", START, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def worker(self, name: str, *options: str) -> Worker:
        """Start a worker."""
        self._started.append(Worker(self.folder, name, *options).start())
        self.workers.append(self._started[-1])
        return self._started[-1]

    def produce(self, lines: list[bytes], topic: str = "raw", partitions: int = RAW_PARTITIONS) -> None:
        asyncio.run(produce(self.broker.bootstrap, topic, partitions, lines))

    def produce_blocks(self, blocks: Iterable[bytes]) -> None:
        """Write one record a block of lines; for a cluster of blocks."""
        asyncio.run(produce_blocks(self.broker.bootstrap, "raw", RAW_PARTITIONS, blocks))

    def produce_to(self, topic: str, values: list[bytes]) -> None:
        """Write one value to each of a topic's partitions."""
        asyncio.run(produce_each(self.broker.bootstrap, topic, values))

    def restart_broker(self) -> None:
        """Kill the broker and start it on the same data."""
        self.broker.kill()
        self.broker.start()

    def supervise(self) -> list[str]:
        """Start those again that have ended; return their names."""
        ended = [one for one in self.workers if one.ended]
        for one in ended:
            one.start()
        return [one.name for one in ended]

    def port(self, worker: Worker) -> int:
        """Return where a worker's front listens; OSError when it does not."""
        return int(json.loads((self.folder / worker.name / "http.json").read_bytes())["port"])

    def addresses(self) -> list[str]:
        """Return where the fronts of workers are, or were when they were last heard of."""
        found = []
        for worker in list(self.workers):
            with contextlib.suppress(OSError, ValueError):
                found.append(f"http://127.0.0.1:{self.port(worker)}")
        return found

    def page(self, worker: Worker, path: str) -> bytes:
        """Return a page of a worker's front; OSError when it does not answer."""
        port = self.port(worker)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bytes(answer.read())

    def status(self, worker: Worker) -> dict[str, Any]:
        """Return what a worker tells of itself; nothing when it does not answer."""
        try:
            return dict(json.loads(self.page(worker, "/status")))
        except (OSError, ValueError):
            return {}

    def folded(self, worker: Worker) -> int:
        """Return how many events a worker's partitions have folded since it owns them."""
        return sum(one["events"] for one in self.status(worker).get("partitions", {}).values())

    def packed(self, worker: Worker) -> int:
        """Return how many events a worker's intake has packed and committed."""
        page = self.page(worker, "/metrics").decode()
        return int(sum(float(one.split()[-1]) for one in page.splitlines() if one.startswith("opportune_events_total")))

    def wait_until_owned(self, workers: int, seconds: float = 60.0) -> None:
        """Wait until every partition has an owner, and that many workers own some."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            owned = [len(self.status(one).get("partitions", {})) for one in self.workers]
            if sum(owned) == self.partitions and sum(count > 0 for count in owned) == workers:
                return
            self.supervise()
            time.sleep(0.1)
        raise AssertionError(f"partitions owned by {workers} workers after {seconds} s: {owned}")

    def close(self) -> None:
        """Leave no worker behind, be it one that was taken off `workers`."""
        for one in self._started:
            if one.process is not None and one.process.poll() is None:
                one.signal(signal.SIGCONT)
                one.kill()

    def read_until(self, done: Callable[[Reader], bool], seconds: float = 60.0) -> Reader:
        """Read decisions from the beginning until `done` says so, and then what still comes."""

        async def read() -> Reader:
            reader = await Reader(self.broker.bootstrap, "opportune.decisions", self.partitions).start()
            try:
                deadline = time.monotonic() + seconds
                while not done(reader) and time.monotonic() < deadline:
                    await reader.poll()
                    self.supervise()
                await reader.until_quiet()
                return reader
            finally:
                await reader.stop()

        return asyncio.run(read())


@contextmanager
def cluster_on(folder: Path, book: dict[str, str], **settings: Any) -> Iterator[Cluster]:
    """A cluster below `folder`, with a broker of its own; whatever fails, neither is left behind.

    `settings` are those of `Cluster`.
    """
    with Broker(folder / "kafka") as broker:
        cluster = Cluster(folder / "cluster", broker, book, **settings)
        try:
            yield cluster
        finally:
            cluster.close()


def decided_embedded(
    folder: Path, book: dict[str, str], lines: list[bytes], *, subscribers: int = 200_000
) -> list[tuple[int, DecisionBatch]]:
    """Return what the embedded engine decides of the same lines in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    config = configure(folder, book, subscribers=subscribers, threads=2, partitions=PARTITIONS)
    inbox = folder / "inbox"
    inbox.mkdir()
    (inbox / "a.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    with running(config) as engine:
        engine.take_files(inbox)
    found: list[tuple[int, Any]] = []
    for partition in range(PARTITIONS):
        journal = Journal(config.data.directory / "journal" / str(partition), read_only=True)
        found += [(partition, decode(bytes(entry.payload))) for entry in journal.read(journal.first_position)]
        journal.close()
    return found


def rows(batches: list[tuple[int, DecisionBatch]]) -> int:
    """Return how many records there are."""
    return sum(batch.n for _, batch in batches)


def wait_for_text(path: Path, *texts: str, seconds: float = 60.0) -> None:
    """Wait until a file holds all the texts."""
    deadline = time.monotonic() + seconds
    while not all(text in path.read_text(encoding="utf-8") for text in texts):
        assert time.monotonic() < deadline, path.read_text(encoding="utf-8")
        time.sleep(0.1)
