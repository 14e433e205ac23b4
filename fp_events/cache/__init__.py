"""Values of nodes, kept from run to run in files, wherever fsspec reaches."""

from .caches import CACHES, Caches
from .survey import Kept, clear, survey

__all__ = ["CACHES", "Caches", "Kept", "clear", "survey"]
