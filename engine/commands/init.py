"""Init: a first configuration and a first book in an empty folder, ready for `check`, `test` and `run`.

What is written is small and complete: files dropped into `inbox/` are decided by the rules of `book/`, and texts go to
`spool/out.ndjson`. The clock is the wall's. Nothing that is there already is touched.
"""

import argparse
from pathlib import Path

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import say

HELP = "Write a first configuration and rule book into an empty folder."

SETTINGS = {
    "data": {"directory": "data"},
    "book": {"folder": "book"},
    "http": {},
    "sources": {"files": [{"name": "inbox", "directory": "inbox"}]},
    "gateways": {"spool": {"kind": "spool", "folder": "spool"}},
    "channels": {"sms": {"gateway": "spool"}},
}

BOOK = """\
# A first book: what happens, who the subscribers are, how they are reached, and one rule with its tests.
# The grammar stands in the docstring of the package `rules`; `opportune check` tells every fault at once.

[book]
zone = "Asia/Shanghai"

[events.call]
fields = { kind = "string!", seconds = "int" }

[attributes]
name = "string"

[channels.sms]
cap = "2 per 7d"

[features.long_calls]
count = "call"
where = "kind == 'long_distance'"
over  = "30d"

[[rule]]
id       = "third-long-distance-call"
on       = "call"
when     = "kind == 'long_distance' and long_calls == 3"
channels = ["sms"]
cap      = "1 per 30d"
max_age  = "1h"
reason   = "three long-distance calls within 30 days"
text.sms = "Dear {name}, you call far away often: dial 12593 first and pay less. Reply TD to hear no more of this."

[[test]]
name   = "the third call is answered, the fourth is not"
given  = { name = "Li" }
events = [
  { at = 2026-01-05T09:00:00+08:00, call = { kind = "long_distance" } },
  { at = 2026-01-05T10:00:00+08:00, call = { kind = "long_distance" } },
  { at = 2026-01-05T11:00:00+08:00, call = { kind = "long_distance" } },
  { at = 2026-01-05T12:00:00+08:00, call = { kind = "long_distance" } },
]
expect = [{ at = 2026-01-05T11:00:00+08:00, rule = "third-long-distance-call", channel = "sms" }]
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="an empty folder (default: this one)")


def run(args: argparse.Namespace) -> int:
    """Write the files; CommandError where the folder holds something already."""
    from engine.settings.text import render

    folder: Path = args.folder
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(path.name for path in folder.iterdir())
    if found:
        raise CommandError(f"{folder}: holds {found[0]!r} already; init writes into an empty folder only")
    for name in ("book", "inbox", "spool"):
        (folder / name).mkdir()
    (folder / "config.toml").write_text(render(SETTINGS), encoding="utf-8")
    (folder / "book" / "first.toml").write_text(BOOK, encoding="utf-8")
    say(f"written: {folder / 'config.toml'}, {folder / 'book' / 'first.toml'}")
    say("next: opportune check, opportune test, opportune run")
    return 0
