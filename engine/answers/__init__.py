"""What is said about decisions: records in words, what became of them, and rehearsal of a book's own tests."""
