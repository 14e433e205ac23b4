"""Single files on any filesystem, through a local copy: for libraries that know local files alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .folders import Folder

#: Bytes that are in memory at a time.
_PART = 1 << 20


def _copy_in(folder: str, url: str) -> Path:
    # The ending tells libraries the format, and the compression.
    name = url.partition("::")[0].partition("?")[0].rstrip("/").rpartition("/")[2]
    return Path(folder, name or "file")


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """A local copy of a remote file while the context lasts. Raises StorageError."""
    with tempfile.TemporaryDirectory(prefix="fp-events-") as folder:
        copy = _copy_in(folder, url)
        with copy.open("wb") as target, Folder(url).reading("") as source:
            shutil.copyfileobj(source, target, _PART)
        yield copy


@contextmanager
def delivered(url: str) -> Iterator[Path]:
    """A local path to write to; the file goes to its place when the context ends well. Raises StorageError."""
    with tempfile.TemporaryDirectory(prefix="fp-events-") as folder:
        copy = _copy_in(folder, url)
        yield copy
        with copy.open("rb") as source, Folder(url).writing("") as target:
            shutil.copyfileobj(source, target, _PART)
