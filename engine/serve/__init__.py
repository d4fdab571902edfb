"""What a running engine shows and takes over HTTP: the front, status, gauges, commands of operations."""
