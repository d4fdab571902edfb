"""The settings of an installation: config.toml and its text, send windows, and whether they fit the rule book."""
