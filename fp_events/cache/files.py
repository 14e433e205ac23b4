"""Where kept values are: a folder of this machine, or any place that fsspec reaches."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

#: How the files of kept values end, and those that are being written.
ENDING: Final = ".fpc"
UNFINISHED: Final = ".tmp"

#: Filesystems that show a file only once it is whole.
_WHOLE: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"})
#: Where filesystems say when a file was written.
_WRITTEN: Final = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")

_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file of the store."""

    #: Relative to the store, with slashes.
    path: str
    size: int
    #: Seconds since 1970; 0 where the filesystem does not tell.
    written: float
    #: The last time its value was taken; where that is not known, `written`.
    used: float


class Files(Protocol):
    """Files by relative path. Methods raise what the filesystem raises."""

    #: An access may take long, or hang.
    is_remote: bool

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is none."""

    def write(self, path: str, data: bytes) -> None:
        """Make the file, or put a new one in its place: readers see the old one or the new one."""

    def used(self, path: str) -> None:
        """Note that a file's value was taken, where that can be noted."""

    def remove(self, path: str) -> None:
        """Delete a file; one that is gone already is no error."""

    def items(self) -> Iterator[Item]:
        """All files, in no order."""


def open_files(url: str) -> Files:
    """The files in an absolute folder or below an fsspec URL. Raises ImportError, ValueError and OSError."""
    if "://" not in url and "::" not in url:
        return LocalFiles(Path(url))
    import fsspec  # type: ignore[import-untyped]  # it ships no types

    system, base = fsspec.core.url_to_fs(url)
    if _names(system) & {"file", "local"} and "::" not in url:
        return LocalFiles(Path(base))
    return RemoteFiles(system, base)


def _names(system: Any) -> set[str]:
    return {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)


def _unfinished(path: str) -> str:
    """A name beside `path` that nobody else uses."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}.{os.getpid()}-{threading.get_ident()}-{next(_numbers)}{UNFINISHED}"


class LocalFiles:
    """A folder, readable for its owner alone."""

    is_remote = False

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        """See `Files`."""
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, path: str, data: bytes) -> None:
        """See `Files`."""
        target, passing = self._root / path, self._root / _unfinished(path)
        try:
            try:
                _put(passing, data)
            except FileNotFoundError:
                _make(target.parent)
                _put(passing, data)
            passing.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                passing.unlink()
            raise

    def used(self, path: str) -> None:
        """See `Files`: the access time is ours to set, whatever the mount says of it."""
        file = self._root / path
        os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns))

    def remove(self, path: str) -> None:
        """See `Files`; folders that are empty then go too."""
        file = self._root / path
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for folder in file.parents:
                if folder == self._root:
                    break
                folder.rmdir()

    def items(self) -> Iterator[Item]:
        """See `Files`."""
        waiting = [str(self._root)]
        start = len(waiting[0]) + 1
        while waiting:
            try:
                with os.scandir(waiting.pop()) as found:
                    entries = list(found)
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                with contextlib.suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    path = entry.path[start:].replace(os.sep, "/")
                    yield Item(path=path, size=facts.st_size, written=facts.st_mtime, used=facts.st_atime)


def _put(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as out:
        view = memoryview(data)
        while view:
            view = view[out.write(view) or 0 :]


def _make(folder: Path) -> None:
    """The folder and those above it, all for the owner alone."""
    missing = [folder, *itertools.takewhile(lambda above: not above.exists(), folder.parents)]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


class RemoteFiles:
    """A place that fsspec reaches."""

    is_remote = True

    def __init__(self, system: Any, base: str) -> None:
        self._system = system
        self._base = base.rstrip("/")
        self._is_whole = bool(_names(system) & _WHOLE)

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}"

    def read(self, path: str) -> bytes | None:
        """See `Files`."""
        try:
            return bytes(self._system.cat_file(self._at(path)))
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """See `Files`; where a file is seen before it is whole, it gets its name last."""
        if self._is_whole:
            self._system.pipe_file(self._at(path), data)
            return
        self._system.makedirs(self._at(path).rpartition("/")[0], exist_ok=True)
        passing = self._at(_unfinished(path))
        try:
            self._system.pipe_file(passing, data)
            self._system.mv(passing, self._at(path))
        except BaseException:
            with contextlib.suppress(Exception):
                self._system.rm_file(passing)
            raise

    def used(self, path: str) -> None:
        """See `Files`: it is not noted, so that the oldest values go first."""

    def remove(self, path: str) -> None:
        """See `Files`."""
        with contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._at(path))

    def items(self) -> Iterator[Item]:
        """See `Files`."""
        # Remote filesystems remember listings, and other processes write too.
        self._system.invalidate_cache()
        try:
            found = self._system.find(self._base, detail=True)
        except FileNotFoundError:
            return
        start = len(self._base) + 1
        for path, facts in found.items():
            written = _seconds(next((facts[name] for name in _WRITTEN if facts.get(name)), None))
            yield Item(path=path[start:], size=int(facts.get("size") or 0), written=written, used=written)


def _seconds(moment: Any) -> float:
    if isinstance(moment, str):
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        return moment.timestamp()
    return float(moment) if isinstance(moment, int | float) else 0.0
