"""A real redis-server on a free port, which tests may kill, pause and start again."""

import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.parts.need import program
from tests.parts.ports import free_port


class RedisServer:
    """One server process, used as a context or by hand.

    What it held is gone when it dies, unless it `keeps` it in an append-only file.
    """

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        self._program = program("redis-server", package="redis-server")
        self._folder = folder
        self._appends = "yes" if keeps else "no"
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"--port {self.port} --bind 127.0.0.1 --save  --appendonly {self._appends} --loglevel warning"
        options += f" --dir {self._folder}"
        words = [word if word else "" for word in options.split(" ")]
        self._process = subprocess.Popen([self._program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise AssertionError(f"redis-server did not answer on port {self.port} within 10 s")

    def ask(self, command: str) -> None:
        """Have it carry out a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asking:
            asking.sendall(f"{command}\r\n".encode())
            assert asking.recv(16).startswith(b"+OK")

    def snapshot(self) -> None:
        """Have it write what it holds now to a file, with which it will start again."""
        self.ask("SAVE")

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def running(self) -> bool:
        """Whether it was started and not killed, be it paused."""
        return self._process is not None

    def pause(self) -> None:
        """Stop it from answering without closing a connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
