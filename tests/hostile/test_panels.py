"""Keys of Redis that hold what nobody of us wrote."""

import pytest

from connectors.desk.redis import panel_of


@pytest.mark.parametrize("version", [b"xx", b"", b"-1", b"9" * 400, b"\xff", b"1e9"])
@pytest.mark.parametrize("text", [b"garbage", b"", b"[]", b"null", b"[" * 10_000, b"\xff\xfe", b"{}"])
def test_a_panel_of_garbage_under_a_version_of_garbage_counts_as_empty(version: bytes, text: bytes) -> None:
    panel = panel_of("counter-3", version, text)

    assert (panel.terminal, panel.version, panel.visit) == ("counter-3", 0, None)
