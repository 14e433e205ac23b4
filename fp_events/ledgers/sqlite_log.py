"""Damage in the middle of a write-ahead log, which SQLite takes for the log's end.

SQLite reads a log up to the first frame whose checksum is wrong, and forgets the rest in silence: after a power cut
that is the transaction that was being written. But each commit is on the disk before the next one is written. So
where whole transactions follow the one that cannot be read, the log did not end there.

Layouts: https://sqlite.org/fileformat.html#the_write_ahead_log and https://sqlite.org/walformat.html
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

from .sqlite_file import corrupt

_HEADER = 32
_FRAME_HEADER = 24


def check_log(path: Path) -> None:
    """Raises LedgerCorrupt. The files stay as they are; a log that is not there is whole."""
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() or not log.exists() or log.stat().st_size <= _HEADER + _FRAME_HEADER:
        return
    with log.open("rb") as file:
        header = file.read(_HEADER)
        if not _whole(header):
            raise corrupt(path, "the header of its write-ahead log")
        page = int.from_bytes(header[8:12], "big")
        frame = page + _FRAME_HEADER
        # With the first read SQLite finds the log's end. A connection that may not write leaves the log alone.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            end = _frames_read(path)
        commits = 0
        for number in range(end, (log.stat().st_size - _HEADER) // frame):
            file.seek(_HEADER + number * frame)
            _, size_at_commit, *salts = struct.unpack(">4I", file.read(16))
            if salts != list(struct.unpack(">2I", header[16:24])):
                continue  # left over from before the log began anew
            if commits:
                raise corrupt(path, f"its write-ahead log, from byte {_HEADER + end * frame} on")
            commits += bool(size_at_commit)


def _frames_read(path: Path) -> int:
    """The last frame of the log that SQLite takes for valid: mxFrame in the index that it keeps beside the log."""
    with path.with_name(f"{path.name}-shm").open("rb") as index:
        index.seek(16)
        (frames,) = struct.unpack("=I", index.read(4))
        return int(frames)


def _whole(header: bytes) -> bool:
    """Whether the header's checksum is that of its first 24 bytes."""
    words = struct.unpack(">6I" if header[3] & 1 else "<6I", header[:24])
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return header[24:32] == struct.pack(">2I", first, second)
