"""All rows of the matrix; importing this enters them."""

from . import connections, crashes

__all__ = ["connections", "crashes"]
