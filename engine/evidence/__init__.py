"""What became of decisions: the journal read together with what the log says of it later, as columns.

    prefix    journals and logs of a data directory up to one moment, beside a running engine or without one
    words     texts of outcomes, answers and terminals as small numbers
    said      what a frame says of decisions made earlier, as rows
    spill     rows on disk by subscriber, so that a join fits into memory
    effects   one bucket joined: each decision with its sends, answers, terminal and conversions
    joined    the whole of it: blocks of records with their effects, in journal order
    meaning   rule, campaign, offer and channel of a record, by the book that made it

Who reads `joined` needs nothing else of these. What is made of it:

    measures tally    what is counted, and by what
    units interval    subscribers held out against those contacted, and how sure the difference is
    files table page plots    CSV, NDJSON and Parquet; a terminal; a page to print

Nothing here is kept: a report is a function of log, journal and books, so it is the same whenever it is asked for the
same positions, and a goal that is added to the book today is judged on what the log still has of yesterday. What the
log has let go (`log.log_hours_max`) is not guessed at: records from before are left out.
"""

from engine.evidence.joined import Block, Joined, joined
from engine.evidence.prefix import Prefix

__all__ = ["Block", "Joined", "Prefix", "joined"]
