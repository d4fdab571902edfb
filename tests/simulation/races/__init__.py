"""Races: a few subscribers, tight timing, and everything that may stop a text while it waits.

    books      what a race's book says, and how it changes in mid-run
    gateway    the far side: it records each text that it is handed, and knows nothing else
    judge      holds that record against the times of acknowledgements; it shares no code with the engine
    world      one seed, one race on one machine, in `steps`; `cluster` the same of workers over brokers
    plants     a bug in each gate of the second judging, which the judge must find
    reach      states that races must have been in
    run        `python -m tests.simulation.races.run N SEED [--cluster]`

The worlds of `tests.simulation` ask whether state and records are right; a race asks what its subscribers got.
"""
