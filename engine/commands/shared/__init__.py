"""What several commands use: asking a running engine, reading a data directory, and faults that a user can mend."""
