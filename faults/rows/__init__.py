"""All rows of the matrix; importing this enters them."""

from . import clocks, connections, crashes, ends, functions, payloads, promises, rights, storage

__all__ = ["clocks", "connections", "crashes", "ends", "functions", "payloads", "promises", "rights", "storage"]
