"""All rows of the matrix; importing this enters them."""

from . import caches, clocks, connections, crashes, ends, functions, payloads, promises, rights, storage

__all__ = [
    "caches",
    "clocks",
    "connections",
    "crashes",
    "ends",
    "functions",
    "payloads",
    "promises",
    "rights",
    "storage",
]
