"""Decide: the partitions that a worker owns, from restore to revocation."""
