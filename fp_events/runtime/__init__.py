"""The life of a message and of a run, from a delivery to a confirmed result."""
