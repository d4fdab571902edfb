"""From a source's bytes to a durable decision: decode, log, decide, commit; with the data directory that holds it."""
