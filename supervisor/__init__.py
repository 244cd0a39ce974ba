"""What decides and records: the supervisor, its store, and the clients of that store."""

DISTRIBUTION = "asyncworker"
"""Whose package this is: every entry point compares it, because the name is not ours alone."""
