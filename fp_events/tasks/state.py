"""Values that outlive a DAG's run: in memory, or in one JSON file.

The file is written whole, beside itself, and put in place at once, so that a crash leaves the old one or the new one.
Several processes may use it: each change is made under a lock, on what the others have written. Nothing is pickled.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, Final, cast

from fp_events.domain.errors import FlowkitError, StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # one process at a time, then

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


@dataclass(slots=True)
class _Entry:
    value: Any
    #: Seconds since the epoch: a file outlives any other clock.
    timestamp: float
    #: Seconds; None: for good.
    ttl: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def is_over(self, now: float) -> bool:
        return self.ttl is not None and now - self.timestamp >= self.ttl


class StateManager:
    """Values by key, each with its age, an optional time to live and fields of your own. May be used by threads."""

    def __init__(self, storage_path: str | os.PathLike[str] | None = None, default_ttl: float | None = None) -> None:
        """`storage_path`: a JSON file, made when first needed; None: memory. `default_ttl`: seconds.

        A file that is no state of ours is put aside as ``<name>.damaged``, which is logged, and the state is empty.
        Raises StorageError where the file cannot be read.
        """
        self.storage_path = None if storage_path is None else Path(storage_path)
        self.default_ttl = default_ttl
        self._entries: dict[str, _Entry] = {}
        self._stamp: _Stamp | None = None
        self._lock = threading.RLock()
        self._refresh()

    def set(self, key: str, value: Any, ttl: float | None = None, metadata: Mapping[str, Any] | None = None) -> None:
        """Store `value`; in a file it comes back as JSON has it, a tuple as a list.

        `ttl`: seconds, else `default_ttl`. Raises FlowkitError where a value for a file is no JSON.
        """
        entry = _Entry(value, time.time(), self.default_ttl if ttl is None else ttl, dict(metadata or {}))
        if self.storage_path is not None:
            entry.value = self._plain(key, value)
            entry.metadata = self._plain(key, entry.metadata)
        with self._changing():
            self._entries[key] = entry

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default` where there is none or its time is over."""
        entry = self._entry(key)
        return default if entry is None else entry.value

    def has(self, key: str) -> bool:
        """Whether there is a value, None among them."""
        return self._entry(key) is not None

    def get_all(self) -> dict[str, Any]:
        """All values by key."""
        with self._lock:
            self._refresh()
            now = time.time()
            return {key: entry.value for key, entry in self._entries.items() if not entry.is_over(now)}

    def get_metadata(self, key: str) -> dict[str, Any] | None:
        """The fields given to `set`, and `timestamp` (seconds since the epoch), `age` and `ttl` (seconds)."""
        entry = self._entry(key)
        if entry is None:
            return None
        facts = {"timestamp": entry.timestamp, "age": time.time() - entry.timestamp, "ttl": entry.ttl}
        return {**entry.metadata, **facts}

    def delete(self, key: str) -> bool:
        """Forget one value; whether there was one."""
        return bool(self._forget(lambda known: known == key))

    def invalidate(self, key: str) -> bool:
        """The same as `delete`."""
        return self.delete(key)

    def invalidate_prefix(self, prefix: str) -> list[str]:
        """Forget all keys that begin with `prefix`; which they were."""
        return self._forget(lambda key: key.startswith(prefix))

    def invalidate_pattern(self, pattern: str) -> list[str]:
        """Forget all keys that match a pattern such as ``load:*``; which they were."""
        return self._forget(lambda key: fnmatchcase(key, pattern))

    def invalidate_expired(self) -> list[str]:
        """Forget all values whose time is over; their keys."""
        now = time.time()
        with self._lock:
            self._refresh()
            over = {key for key, entry in self._entries.items() if entry.is_over(now)}
        return self._forget(lambda key: key in over)

    def clear(self) -> None:
        """Forget everything."""
        self._forget(lambda _: True)

    def __repr__(self) -> str:
        place = "in-memory" if self.storage_path is None else str(self.storage_path)
        return f"StateManager({place}, cached_items={len(self.get_all())})"

    def _entry(self, key: str) -> _Entry | None:
        with self._lock:
            self._refresh()
            entry = self._entries.get(key)
            return None if entry is None or entry.is_over(time.time()) else entry

    def _forget(self, chosen: Any) -> list[str]:
        with self._lock:
            self._refresh()
            if not any(chosen(key) for key in self._entries):
                return []
            with self._changing():
                gone = [key for key in self._entries if chosen(key)]
                for key in gone:
                    del self._entries[key]
                return gone

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """What is changed in here goes to the file, with what others have changed meanwhile."""
        with self._lock, self._alone():
            self._refresh()
            yield
            self._write()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.storage_path is None or fcntl is None:
            yield
            return
        try:
            self.storage_path.parent.mkdir(parents=True, exist_ok=True)
            file = self.storage_path.with_name(f"{self.storage_path.name}.lock").open("w")
        except OSError as error:
            raise self._failed("written", error) from error
        with file:
            # Closing it gives the lock back.
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _refresh(self) -> None:
        """Take over the file as it is now, if it has changed."""
        if self.storage_path is None:
            return
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._entries = {} if stamp is None else self._read()
        self._stamp = self._stamp_now()

    def _read(self) -> dict[str, _Entry]:
        path = cast("Path", self.storage_path)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failed("read", error) from error
        try:
            rows = json.loads(data)["cache"]
            return {str(key): _Entry(row["value"], *_facts(row)) for key, row in rows.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            aside = path.with_name(f"{path.name}.damaged")
            with suppress(OSError):
                path.replace(aside)
            _log.warning(
                "%s is no state of a StateManager (%s): it is now %s, and the state is empty", path, error, aside
            )
            return {}

    def _write(self) -> None:
        if self.storage_path is None:
            return
        rows = {
            key: {"value": entry.value, "timestamp": entry.timestamp, "ttl": entry.ttl, "metadata": entry.metadata}
            for key, entry in self._entries.items()
        }
        new = self.storage_path.with_name(f"{self.storage_path.name}.{os.getpid()}.new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump({"version": 1, "cache": rows}, file, ensure_ascii=False)
                _sync(file)
            new.replace(self.storage_path)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            # Memory must not be ahead of the file.
            self._stamp = None
            raise self._failed("written", error) from error
        self._stamp = self._stamp_now()

    def _stamp_now(self) -> _Stamp | None:
        try:
            status = cast("Path", self.storage_path).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from error
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _plain(self, key: str, value: Any) -> Any:
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise FlowkitError(
                f"the value of '{key}' cannot be kept in {self.storage_path}: {error}",
                mend="store what JSON has: text, numbers, true, false, null, lists and dictionaries",
            ) from error

    def _failed(self, verb: str, error: OSError) -> StorageError:
        return StorageError(f"it cannot be {verb}: {error.strerror or error}", where=str(self.storage_path))


def _facts(row: Mapping[str, Any]) -> tuple[float, float | None, dict[str, Any]]:
    ttl = row.get("ttl")
    return float(row["timestamp"]), None if ttl is None else float(ttl), dict(row.get("metadata") or {})


def _sync(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


#: No value, which None is not.
MISSING: Final = object()
