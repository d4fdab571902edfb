"""Lines over TCP."""
