"""Events that producers already write to Kafka: raw topics of a cluster.

`config` are a topic's settings; `client` turns records into the chunks that decoders take.
"""
