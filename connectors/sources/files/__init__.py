"""Files in a watched directory, plain or gzip, read by position."""
