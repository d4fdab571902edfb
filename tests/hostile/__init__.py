"""What an attacker would send, by kind: each test has the hostile input in its name."""
