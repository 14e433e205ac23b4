"""What can be seen of a daemon: logs."""
