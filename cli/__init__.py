"""The command line: one verb a file."""

DISTRIBUTION = "asyncworker"
"""Whose package this is: every entry point compares it, because the name is not ours alone."""
