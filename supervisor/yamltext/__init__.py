"""YAML with line numbers, strictly: built from the parser's events; nothing is guessed."""
