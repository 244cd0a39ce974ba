"""Alembic's scripts. A new one gets the next number, and HEAD and KNOWN in migrate.py follow.

A migration repeats what it needs of the schema as text: it must do the same in ten years,
whatever schema.py says then.
"""
