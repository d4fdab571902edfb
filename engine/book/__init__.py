"""The rule book made ready to run: compiled, read in a process of its own, kept by version, watched for changes."""
