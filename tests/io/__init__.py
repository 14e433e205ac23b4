"""Loaders and savers: files, databases, the broker."""
