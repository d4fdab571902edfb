"""Clerks' pages of an engine under test, as a browser follows them."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable

from tests.engine.engines import Engine


class Page:
    """What a terminal's page hears, read on a thread of its own."""

    def __init__(self, engine: Engine, terminal: str) -> None:
        self.panels: list[dict[str, object]] = []
        self._host, port = engine.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((self._host, int(port)), timeout=30)
        self._socket.sendall(f"GET /desk/{terminal}/events HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def cards(self) -> list[dict[str, object]]:
        """The cards of the newest panel."""
        cards = self.panels[-1].get("cards", []) if self.panels else []
        assert isinstance(cards, list)
        return cards

    def _read(self) -> None:
        event = ""
        try:
            with self._socket.makefile("r", encoding="utf-8") as lines:
                for text in lines:
                    if text.startswith("event: "):
                        event = text[7:].strip()
                    elif text.startswith("data: ") and event == "panel":
                        self.panels.append(json.loads(text[6:]))
        except OSError:
            return


Pages = Callable[[Engine, str], Page]
