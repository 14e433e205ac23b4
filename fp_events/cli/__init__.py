"""The command line: a client of the command table."""
