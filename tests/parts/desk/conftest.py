"""Real Redis and real Chromium for the desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.chromium import Chromium
from tests.parts.redis_server import RedisServer


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    browser.start()
    yield browser
    browser.stop()
