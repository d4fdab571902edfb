"""What a later release wrote is never guessed at, what the release before wrote is read, and garbage is garbage."""

from collections.abc import Callable

import pytest

from state import formats
from state.decisions import decode as decode_decisions
from state.formats import NewerFormatError
from state.frame import Frame, FrameError, FrameKind, decode, encode
from state.schema import Schema

NO_SCHEMAS: Callable[[str], Schema] = dict[str, Schema]().__getitem__


def test_a_frame_of_the_next_release_is_told_from_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = encode(Frame(FrameKind.TICK, 7))
    monkeypatch.setattr(formats, "FORMAT", 3)
    theirs = encode(Frame(FrameKind.TICK, 8))
    assert (decode(ours, NO_SCHEMAS).append_ms, decode(theirs, NO_SCHEMAS).append_ms) == (7, 8)

    monkeypatch.setattr(formats, "FORMAT", 2)
    with pytest.raises(NewerFormatError, match="a record OPF has format=3, this release reads 1 to 2: upgrade it"):
        decode(theirs, NO_SCHEMAS)
    with pytest.raises(FrameError):
        decode(b"OPFx" + theirs[4:], NO_SCHEMAS)


def test_decisions_of_the_next_release_are_told_from_garbage() -> None:
    with pytest.raises(NewerFormatError, match="a record DEC has format=3"):
        decode_decisions(b"DEC3" + bytes(60))
    with pytest.raises(ValueError, match="magic=b'DECK' must be b'DEC2'"):
        decode_decisions(b"DECK" + bytes(60))


def test_what_two_releases_ago_wrote_is_no_record_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    old = encode(Frame(FrameKind.TICK, 7))
    monkeypatch.setattr(formats, "FORMAT", 3)
    monkeypatch.setattr(formats, "OLDEST", 3)
    with pytest.raises(FrameError):
        decode(old, NO_SCHEMAS)
