"""YAML with line numbers, strictly: built from the parser's events, so that nothing is guessed or constructed."""
