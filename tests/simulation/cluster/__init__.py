"""A seeded cluster in one thread: the real services of several workers over brokers in memory, with faults.

    loop      a clock of its own, processes that die and freeze at any step, threads that run one at a time
    broker    topics: offsets, transactions, fencing, compaction
    groups    consumer groups: eager assignment, sessions, members that learn late
    clients   aiokafka's clients as the product makes them: delays, lost answers, buffers that are full
    network   gateways' far side: what was taken, receipts
    node      a worker: its computer, its process, and Faust's part in few lines
    judges    what must hold, told from the topics alone
    reach     rare states that must have been seen
    world     the seeded course of one cluster
    plants    bugs on purpose, to prove that the judges can find one
    run       clusters by number: `python -m tests.simulation.cluster.run`

What is real: everything of a worker below its Faust app (`WorkerServices`), with intake, decide, dispatch, outbox,
exchange, control topic, standby copies and watchdogs. What is not: Faust, aiokafka, RocksDB, HTTP, the
loader's process.
"""
