"""Breaks a daemon in every way that docs/delivery.md speaks of, and counts what is lost."""
