"""What the judges of a world know of its past."""

from collections import Counter, defaultdict
from concurrent.futures import Future
from typing import Any

from engine.book.compiled import CompiledBook
from state.decisions import OutcomeState
from tests.simulation.judges.contacts import Contact
from tests.simulation.judges.deadlines import DeadlineJudge
from tests.simulation.judges.twin import Twin
from tests.simulation.life import Size
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.traffic import Traffic


class Known:
    """Books of the judges: what became durable, was decided, was sent, and ended."""

    def __init__(self, size: Size, machine: Machine, traffic: Traffic, network: Network) -> None:
        self.size = size
        self.machine = machine
        self.traffic = traffic
        self.network = network
        count = size.partitions
        self.books: dict[str, CompiledBook] = {}
        self.twins = [Twin(p, size, lambda version: self.books[version]) for p in range(count)]
        self.frames: list[list[int]] = [[] for _ in range(count)]  # checksum of every durable frame
        self.batches: list[list[tuple[int, bytes]]] = [[] for _ in range(count)]
        self.entries = [0] * count  # journal entries looked at
        self.rows: dict[int, int] = {}  # how often a line became a row
        self.seen_ids: list[dict[int, int]] = [{} for _ in range(count)]
        self.passed: dict[tuple[int, str], int] = defaultdict(int)  # lines of a file that a partition has passed
        self.contacts: dict[int, list[Contact]] = defaultdict(list)
        self.overflowed: set[int] = set()
        self.touched: list[dict[int, None]] = [{} for _ in range(count)]  # whose contacts changed since the last check
        self.calls: Counter[int] = Counter()
        self.decided: dict[str, str] = {}  # decision: class of its rule
        self.ends: dict[str, set[OutcomeState]] = defaultdict(set)
        self.submitted: dict[str, int] = {}  # decision: its last attempt, by number
        self.closed: set[str] = set()  # decisions that no gateway may see again
        self.stopped: dict[tuple[str, str], str] = {}
        self.sent_on: dict[tuple[int, str], set[str]] = defaultdict(set)
        self.counted: Counter[str] = Counter()
        self.deadlines = DeadlineJudge(size.lateness_ms, self.counted)
        self.asked: list[Future[Any]] = []
        self.too_early: list[int] = []  # lines that were acknowledged before they were durable
        self.lives = 0
        self.decided_in: dict[str, int] = {}  # decision: the life of the engine that made it

    def _repeatable(self, name: str) -> bool:
        return self.size.resend_unknown_service and self.decided[name] == "service"
