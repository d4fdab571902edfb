"""Kafka as a part: where the broker is and how to speak to it (`config`), clients (`client`), records
written (`writer`), topics (`topics`).

What is written to the topics is not known here: raw events are read by `connectors.sources.kafka`, everything else by
the cluster runtime.
"""


class BrokerError(Exception):
    """The brokers cannot be reached or refuse; the text says which and why."""
