"""All rows of the matrix; importing this enters them."""

from . import crashes

__all__ = ["crashes"]
