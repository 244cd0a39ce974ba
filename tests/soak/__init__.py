"""Whether a service that has run twenty thousand jobs is what it was after the first five thousand."""
