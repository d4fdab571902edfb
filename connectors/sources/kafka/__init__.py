"""Events that producers already write to Kafka: raw topics of a cluster, read by `opportune worker`.

`config` a topic's settings, `fetch` record batches as bytes, `batches` and `kernel` their records as lines, `client`
the reader, `simulator` a producer to demonstrate and test with.

A topic is not opened alone as other sources are: one reader, a member of a consumer group, reads all raw topics, and
the group shares out their partitions. So this package has no `open_source`; the cluster's intake makes the reader,
which is the contract's `GroupSource`.
"""

from connectors.sources.kafka.config import RawConfig as Config

__all__ = ["Config"]
