"""What intake, decide and dispatch of a worker share: topics, the control topic, texts, the writer of rows."""
