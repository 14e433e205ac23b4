"""The stores that a process uses."""

from __future__ import annotations

import threading
from functools import partial
from typing import Final

from fp_events.filesystems import without_credentials

from .files import open_files
from .shelf import Shelf
from .store import Codec, PipelineStore
from .tally import Tally


class Caches:
    """Stores by their settings; opened when they are first used, and by each process for itself."""

    def __init__(self) -> None:
        self._shelves: dict[tuple[str, int], Shelf] = {}
        self._tallies: dict[str, Tally] = {}
        self._lock = threading.Lock()

    def store(self, pipeline: str, url: str, max_bytes: int, codec: Codec) -> PipelineStore:
        """The pipeline's part of a store; `url` is an absolute folder or an fsspec URL."""
        with self._lock:
            shelf = self._shelves.get((url, max_bytes))
            if shelf is None:
                shelf = self._shelves[url, max_bytes] = Shelf(partial(open_files, url), max_bytes)
            tally = self._tallies.setdefault(pipeline, Tally(pipeline))
            again = partial(opened, pipeline, url, max_bytes, codec)
            return PipelineStore(pipeline, shelf, without_credentials(url), codec, tally, again)

    def counts(self) -> dict[str, dict[str, int]]:
        """Pipeline -> what happened how often in this process; pipelines to which nothing happened are left out."""
        with self._lock:
            found = [(name, tally.counts()) for name, tally in sorted(self._tallies.items())]
        return {name: counts for name, counts in found if counts}


#: Of this process: a reload goes on with the stores that are open, and with what was counted.
CACHES: Final = Caches()


def opened(pipeline: str, url: str, max_bytes: int, codec: Codec) -> PipelineStore:
    """The pipeline's part of a store, as this process has it."""
    return CACHES.store(pipeline, url, max_bytes, codec)
