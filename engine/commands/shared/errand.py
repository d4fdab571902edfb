"""A command that the engine has another process run: its words come from standard input, as a JSON list.

On the command line a subscriber's number would stand in the list of processes, where everybody on the machine reads it.
The process is a nice one: what the engine does meanwhile comes first.

    echo '["why", "--format", "ndjson", "8613420081104"]' | python -m engine.commands.shared.errand
"""

import json
import os
import sys

from engine.commands import main

NICE = 10

if __name__ == "__main__":
    os.nice(NICE)
    sys.exit(main(json.load(sys.stdin)))
