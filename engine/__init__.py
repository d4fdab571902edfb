"""The flow: from a source's bytes to a durable decision, and from there to a text or a card.

Start reading at `engine.flow.pipeline`: its stages stand there in order. Then `partition` (one partition: log, fold,
journal; live and in redo the same), `decider` (the deterministic fold itself), `core` (the durable whole over one data
directory), `runtimes.embedded` (one process with its doors). `dispatch` stands between journal and doors; `commands` is
the command line, one subcommand a file; `feed` makes an operator's day.

One promise runs through all of it: what can change a decision is in the log, and the decider is a function of the log.
So `dispatch`, desk and operations write what they know back into the log (`feedback`), and only the runtimes know a
clock.

Decisions made against the first design, and why:

- Frames hold columns of our own (`state.frame`), not Arrow IPC: frame of reference packing is a third of the size, and
  the decider reads the columns in place.
- STRING values are compared as 64-bit hashes (`state.hashing`); their texts travel with what has them: rows with their
  frame (`state.texts`), features with their subscriber (`state.held_texts`), facts with their record. No dictionary has
  to be agreed on between intakes, partitions or restarts, and none grows with the values of a feed.
- Log and journal are two files, the journal written after the log's sync: it never speaks of a frame that a crash can
  take away, at the price of a second sync for frames that decide something.
- A recorded or generated day runs on the events' own clock (`data.clock`): its age limits, windows and quotas are those
  of the day, not of the afternoon on which it is replayed.
- The gate recorded where no channel would take a decision is that of the channel that came furthest, because "cap" says
  more than "no visit" to who asks why.
"""
