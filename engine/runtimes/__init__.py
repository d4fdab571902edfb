"""Where the core runs: `embedded`, one process with its own log, or `cluster`, workers on Kafka and Faust.

A runtime opens the durable parts, recovers the partitions, starts the pipeline and the doors, and stops them in order.
The core (`engine.flow.partition`, `engine.flow.decider`) does not know which one it is in.
"""
