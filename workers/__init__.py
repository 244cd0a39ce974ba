"""What touches processes: the keeper, its children, and what runs in them."""

DISTRIBUTION = "asyncworker"
"""Whose package this is: every entry point compares it, because the name is not ours alone."""
