"""All rows of the matrix; importing this enters them."""

from . import connections, crashes, storage

__all__ = ["connections", "crashes", "storage"]
