"""Questions put to a cluster from outside: decisions, dead letters, an overview."""
