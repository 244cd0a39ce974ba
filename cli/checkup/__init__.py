"""What `doctor` looks at: one file for each concern, which looks, and judges what it has seen.

Judging is pure. Nothing here changes anything that stays: no folder is made, no database migrated.
"""
