"""Payload formats, and how values become bytes."""
