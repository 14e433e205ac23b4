"""A daemon in this process."""

from tests.runtime.conftest import house

__all__ = ["house"]
