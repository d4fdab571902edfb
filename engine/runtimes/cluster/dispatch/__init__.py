"""Dispatch in a cluster: the partitions of decisions that a worker sends."""
