"""Stand-ins for parts of the machine, with the faults of the real ones: a disk and a store."""
