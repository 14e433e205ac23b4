"""What happened to one pipeline's kept values in this process: counted always, told once."""

from __future__ import annotations

import logging
import threading
from collections import Counter

_log = logging.getLogger("fp_events.cache")


class Tally:
    """Counters of one pipeline, for all threads; a reload goes on with them."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._counts: Counter[str] = Counter()
        self._told: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def add(self, kind: str) -> None:
        """Count one of a kind."""
        with self._lock:
            self._counts[kind] += 1

    def tell(self, kind: str, about: str, sentence: str) -> None:
        """Write a warning, unless there was one of this kind about the same."""
        with self._lock:
            is_new = (kind, about) not in self._told
            self._told.add((kind, about))
        if is_new:
            _log.warning("%s: %s", self._pipeline, sentence)

    def counts(self) -> dict[str, int]:
        """By kind."""
        with self._lock:
            return dict(sorted(self._counts.items()))
