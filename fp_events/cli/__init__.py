"""The command line: a client of the composition root, nothing more."""
