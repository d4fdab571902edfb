"""Kafka as a part: where the broker is and how to speak to it (`config`), clients (`client`), records written
(`writer`), many small ones (`rows`), transactions (`transactions`): over several topics (`together`), as a partition's
memory (`ledger`), of a compacted partition (`changes`); partitions read: one (`tail`), the last of many (`last`);
topics (`topics`), members of a group (`groups`), and what the log says when a broker does not answer (`outage`).

What is written to the topics is not known here: raw events are read by `connectors.sources.kafka`, everything else by
the cluster runtime.
"""


class BrokerError(Exception):
    """The brokers cannot be reached or refuse; the text says which and why."""
