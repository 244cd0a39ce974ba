"""jobtypes.yaml: what a job type is, and how the file becomes job types or a list of all its mistakes.

`parse` is pure, `load` reads the file, `records` are what comes out and need no YAML to be imported.
"""
