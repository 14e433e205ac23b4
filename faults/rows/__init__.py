"""All rows of the matrix; importing this enters them."""

from . import connections, crashes, payloads, storage

__all__ = ["connections", "crashes", "payloads", "storage"]
