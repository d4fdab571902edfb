"""The cluster runtime: the same fold on Kafka, with Faust as consumer group and scaler.

    raw topics ─► intake ─► log ─► decide ─► decisions ─► dispatch ─► gateways
                    │ dead            └─► pages (compacted)    │ outbox       │ receipts, replies
                             ▲                                 ▼              ▼
                             └───────────── outcomes ──────────┴── receipts ──┘
                                                        control: books, which one is active, switches

    worker      one process: what must fit, how it runs and ends
    app         its Faust app: two consumer groups
    services    the service below that: what is opened in which order
    operations  what its HTTP face may ask of it

    intake/    raw records to frames, below the agents
        service     as they come
        paced       on the events' own clock: one moment after the other; pace: which is next, and the rows that wait
        parts       dead letters and counts
    decide/    the agent: frames to decisions, for the partitions that this worker owns
        service     which partitions are owned, and which frames go to them
        owned       one owned partition: restore, redo, fold, decisions sent in order
        due_rows    deadlines that have come, written into the log
        fold        the fold, where many write the log and its beginning is deleted
        missing     what becomes of a partition when frames that it needs are deleted
        topic_log   a partition's frames, read again for redo
        changelog   the store of pages: RocksDB as a follower of the pages topic
        standby     copies of pages that others own
        arrivals    visits of the log, taken to the desk with what is known of the customer
        gauges      figures of the owned partitions
    dispatch/  the agent: decisions to gateways, for the partitions that this worker sends
        service            which partitions are sent, by which gateways
        sending_partition  one partition that is sent: takeover, feeding, letting go
        outbox             what a partition has tried, as a topic; shares: its part of quotas and rates
        exchange           receipts and replies, carried to the partition that they concern
        wording            books for what is said
        context            what partitions that are sent have in common
        moments            how a partition is fed on the events' own clock
    shared/    what the three have in common
        topics            names and settings of the topics
        control_topic     books, the active one and switches as every worker knows them; publisher: how they are written
        record_guard      the one way in which records of our topics are read: garbage is counted, buried, passed over
        control_records   what a record of the control topic may be; log_records: what one of the log may be
        packed_records    what a frame says of the raw records in it, and how doubled ones are left out
        journal_position  records of decisions, and which of them count
        moments           how intake, decide and dispatch keep step on the events' own clock
        appender          outcomes, visits, answers and list changes, written into the log
        texts             texts of a cluster that began with format 1
        worker_desk       the desk of a worker: clerks' pages, panels in Redis, answers into the log
        watchdog          ends a worker that has fallen silent
    ask/       questions from outside: decisions as people read them, dead letters, an overview of the brokers

A position is an offset of `log`. It rises, with gaps. What makes it exact:

1. Raw to frames, deduplicating: a frame names the raw offsets of its rows, and the fold leaves out the rows below the
   offset that the partition has reached for that raw partition (`packed_records`). An intake that died, or one that
   believes that it is still alive, may write frames twice; no fence is needed, and a reader cannot be fooled.
2. Frames to decisions: the fold is deterministic, so two owners for a moment write the same records; each carries the
   position, and readers drop what is at or below the one they have seen. A new owner emits from the last record on.
3. Decisions to gateways: an attempt is committed to the partition's `outbox` before a gateway sees it, in a transaction
   under a name of the partition. A worker that has lost the partition is fenced there, and so sends nothing; the new
   owner finds every attempt that was made, and calls those without an outcome UNKNOWN. So no commercial text goes
   twice. A transaction costs some 30 ms, so all attempts of one turn share one. Sends inside a transaction that is kept
   open are acknowledged in 0.5 ms and fence as well; but what they wrote is then only seen by reading what was never
   committed, and 30 ms before a text that takes seconds are not worth that.
4. On the events' own clock a row stands in the log after the outcomes of all that was due before it, because the
   intake waits for that (`shared.moments`). So nothing beside the log is needed to fold it again.
5. Deadlines: an owner writes what has come as rows into the log, where the fold asks the cell; rows that two owners
   wrote, or that come too late, change nothing.
6. Pages: written in transactions under a name of the partition, so a new owner's first act fences the old one. Our
   copy takes a transaction in only after Kafka has, so it is always a beginning of the topic (`changelog`).
"""
