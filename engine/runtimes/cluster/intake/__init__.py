"""Intake: raw records of Kafka packed into frames of the log."""
