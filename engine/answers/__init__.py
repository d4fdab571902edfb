"""What is said about decisions: records in words, and what became of them."""
